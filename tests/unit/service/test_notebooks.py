"""Notebooks: their snapshot, their parameters, and what is taken although it looks odd."""

import json
import logging
import random
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from offline_jobs.service.errors import Unsound
from offline_jobs.service.notebooks import inspect
from tests.service.web.factories import make_notebook


def test_the_snapshot_is_the_same_for_equal_notebooks() -> None:
    plain = make_notebook("a = 1\nb = 2", "c")
    other = json.loads(json.dumps(plain))
    other["cells"][0]["source"] = ["a = 1\n", "b = 2"]
    other["cells"][0]["outputs"] = []
    other["cells"][0]["execution_count"] = None
    other = dict(reversed(other.items()))
    assert inspect(plain).text == inspect(other).text


def test_the_notebook_that_was_given_stays_as_it_was() -> None:
    notebook = make_notebook("1")
    before = json.dumps(notebook)
    inspect(notebook)
    assert json.dumps(notebook) == before


@pytest.mark.parametrize("minor", [0, 4, 5, 9])
def test_every_minor_version_of_nbformat_4_is_taken(minor: int) -> None:
    notebook = make_notebook("1", nbformat_minor=minor)
    cell = json.loads(inspect(notebook).text)["cells"][0]
    assert ("id" in cell) == (minor >= 5)


def test_missing_and_repeated_cell_ids_are_filled_in_alike_each_time() -> None:
    notebook = make_notebook("1", "2", "3")
    del notebook["cells"][0]["id"]
    notebook["cells"][2]["id"] = notebook["cells"][1]["id"]
    texts = {inspect(json.loads(json.dumps(notebook))).text for _ in range(3)}
    assert len(texts) == 1
    ids = [cell["id"] for cell in json.loads(texts.pop())["cells"]]
    assert len(set(ids)) == 3


def test_cells_are_counted_as_the_kernel_counts_them() -> None:
    notebook = make_notebook("1", "", "  \n", "2")
    notebook["cells"].append({"cell_type": "markdown", "id": "m", "metadata": {}, "source": "x"})
    assert inspect(notebook).cells == 2


def test_parameters_with_type_default_and_help() -> None:
    source = (
        "bin_size: int = 50  # in spots\n"
        "name = 'E14'\n"
        "ratio = .5\n"
        "on = True\n"
        "nothing = None\n"
        "pair = (1, 2)\n"
        "table = {'a': [1]}\n"
        "home = Path.home()\n"
        "huge = 1e999\n"
        "a = b = 3\n"
    )
    found = inspect(make_notebook("1", parameters=source)).parameters
    assert found is not None
    assert {p.name: (p.type, p.default) for p in found} == {
        "bin_size": ("int", 50),
        "name": ("str", "E14"),
        "ratio": ("float", 0.5),
        "on": ("bool", True),
        "nothing": ("", None),
        "pair": ("tuple", [1, 2]),
        "table": ("dict", {"a": [1]}),
        "home": ("", None),
        "huge": ("", None),
        "a": ("int", 3),
        "b": ("int", 3),
    }
    assert (found[0].help, found[7].source) == ("in spots", "Path.home()")


@pytest.mark.parametrize(
    "default", ["(" * 500, "[" * 900, "-" * 900 + "1", "1" * 900, "'" + "\\" * 99, "{[]: 1}"]
)
def test_defaults_that_are_hard_to_read_are_no_literals(default: str) -> None:
    found = inspect(make_notebook("1", parameters=f"k = {default}")).parameters
    assert found is not None
    assert [p.name for p in found] in (["k"], [])


def test_a_parameter_whose_line_has_a_second_equals_sign_is_found() -> None:
    source = (
        "bin_size: int = 50  # 50 DNBs = 25 µm\n"
        'rule = "a=b"  # text\n'
        "sizes = [\n    1,  # n = 1\n    2,\n]  # both\n"
        "seed = 1\n"
    )
    notebook = make_notebook(source)
    notebook["cells"][0]["metadata"]["tags"] = ["parameters"]
    found = inspect(notebook).parameters
    assert found is not None
    assert [(p.name, p.type, p.default, p.help) for p in found] == [
        ("bin_size", "int", 50, "50 DNBs = 25 µm"),
        ("rule", "str", "a=b", "text"),
        ("sizes", "list", [1, 2], "both"),
        ("seed", "int", 1, ""),
    ]


