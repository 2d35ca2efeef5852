"""Notebooks: their snapshot, their parameters, and what is taken although it looks odd."""

import json
import logging
import time

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


def test_other_languages_parameters_cannot_be_read() -> None:
    metadata = {"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}}
    inspected = inspect(make_notebook("1", parameters="k <- 1", metadata=metadata))
    assert (inspected.language, inspected.kernel, inspected.parameters) == ("r", "ir", None)


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
