"""Parameters reach kernels of other languages exactly."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from papermill.translators import translate_parameters

from offline_jobs.runner import languages
from tests.runner.attempts import Attempt
from tests.skips import require

R_KERNEL = {"name": "ir", "source": "image"}
#: What R made of a parameter, as JSON in hexadecimal, so that no locale can change it on its way.
SHOW = """\
for (name in wanted) cat(as.character(charToRaw(enc2utf8(as.character(
    jsonlite::toJSON(get(name), auto_unbox = TRUE, null = "null", digits = NA))))), "\\n", sep = "")
"""
CHARACTERS = "aZ é€中😀\"'\\`$#%{}\n\t\r\b\u2028\x7f\u200b"
EXACT = {
    "text": "é \"quoted\" 'single' \\ back\nnext\t$(ls) ${x} 😀",
    "looks_like_an_escape": "\\u00e9 \\n \\x41",
    "none": None,
    "yes": True,
    "no": False,
    "whole": -(10**14),
    "small": 1e-300,
    "large": 1.5e300,
    "nested": {"a": [1, [2.5, None, "x"], {}], "ü b": [], "c": {"d": {"e": False}}},
}


def draw(chance: random.Random, depth: int = 3) -> Any:
    """A value that JSON can hold; numbers have no more digits than R prints."""
    if not depth or chance.random() < 0.6:
        return chance.choice(
            (
                None,
                chance.random() < 0.5,
                chance.randrange(-(10**9), 10**9),
                chance.randrange(-(10**6), 10**6) / 64,
                "".join(chance.choices(CHARACTERS, k=chance.randrange(8))),
            )
        )
    values = [draw(chance, depth - 1) for _ in range(chance.randrange(4))]
    if chance.random() < 0.5:
        return values
    return {f"{n}{draw(chance, 0)}": value for n, value in enumerate(values)}


def test_values_reach_a_real_r_kernel_exactly(
    make_attempt: Callable[..., Attempt], seed: int
) -> None:
    require("R with its kernel")
    chance = random.Random(seed)
    parameters = EXACT | {f"drawn{n}": draw(chance) for n in range(200)}
    names = ", ".join(f'"{name}"' for name in parameters)
    special = (
        "cat(identical(third, 1 / 3), identical(sum, 0.1 + 0.2), largest == 2^53, "
        "is.double(largest), is.double(count), names(nameless))"
    )
    attempt = make_attempt(
        f"wanted <- c({names})\n{SHOW}",
        special,
        kernel=R_KERNEL,
        parameters=parameters
        | {
            "third": 1 / 3,
            "sum": 0.1 + 0.2,
            "largest": 2**53,
            "count": 3,
            "nameless": {"": 1, "b": 2},
        },
    )
    attempt.start()
    assert attempt.wait(120) == 0, attempt.log
    shown = attempt.cells[1].outputs[0].text.split()
    read = [json.loads(bytes.fromhex(each)) for each in shown]
    assert dict(zip(parameters, read, strict=True)) == parameters
    assert attempt.cells[2].outputs[0].text == "TRUE TRUE TRUE TRUE TRUE  b"
    assert attempt.record["kernel"]["language"] == "R"


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (2**53 + 1, "R has no whole number as large as 9007199254740993: give it as text."),
        ("a\0b", "Text with the character NUL cannot be given to an R kernel."),
    ],
)
def test_what_r_cannot_hold_is_refused_before_it_runs(
    make_attempt: Callable[..., Attempt], value: object, sentence: str
) -> None:
    require("R with its kernel")
    attempt = make_attempt("1", kernel=R_KERNEL, parameters={"x": [value]})
    attempt.start()
    assert attempt.wait() != 0
    assert sentence in attempt.record["message"]
    assert [cell.execution_count for cell in attempt.cells] == [None]


def test_a_language_that_takes_no_object_says_so(make_attempt: Callable[..., Attempt]) -> None:
    attempt = make_attempt(
        "1", kernel={"name": "own", "source": "home"}, parameters={"n": 1, "limits": {"a": 1}}
    )
    folder = attempt.home / ".local" / "share" / "jupyter" / "kernels" / "own"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps({"argv": [sys.executable, "-c", ""], "display_name": "Own", "language": "bash"})
    )
    attempt.start()
    assert attempt.wait() != 0
    assert attempt.record["message"] == (
        "A bash kernel takes numbers, text and true or false as parameters, and neither lists nor "
        "objects: limits."
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('é $x \\ "q"\n', '"é \\$x \\\\ \\"q\\"\\u000a"'),
        ("\u2028😀\U000e0001", '"\\u2028😀\\U000e0001"'),
        (None, "nothing"),
        (True, "true"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
        ([1, 2], "[1, 2]"),
        ([1, 2.5], "Any[1, 2.5]"),
        ([True, 2], "Any[true, 2]"),
        ([[1], [2.5]], "Any[[1], [2.5]]"),
        ([], "Any[]"),
        ({"$": 1, "b": []}, 'Dict{String, Any}("\\$" => 1, "b" => Any[])'),
    ],
)
def test_values_as_julia_writes_them(value: object, written: str) -> None:
    languages.install()
    assert translate_parameters("julia-1.10", "julia", {"x": value}, "p") == f"# p\nx = {written}\n"


def test_numbers_that_are_none_have_the_names_that_r_gives_them() -> None:
    languages.install()
    values = {"x": [float("nan"), float("inf"), float("-inf")]}
    assert translate_parameters("own-r", "R", values, "p") == "# p\nx = list(NaN, Inf, -Inf)\n"