def names_of(source: str) -> list[tuple[str, str, object]]:
    found = inspect(make_notebook("1", parameters=source)).parameters
    assert found is not None
    return [(each.name, each.type, each.default) for each in found]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("n: int", [("n", "int", None)]),
        ("c, d = 1, 'x'", [("c", "int", 1), ("d", "str", "x")]),
        ("(c, [d, *e]) = f()", [("c", "", None), ("d", "", None), ("e", "", None)]),
        ("a = b, c = 1, 2", [("a", "tuple", [1, 2]), ("b", "int", 1), ("c", "int", 2)]),
        ("c, d = 1, 2, 3", [("c", "", None), ("d", "", None)]),
        ("_n = 1", [("_n", "int", 1)]),
        ("if cluster:\n    d = 1\nelse:\n    e = 2", [("d", "int", 1), ("e", "int", 2)]),
        ("try:\n    d = 1\nexcept E:\n    e = 2", [("d", "int", 1), ("e", "int", 2)]),
        ("txt = '''\nl2 = 3'''\nk = 2", [("txt", "str", "\nl2 = 3"), ("k", "int", 2)]),
        ("def f():\n    inner = 1\nfor i in x:\n    j = i", []),
        ("home.path = 1\nsizes[0] = 2", []),
        ("a = '\x0c\u2028'  # odd\rb = 2", [("a", "str", "\x0c\u2028"), ("b", "int", 2)]),
    ],
)
def test_what_a_cell_assigns_or_declares(source: str, names: list[tuple[str, str, object]]) -> None:
    assert names_of(source) == names


def test_a_cell_that_is_not_plain_python_is_read_line_by_line() -> None:
    assert names_of("%matplotlib inline\nk = 2") == [("k", "int", 2)]


@pytest.mark.parametrize(
    ("kernel", "usual", "metadata", "language"),
    [
        ("python3", "", {}, "python"),
        ("", "python3", {}, "python"),
        ("", "python3", {"kernelspec": {"name": "ir", "display_name": "R"}}, "r"),
        ("python3", "", {"kernelspec": {"name": "ir", "display_name": "R"}}, "python"),
        ("ir", "", {"language_info": {"name": "python"}}, "r"),
        ("julia-1.10", "", {"language_info": {"name": "python"}}, "julia"),
        ("my-env", "python3", {"language_info": {"name": "Python"}}, "python"),
        ("my-env", "python3", {}, ""),
    ],
)
def test_the_language_is_that_of_the_kernel_that_runs_it(
    kernel: str, usual: str, metadata: dict[str, object], language: str
) -> None:
    assert inspect(make_notebook("1", metadata=metadata), kernel, usual).language == language


def make_executed(
    *injected: str, parameters: str = "n = 1  # how many\nm = 2\nhome: Path = 'a'"
) -> Any:
    notebook = make_notebook("print(n)", parameters=parameters)
    place = 1 if parameters else 0
    for source in reversed(injected):
        cell = make_notebook(source)["cells"][0]
        cell["metadata"]["tags"] = ["injected-parameters"]
        notebook["cells"].insert(place, cell | {"id": f"injected-{len(notebook['cells'])}"})
    return notebook


def test_a_results_values_are_its_defaults_and_their_cell_is_gone() -> None:
    inspected = inspect(
        make_executed("# Parameters\nn = 4.5\nhome = 'b'\nextra = {'a': [None, True]}\n")
    )
    assert inspected.carried == {"n": 4.5, "home": "b", "extra": {"a": [None, True]}}
    assert inspected.cells == 2
    assert "injected" not in inspected.text
    assert [
        (p.name, p.type, p.default, p.help, p.is_carried) for p in inspected.parameters or ()
    ] == [
        ("n", "float", 4.5, "how many", True),
        ("m", "int", 2, "", False),
        ("home", "Path", "b", "", True),
        ("extra", "dict", {"a": [None, True]}, "", True),
    ]


def test_a_result_whose_notebook_has_no_parameters() -> None:
    inspected = inspect(make_executed("n = 42", "n = 43", parameters=""))
    assert (inspected.carried, inspected.cells) == ({"n": 43}, 1)


@pytest.mark.parametrize(
    "source",
    ["n = f()", "n = (1, 2)", "n = {1: 2}", "n = 1e999", "n = 2 ** 70", "n = 1\nimport os", "%x"],
)
def test_injected_values_that_json_cannot_say_stay_where_they_are(source: str) -> None:
    """The next values are injected after them, not after the notebook's own."""
    inspected = inspect(make_executed(source))
    cells = json.loads(inspected.text)["cells"]
    assert inspected.carried == {}
    assert [cell["metadata"].get("tags") for cell in cells] == [[], ["parameters"], None]
    assert cells[1]["source"] == source


def test_another_languages_injected_values_stay_where_they_are() -> None:
    inspected = inspect(make_executed("n = 42", parameters="n = 1"), "julia-1.10")
    cells = json.loads(inspected.text)["cells"]
    assert [cell["metadata"].get("tags") for cell in cells] == [[], ["parameters"], None]


