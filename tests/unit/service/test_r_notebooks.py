"""Notebooks of R: which parameters they name, with which defaults, and what R cannot take."""

import json
from typing import Any

import pytest

from offline_jobs.contract.executed import read_sources
from offline_jobs.contract.r_source import RAssignment, find_r_assignments
from offline_jobs.contract.request import Request
from offline_jobs.service.errors import Unsound
from offline_jobs.service.notebooks import inspect
from offline_jobs.service.rules.submission import Notebook, examine
from tests.factories import make_offer
from tests.service.web.factories import make_notebook

SPEC = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}


def read(source: str) -> list[tuple[str, str, Any]]:
    found = inspect(make_notebook("1", parameters=source, metadata=SPEC)).parameters
    assert found is not None
    return [(each.name, each.type, each.default) for each in found]


@pytest.mark.parametrize(
    ("literal", "kind", "value"),
    [
        ("50", "number", 50),
        ("50L", "integer", 50),
        ("-1e3L", "integer", -1000),
        ("- .5e-3", "number", -0.0005),
        ("0x1F", "number", 31),
        ("9007199254740993", "number", 2**53),
        ("1e400", "", None),
        ("1i", "", None),
        ("TRUE", "boolean", True),
        ("F", "boolean", False),
        ("NULL", "", None),
        ("NA", "", None),
        ("-Inf", "", None),
        ("'a \"b\" \\\\ \\u00e9\\n#'", "string", 'a "b" \\ é\n#'),
        ("'\\x41\\101'", "string", "AA"),
        ('"\\U{1F600} 中"', "string", "😀 中"),
        (r'r"--(C:\new "x")--"', "string", r'C:\new "x"'),
        ('"\\q"', "", None),
        ('"\\ud800"', "", None),
        ("c(1, 2L, -3)", "array", [1, 2, -3]),
        ('c("Actb",\n  "Gapdh")', "array", ["Actb", "Gapdh"]),
        ('c("a", 1)', "", None),
        ("c(a = 1)", "", None),
        ("c(1, NA)", "", None),
        ("character(0)", "array", []),
        ("list()", "array", []),
        ("list(1, 'x', list(TRUE), NULL)", "array", [1, "x", [True], None]),
        ("list(a = 1, 'b c' = c(1, 2), `d` = list())", "object", {"a": 1, "b c": [1, 2], "d": []}),
        ("list(a = 1, 2)", "", None),
        ("setNames(list(1), c(''))", "object", {"": 1}),
        ("1:5", "", None),
        ("Sys.getenv('HOME')", "", None),
        ("-TRUE", "", None),
        ("list(1,)", "", None),
        ("c(", "none", "none"),
    ],
)
def test_defaults_as_r_writes_them(literal: str, kind: str, value: Any) -> None:
    if kind == "none":
        notebook = make_notebook("1", parameters=f"k <- {literal}", metadata=SPEC)
        assert inspect(notebook).parameters is None
    else:
        assert read(f"k <- {literal}") == [("k", kind, value)]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = 1; .b <<- 2; 3 -> c_1", ["a", ".b", "c_1"]),
        ("größe <- 1\na <- b <- 2", ["größe", "a", "b"]),
        ("a <-\n  1 +\n  2\nb <- data |>\n  head(\n1)\nc <- 3 %in%\n 4", ["a", "b", "c"]),
        ("if (x == 1) {\n  d <- 1\n} else if (y) e <- 2 else\n f <- 3\ng <- 1", list("defg")),
        ("if (x)\n  d <- 1\ng <- 2", ["d", "g"]),
        ("{ d <- 1; { e <- 2 } }", ["d", "e"]),
        ("f <- function(x, y = 2)\n{\n  inner <- 1\n}\ng <- \\(x) x", []),
        ("for (i in 1:3) { j <- i }\nwhile (x)\n  k <- 1\nrepeat\n l <- 1", []),
        ("x$y <- 1\nx[1] <- 2\nnames(x) <- 'a'\n`my name` <- 3\nf(a = 1)\nx == 1", []),
        ("# a <- 1\nb <- '# c <- 2'  # d <- 3", ["b"]),
        ("", []),
    ],
)
def test_what_a_cell_of_r_assigns(source: str, names: list[str]) -> None:
    assert [name for name, _, _ in read(source)] == names


