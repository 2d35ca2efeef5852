"""Amounts as people write and read them: ``16 GiB``, ``4 h``, ``2 cores``; ``16Gi`` in manifests.

The catalogue's file holds them, the form, the job dialog and refusals show them. Inside the code
amounts are plain numbers with their unit in the name. Pure, standard library only; everybody may
import it.
"""

import math
import re
from decimal import ROUND_HALF_UP, Decimal

_BYTES_PER_UNIT = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_SECONDS_PER_UNIT = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
#: Kubernetes' suffixes, largest first.
_SUFFIXES = (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(n|u|m|k|[MGTPE]|[KMGTPE]i)?")
_SCALES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "k": 1e3,
    **{letter: 1000.0**power for power, letter in enumerate("MGTPE", 2)},
    **{f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", 1)},
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SECONDS_MATTER = 10 * _MINUTE
#: Seconds from which a duration is rounded to whole ones; below the other one it is no figure.
_WHOLE_SECONDS, _SHORTEST = 0.95, 0.05
_AMOUNT = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([A-Za-z]+)")


def parse_bytes(text: str) -> int:
    """``"16 GiB"`` in bytes.

    Raises:
        ValueError: no number with a binary unit; the text says what to write instead.
    """
    return _parse(text, _BYTES_PER_UNIT, example="16 GiB")


def parse_seconds(text: str) -> int:
    """``"4 h"`` in seconds.

    Raises:
        ValueError: no number with a unit of time; the text says what to write instead.
    """
    return _parse(text, _SECONDS_PER_UNIT, example="4 h")


def format_bytes(amount_bytes: float) -> str:
    """Bytes with the largest unit that leaves a number of at least 1, to one decimal."""
    for unit, size in reversed(_BYTES_PER_UNIT.items()):
        if amount_bytes >= size:
            return f"{_trim(amount_bytes / size)} {unit}"
    return f"{_trim(amount_bytes)} bytes"


def quantity(amount_bytes: int) -> str:
    """Bytes as Kubernetes writes them: ``4Gi``, or the plain number.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ (v1.35)
    """
    for suffix, size in _SUFFIXES:
        if amount_bytes and amount_bytes % size == 0:
            return f"{amount_bytes // size}{suffix}"
    return str(amount_bytes)


def parse_quantity(text: str) -> float:
    """An amount as Kubernetes writes it, ``4Gi`` or ``100m``, as a plain number.

    Raises:
        ValueError: it is none.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ (v1.35)
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity of Kubernetes")
    number, suffix = match.groups()
    return float(number) * _SCALES.get(suffix, 1.0)


def format_seconds(seconds: float) -> str:
    """Seconds with the largest unit that divides them to one decimal: ``90 min``, ``4 h``."""
    for unit, size in reversed(_SECONDS_PER_UNIT.items()):
        if seconds >= size and seconds * 10 % size == 0:
            return f"{_trim(seconds / size)} {unit}"
    return f"{_trim(seconds)} s"


def format_duration(seconds: float) -> str:
    """Two units at most: ``0.4 s``, ``35 s``, ``12 min``, ``4 h``, ``1 h 30 min``, ``2 d 4 h``."""
    if 0 < seconds < _WHOLE_SECONDS:
        return f"{_round_tenths(seconds)} s" if seconds >= _SHORTEST else "under 0.1 s"
    whole = max(0, math.floor(seconds + 0.5))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return _pair(minutes, "min", rest if whole < _SECONDS_MATTER else 0, "s")
    if whole < 2 * _DAY:
        return _pair(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _pair(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def format_cores(cores: float) -> str:
    """``1 core``, ``2 cores``, ``0.5 cores``."""
    return f"{cores:g} core" if cores == 1 else f"{cores:g} cores"


def format_gpus(gpus: int, model: str = "") -> str:
    """``1 GPU``, ``2 GPUs (NVIDIA T4)``."""
    words = f"{gpus} GPU" if gpus == 1 else f"{gpus} GPUs"
    return f"{words} ({model})" if model else words


def format_size(cores: float, memory_bytes: float, gpus: int = 0, gpu_model: str = "") -> str:
    """``16 cores and 256 GiB``; ``8 cores, 32 GiB and 1 GPU (NVIDIA T4)``."""
    parts = [format_cores(cores), format_bytes(memory_bytes)]
    if gpus:
        parts.append(format_gpus(gpus, gpu_model))
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _parse(text: str, sizes: dict[str, int], example: str) -> int:
    units = ", ".join(sizes)
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no amount; write a number and a unit, like {example}")
    number, unit = match.groups()
    if unit not in sizes:
        meant = next((u for u in sizes if u[0].lower() == unit[0].lower()), None)
        hint = f"; did you mean {number} {meant}?" if meant else ""
        raise ValueError(f"unknown unit {unit!r} in {text!r}{hint} Allowed units: {units}")
    amount = float(number) * sizes[unit]
    if amount != int(amount):
        amount = round(amount)
    return int(amount)


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def _round_tenths(value: float) -> str:
    return str(Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP)).removesuffix(".0")


def _trim(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
