"""What is said of an image, without building one: its packages, labels and bill of materials."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from images._inside.checks import Wrong, compare_packages, run, run_checks
from images._tool.build import build_labels
from images._tool.sbom import Inventory, build_sbom
from tests.platform.checkout import ROOT

LOCK = """\
one==1.0 \\
    --hash=sha256:ab
two-three==2.0rc1 ; sys_platform == 'win32' \\
    --hash=sha256:cd
"""


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ({"one": "1.0"}, []),
        ({"one": "1.0", "two-three": "2.0rc1"}, []),
        ({"one": "1.1"}, ["one"]),
        ({"one": "1.0", "other": "1"}, ["other"]),
        # An environment that lacks something would else be noticed by whoever imports it.
        ({}, ["one"]),
    ],
)
def test_an_environment_has_what_its_lock_names_and_no_more(
    found: dict[str, str], wrong: list[str]
) -> None:
    assert compare_packages(LOCK, found) == wrong


def test_a_check_that_finds_something_fails_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    def check_one() -> str:
        raise Wrong("is amiss")

    assert run_checks([check_one, lambda: "well"]) == 1
    assert capsys.readouterr().out == "WRONG check_one: is amiss\nwell\n"
    assert run_checks([lambda: "well"]) == 0


def test_a_program_that_is_missing_or_fails_is_told_in_a_line() -> None:
    with pytest.raises(Wrong, match=r"^no-such-program cannot be started: No such file"):
        run("no-such-program", "--version")
    with pytest.raises(Wrong, match=r"^sh -c echo why; exit 3 ended with 3: why"):
        run("sh", "-c", "echo why; exit 3")


def test_labels_say_what_an_image_is_and_nothing_that_two_builds_differ_in() -> None:
    prefix = "org.opencontainers.image."
    assert build_labels(ROOT, "r", "localhost/notebook-hpc/r:0.1.0", "base:1") == {
        f"{prefix}title": "r",
        f"{prefix}version": "0.1.0",
        f"{prefix}licenses": "Apache-2.0",
        # Of the catalogue, as people read it.
        f"{prefix}description": "R with the tidyverse and Seurat, beside the Python of the Python"
        " notebook.",
        f"{prefix}base.name": "base:1",
    }


def test_an_image_that_nobody_chooses_is_described_by_its_page(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "helm-values", tmp_path / "helm-values")
    page = tmp_path / "images" / "own" / "README.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Image `own`\n\nMakes\nfolders. And more.\n")
    labels = build_labels(tmp_path, "own", "own:2", "")
    assert labels["org.opencontainers.image.description"] == "Makes folders."
    assert "org.opencontainers.image.base.name" not in labels


def test_a_bill_of_materials_names_each_package_by_its_url() -> None:
    inventory: Inventory = {
        "python": [("Jinja2", "3.1.6"), ("ruamel.yaml", "0.18")],
        "debian": [("libc6", "2.36-9+deb12u10", "amd64")],
    }
    text = build_sbom("own", "0.1.0", inventory)
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    about = bill["metadata"]["component"]
    assert (about["name"], about["version"], about["type"]) == ("own", "0.1.0", "container")
    assert {(each["purl"], each["version"]) for each in bill["components"]} == {
        ("pkg:pypi/jinja2@3.1.6", "3.1.6"),
        ("pkg:pypi/ruamel.yaml@0.18", "0.18"),
        ("pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64", "2.36-9+deb12u10"),
    }
    (whole,) = [each for each in bill["dependencies"] if each["ref"] == about["bom-ref"]]
    assert set(whole["dependsOn"]) == {each["purl"] for each in bill["components"]}
    # A line for each fact, so that two can be compared.
    assert text.startswith('{\n "')
