"""Amounts as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_config.platform.quantities import (
    format_bytes,
    format_seconds,
    format_size,
    parse_bytes,
    parse_quantity,
    parse_seconds,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("16 GiB", 16 * 1024**3), ("512MiB", 512 * 1024**2), ("1.5 TiB", 1536 * 1024**3)],
)
def test_memory_is_read_in_bytes(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize(
    ("text", "amount"), [("90 s", 90), ("30 min", 1800), ("4 h", 14_400), ("1.5 d", 129_600)]
)
def test_time_is_read_in_seconds(text: str, amount: int) -> None:
    assert parse_seconds(text) == amount


@pytest.mark.parametrize(
    "text", ["16", "GiB", "", "-1 GiB", "1e9 GiB", "0x10 GiB", "1 GiB\n2", "٣ GiB"]
)
def test_no_amount_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="like 16 GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "mend"), [("16 GB", "16 GiB"), ("16 gib", "16 GiB"), ("2 t", "2 TiB")]
)
def test_wrong_unit_names_the_right_one(text: str, mend: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean {mend}.*Allowed units: KiB, MiB, GiB, TiB"):
        parse_bytes(text)


def test_wrong_unit_of_time_names_the_allowed() -> None:
    with pytest.raises(ValueError, match="Allowed units: s, min, h, d"):
        parse_seconds("4 weeks")


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (2**38, "256 GiB")],
)
def test_bytes_are_shown_short(amount: int, text: str) -> None:
    assert format_bytes(amount) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (90, "1.5 min"), (5400, "1.5 h"), (14_400, "4 h"), (3601, "3601 s")],
)
def test_seconds_are_shown_short(seconds: int, text: str) -> None:
    assert format_seconds(seconds) == text


@given(st.integers(1, 10**6), st.sampled_from(["KiB", "MiB", "GiB"]))
def test_what_is_shown_can_be_written(number: int, unit: str) -> None:
    amount = parse_bytes(f"{number} {unit}")
    # One decimal of the unit that is shown.
    assert abs(parse_bytes(format_bytes(amount)) - amount) <= amount * 0.05


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("30", 30),
        ("1700m", 1.7),
        ("0.5", 0.5),
        ("230Gi", 230 * 1024**3),
        ("16G", 16e9),
        ("1k", 1e3),
    ],
)
def test_a_quantity_of_kubernetes_is_a_number(text: str, amount: float) -> None:
    assert parse_quantity(text) == pytest.approx(amount)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1.2.3", "-1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse_quantity(text)


def test_size_of_a_machine() -> None:
    assert format_size(1, 2**31) == "1 core and 2 GiB"
    assert format_size(8, 2**35, 1, "NVIDIA T4") == "8 cores, 32 GiB and 1 GPU (NVIDIA T4)"
