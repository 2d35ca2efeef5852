"""Durations, sizes and counts in words, with units: ``4 h``, ``15.8 of 16 GiB``, ``3 cells``.

Used by :mod:`~offline_jobs.service.rules.sentences` and the web layer; panel and page write them
alike (``src/words.ts``), which ``tests/golden/amounts.json`` holds. Pure.
"""

from decimal import ROUND_HALF_UP, Decimal

from hub_config.platform.quantities import format_duration as duration

__all__ = ["cores", "cores_of", "count", "duration", "size", "size_of"]

_UNITS = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def size(count: int) -> str:
    """Bytes with a binary unit: ``4 GiB``, ``15.8 GiB``, ``512 MiB``, ``17 bytes``."""
    for unit, factor in _UNITS:
        if count >= factor:
            return f"{_number(count / factor)} {unit}"
    return f"{count} bytes"


def size_of(part: int, whole: int) -> str:
    """A part of a whole in the whole's unit: ``15.8 of 16 GiB``; without a whole, the part."""
    for unit, factor in _UNITS:
        if whole >= factor:
            return f"{_number(part / factor)} of {_number(whole / factor)} {unit}"
    return size(part)


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 cell``, ``3 cells``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def cores(number: float) -> str:
    """``1 core``, ``2 cores``, ``0.5 cores``."""
    return f"{_number(number)} core" if number == 1 else f"{_number(number)} cores"


def cores_of(part: float, whole: float) -> str:
    """A part of some cores: ``0.6 of 4 cores``, ``under 0.1 of 1 core``."""
    least = 0.1
    return f"{_number(part) if part >= least else f'under {least}'} of {cores(whole)}"


def _number(value: float) -> str:
    rounded = Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return str(rounded).removesuffix(".0")
