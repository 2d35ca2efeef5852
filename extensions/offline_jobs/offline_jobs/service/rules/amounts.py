"""Durations, sizes and counts in words, with units: ``4 h``, ``15.8 of 16 GiB``, ``3 cells``.

Used by :mod:`~offline_jobs.service.rules.sentences` and the web layer; panel and page write them
alike (``src/words.ts``), which ``tests/golden/amounts.json`` holds. Pure.
"""

import math
from decimal import ROUND_HALF_UP, Decimal

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SECONDS_MATTER = 10 * _MINUTE
#: Seconds from which a duration is rounded to whole ones; below the other one it is no figure.
_WHOLE_SECONDS, _SHORTEST = 0.95, 0.05
_UNITS = (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024))


def duration(seconds: float) -> str:
    """Two units at most: ``0.4 s``, ``35 s``, ``12 min``, ``4 h``, ``1 h 30 min``, ``2 d 4 h``."""
    if 0 < seconds < _WHOLE_SECONDS:
        return f"{_number(seconds)} s" if seconds >= _SHORTEST else "under 0.1 s"
    whole = max(0, math.floor(seconds + 0.5))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return _pair(minutes, "min", rest if whole < _SECONDS_MATTER else 0, "s")
    if whole < 2 * _DAY:
        return _pair(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _pair(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


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


def _number(value: float) -> str:
    rounded = Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP)
    return str(rounded).removesuffix(".0")