def test_a_comment_behind_an_assignment_is_its_help() -> None:
    notebook = make_notebook(
        "1", parameters="bins <- 50L  # in spots\ngenes <- c(1,\n 2) ## two\nrule <- '#'; x <- 1"
    )
    found = inspect(notebook, "ir").parameters or ()
    assert [(each.help, each.source) for each in found] == [
        ("in spots", "50L"),
        ("two", "c(1,\n 2)"),
        ("", "'#'"),
        ("", "1"),
    ]
    assert read_sources(notebook["cells"], "r")["bins"] == "50L"


@pytest.mark.parametrize("source", ["x <- 'open", "x <- (1", "x <- 1)", "r'(open", "\\" * 3 + "`"])
def test_a_cell_that_is_no_r_leaves_open_what_may_be_given(source: str) -> None:
    notebook = make_notebook("1", parameters=source, metadata=SPEC)
    assert inspect(notebook).parameters is None
    assert read_sources(notebook["cells"], "r") == {}


@pytest.mark.parametrize("source", ["list(" * 3000 + ")" * 3000, "{" * 9000 + "}" * 9000])
def test_a_cell_that_is_nested_deeply_is_read_or_left(source: str) -> None:
    notebook = make_notebook("1", parameters=f"k <- {source}", metadata=SPEC)
    found = inspect(notebook).parameters
    assert found is None or [each.default for each in found] == [None]


def test_what_a_person_nests_is_read_and_much_more_is_not() -> None:
    def find(depth: int) -> list[RAssignment]:
        return find_r_assignments("{" * depth + "n <- 1" + "}" * depth)

    assert [each.name for each in find(40)] == ["n"]
    with pytest.raises(SyntaxError, match="nested too deeply"):
        find(60)


def test_a_cell_that_is_too_long_is_refused() -> None:
    with pytest.raises(Unsound, match="too long"):
        read("k <- 1\n" * 4000)


def test_a_results_values_of_r_are_its_defaults_and_their_cell_is_gone() -> None:
    notebook = make_notebook('# Parameters\nn = 7\nl = list(1, "x")\n', "n", metadata=SPEC)
    notebook["cells"][0]["metadata"]["tags"] = ["injected-parameters"]
    own = make_notebook("1", parameters="n <- 5L  # how many")["cells"][0]
    notebook["cells"].insert(0, own | {"id": "own"})
    inspected = inspect(notebook)
    assert inspected.carried == {"n": 7, "l": [1, "x"]}
    assert "injected" not in inspected.text
    assert [(p.name, p.default, p.help, p.is_carried) for p in inspected.parameters or ()] == [
        ("n", 7, "how many", True),
        ("l", [1, "x"], "", True),
    ]


@pytest.mark.parametrize("source", ["n = 1 + 1", "n = NA", "n = 1\nlibrary(Seurat)", "n = (1"])
def test_values_of_r_that_json_cannot_say_stay_where_they_are(source: str) -> None:
    notebook = make_notebook(source, metadata=SPEC)
    notebook["cells"][0]["metadata"]["tags"] = ["injected-parameters"]
    inspected = inspect(notebook)
    assert inspected.carried == {}
    assert json.loads(inspected.text)["cells"][0]["source"] == source


def find_problems(value: object, *, name: str = "n") -> list[str]:
    asked = Request(
        path="a.ipynb", image="notebook", machine_class="standard", parameters={name: value}
    )
    known = Notebook(language="r", kernel="python3", parameters=frozenset({"n"}))
    return [each.message for each in examine(asked, make_offer(), known).problems]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**53 + 1, "R has no whole number as large as this one: give it as text."),
        ({"a": [-(2**60)]}, "R has no whole number as large as this one: give it as text."),
        (["a\0b"], "R's text holds no character NUL."),
        (float("inf"), "The number is not finite."),
    ],
)
def test_what_r_cannot_hold_is_refused_at_submission(value: object, message: str) -> None:
    assert find_problems(value) == [message]


def test_a_name_that_the_notebook_of_r_does_not_name_is_refused_with_those_it_does() -> None:
    assert find_problems(1, name="m") == ["The notebook does not name this parameter: it names n."]
    assert find_problems(-(2**53)) == []
