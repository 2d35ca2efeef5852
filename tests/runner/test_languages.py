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
from offline_jobs.service.notebooks import inspect
from tests.runner.attempts import Attempt, make_notebook
from tests.skips import require

R_KERNEL = {"name": "ir", "source": "image"}
#: Values as notebooks of R write them, each of which JSON can say.
LITERALS = (
    "50L", "-5", "2.50", "1e-3", "0x1F", "1e3L", "TRUE", "F", "NULL",
    r"""'it\'s "x" \\ \t \u00e9 \U{1F600} 中'""", r"'\x41\101 \"'", r"""'\"\'a\'\"'""",
    r'R"--[C:\new]" [a]]--"',
    "c(1, 2.5)", "c('a',\n 'b')", "list()", "list(1, 'x', list(TRUE))",
    "list(a = 1, `b c` = list('d'), 'e' = FALSE)", "- - 2", "character(0)",
)  # fmt: skip
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


def test_defaults_of_r_are_read_as_r_itself_reads_them(
    make_attempt: Callable[..., Attempt],
) -> None:
    require("R with its kernel")
    cell = "\n".join(f"d{number} <- {each}" for number, each in enumerate(LITERALS))
    notebook = make_notebook(cell, parameters=cell)
    read = {each.name: each.default for each in inspect(notebook, "ir").parameters or ()}
    assert len(read) == len(LITERALS)
    attempt = make_attempt(
        f"{cell}\nwanted <- sprintf('d%d', 0:{len(read) - 1})\n{SHOW}", kernel=R_KERNEL
    )
    attempt.start()
    assert attempt.wait(120) == 0, attempt.log
    shown = [json.loads(bytes.fromhex(each)) for each in attempt.cells[0].outputs[0].text.split()]
    assert dict(zip(read, shown, strict=True)) == read


def test_a_list_given_for_a_vector_of_r_is_one(make_attempt: Callable[..., Attempt]) -> None:
    require("R with its kernel")
    attempt = make_attempt(
        "cat(all(c('a', 'é') %in% genes), is.character(genes), anyNA(sizes), sum(sizes, na.rm = T),"
        " is.list(pairs), is.list(mixed), is.list(new), length(none), (1:5)[chosen])",
        kernel=R_KERNEL,
        parameters={
            "genes": ["a", "é"],
            "sizes": [1, 2.5, None],
            "pairs": [1, 2],
            "mixed": [1, "a"],
            "new": [1],
            "none": [],
            "chosen": [2, 3],
        },
    )
    own = "genes <- NULL\nsizes = 1:3\npairs <- list(1)\nmixed <- c()\nnone <- c(1)\nchosen <- 1"
    attempt.specification["notebook"]["cells"].insert(0, make_notebook(parameters=own)["cells"][0])
    attempt.start()
    assert attempt.wait(120) == 0, attempt.log
    said = "TRUE TRUE TRUE 3.5 TRUE TRUE TRUE 0 2 3"
    assert attempt.cells[-1].outputs[0].text == said
    given = attempt.notebook.metadata.papermill["parameters"]
    assert given["genes"] == ["a", "é"]
    assert attempt.notebook.metadata.papermill["default_parameters"] == {}


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
