"""A conda file becomes requirements; what PyPI has not is named, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from offline_jobs.environments.files import (
    Asked,
    FileRefused,
    check_python,
    find_file,
    read_conda,
)


def read(*dependencies: object) -> Asked:
    return read_conda({"name": "mine", "dependencies": list(dependencies)}, "environment.yml")


@pytest.mark.parametrize(
    ("entry", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy *", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy 1.26.*", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.4=py311h64a7726_0", "numpy==1.26.4"),
        ("numpy >=1.26, <2", "numpy>=1.26,<2"),
        ("conda-forge::scanpy", "scanpy"),
        ("conda-forge/linux-64::scanpy=1.10", "scanpy==1.10.*"),
        ("pytorch=2.3", "torch==2.3.*"),
        ("matplotlib-base", "matplotlib"),
    ],
)
def test_a_package_of_conda_becomes_a_requirement(entry: str, requirement: str) -> None:
    assert read(entry).requirements == (requirement,)


def test_what_pypi_has_not_is_named_and_the_rest_is_kept() -> None:
    asked = read(
        "python=3.11",
        "pip",
        "r-seurat=5",
        "samtools",
        "libgdal",
        "scanpy",
        {"pip": ["omnipath>=1"]},
    )
    assert asked.requirements == ("scanpy", "omnipath>=1")
    assert asked.left_out == ("r-seurat=5", "samtools", "libgdal")
    assert asked.python == "==3.11.*"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "no list 'dependencies'"),
        ([], "no list 'dependencies'"),
        ({"dependencies": "numpy"}, "no list 'dependencies'"),
        ({"dependencies": ["numpy=1.2|1.3"]}, "'numpy=1.2|1.3' cannot be understood"),
        ({"dependencies": ["numpy[version='>=1']"]}, "cannot be understood"),
        ({"dependencies": [{"npm": ["x"]}]}, "only '- pip:'"),
        ({"dependencies": [{"pip": "x"}]}, "only '- pip:'"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_words(document: object, words: str) -> None:
    with pytest.raises(FileRefused) as caught:
        read_conda(document, "environment.yml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("environment.yml")


@pytest.mark.parametrize("wanted", ["", "==3.11.*", "==3.11.9", ">=3.10"])
def test_a_python_that_is_there_is_accepted(wanted: str) -> None:
    check_python(wanted, (3, 11), "environment.yml")


def test_another_python_is_refused_with_the_mend() -> None:
    with pytest.raises(
        FileRefused, match=r"asks for Python 3\.12, and here is 3\.11: choose an image"
    ):
        check_python("==3.12.*", (3, 11), "environment.yml")


def test_of_several_files_the_first_is_taken(tmp_path: Path) -> None:
    assert find_file(tmp_path) is None
    for name in ("environment.yml", "pyproject.toml", "requirements.txt"):
        (tmp_path / name).touch()
        assert find_file(tmp_path) == tmp_path / name