def test_metadata_that_says_nothing_of_what_runs_is_mended() -> None:
    notebook = make_notebook("1", "2", "3", "4", parameters="k = 1")
    notebook["metadata"] = {
        "kernelspec": {"name": "python3"},
        "language_info": {},
        "authors": "me",
        "own": {"kept": 1},
    }
    ids = ["", "a.b", "x" * 65, ["a"], 7]
    for cell, id_ in zip(notebook["cells"], ids, strict=True):
        cell["id"] = id_
    tags: list[Any] = [["parameters", "parameters"], ["a,b", "b", 3, ""], "one", {"x": 1}]
    for cell, each in zip(notebook["cells"], tags, strict=False):
        cell["metadata"]["tags"] = each
    notebook["cells"][3]["metadata"]["collapsed"] = "yes"
    notebook["cells"][4]["metadata"] = []
    inspected = inspect(notebook)
    clean = json.loads(inspected.text)
    assert clean["metadata"] == {
        "kernelspec": {"name": "python3", "display_name": "python3"},
        "own": {"kept": 1},
    }
    assert len({cell["id"] for cell in clean["cells"]}) == 5
    assert [cell["metadata"] for cell in clean["cells"]] == [
        {"tags": ["parameters"]},
        {"tags": ["a", "b"]},
        {"tags": ["one"]},
        {"tags": []},
        {},
    ]
    assert [p.name for p in inspected.parameters or ()] == ["k"]


@pytest.mark.parametrize("spec", [{}, {"display_name": "Python"}, [], None, "python3", {"name": 3}])
def test_a_kernelspec_without_a_name_is_none(spec: object) -> None:
    inspected = inspect(make_notebook("1", metadata={"kernelspec": spec}))
    assert (inspected.kernel, json.loads(inspected.text)["metadata"]) == ("", {})


@pytest.mark.parametrize(
    ("cell", "what"),
    [
        (7, "Cell 2 of the notebook is damaged: it is not an object."),
        ({"cell_type": "heading", "source": "x"}, "its cell_type is not code, markdown or raw"),
        ({"cell_type": "code", "source": [1]}, "its source is not text"),
        ({"cell_type": "raw", "source": "x", "attachments": 3}, "Cell 2 .* 'attachments'"),
    ],
)
def test_a_damaged_cell_is_named(cell: object, what: str) -> None:
    notebook = make_notebook("1", "2")
    notebook["cells"][1] = cell
    with pytest.raises(Unsound, match=what):
        inspect(notebook)


#: What a value of a notebook may be replaced with.
ODD: list[Any] = [
    None, True, -1, 2**70, 1.5, "", "\ud800", "a\x00b", [], [[]], {}, {"a": 1}, [1], "code", ["x"],
]  # fmt: skip


def find_places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    match value:
        case dict():
            items = list(value.items())
        case list():
            items = list(enumerate(value))
        case _:
            return
    for key, inner in items:
        yield from find_places(inner, (*path, key))


def test_any_notebook_is_taken_or_refused_in_words(long_run: bool) -> None:
    """One or more values anywhere are replaced with odd ones: nothing else is ever raised."""
    chance = random.Random(20261128)
    whole = make_executed("n = 42")
    whole["cells"][0]["metadata"] |= {"name": "x", "jupyter": {"source_hidden": True}}
    whole["cells"].append(
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "x",
         "attachments": {"a.png": {"image/png": "AA=="}}}
    )  # fmt: skip
    places = list(find_places(whole))
    taken = 0
    for _ in range(20_000 if long_run else 400):
        notebook = json.loads(json.dumps(whole))
        for path in chance.sample(places, chance.choice([1, 1, 2, 5])):
            holder = notebook
            try:
                for step in path[:-1]:
                    holder = holder[step]
                holder[path[-1]] = chance.choice(ODD)
            except (LookupError, TypeError):
                continue
        try:
            taken += bool(json.dumps(asdict(inspect(notebook)), allow_nan=False).encode())
        except Unsound:
            continue
    assert taken


def test_other_languages_parameters_cannot_be_read() -> None:
    metadata = {"kernelspec": {"name": "j", "display_name": "J", "language": "Julia"}}
    inspected = inspect(make_notebook("1", parameters="k = 1", metadata=metadata))
    assert (inspected.language, inspected.kernel, inspected.parameters) == ("julia", "j", None)


def test_a_notebook_without_a_word_on_its_kernel() -> None:
    inspected = inspect(make_notebook("1", metadata={}))
    assert (inspected.language, inspected.kernel, inspected.parameters) == ("", "", None)


def test_reading_parameters_takes_a_bounded_time() -> None:
    line = "x" + " " * 990 + "y"
    source = "a = (\n" + "\n".join([line] * 19)
    began = time.process_time()  # of this process alone, however busy the machine is
    inspect(make_notebook("1", parameters=source))
    assert time.process_time() - began < 10


def test_nothing_of_a_notebook_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        inspect(make_notebook("1", parameters="secret = token = 'hunter2'"))
        with pytest.raises(Unsound):
            inspect({"hunter2": 1})
    assert "hunter2" not in caplog.text
