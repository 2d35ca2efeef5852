"""The Makefile explains itself, documents name its targets, and refusals are one clear line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.platform.checkout import ROOT, find_blocks, read_blocks, read_targets

WANTED = {
    *("run", "setup", "environment", "test", "test-long", "bench", "lint", "types"),
    *("screenshots", "clean", "lock", "build-lab", "bed", "bed-down", "bed-status", "record"),
}
INTERNAL = {"python", "system-packages", "try-bed-programs", "bench-stock"}


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in this checkout."""
    return subprocess.run(
        ["make", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_lists_every_target_with_what_it_does() -> None:
    said = make("help").stdout
    targets = read_targets()
    assert set(targets) >= WANTED
    for target, meaning in targets.items():
        assert bool(meaning) == (target not in INTERNAL), target
        if meaning:
            assert re.search(rf"^  {target} +{re.escape(meaning)}$", said, re.M), target


def test_every_target_is_phony() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == set(read_targets())


def test_documents_name_only_targets_that_there_are() -> None:
    named = [
        (block.document, target)
        for block in read_blocks()
        for target in re.findall(r"^\s*make +([a-z][a-z0-9-]*)", block.text, re.MULTILINE)
    ]
    assert named
    assert not [(document, target) for document, target in named if target not in read_targets()]


def test_a_block_is_run_only_where_it_is_marked() -> None:
    text = "```sh run\nmake run\n```\n\n```sh\nmake test\n```\n\n```python\nrun()\n```\n"
    assert [(b.text, b.runs) for b in find_blocks(text, "d")] == [
        ("make run\n", True),
        ("make test\n", False),
    ]


@pytest.mark.parametrize("target", ["run", "setup", "test-lab"])
def test_an_old_or_absent_python_is_refused_in_one_line(target: str, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for python in (old, tmp_path / "absent"):
        done = make(target, f"PYTHON={python}")
        assert done.returncode != 0
        lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert len(lines) == 1
        assert "needs Python 3.11 or newer" in lines[0]
        assert str(python) in lines[0]


def test_an_optimized_python_is_taken_before_others(tmp_path: Path) -> None:
    answers = {
        "python3": "test $3 = any",
        "python3.13": "false",
        "python3.12": "test $3 = optimized",
    }
    for name, answer in answers.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    show = ("--no-print-directory", "--eval", "show: ; @echo $(PYTHON)", "show")
    assert make(*show, PATH=path, PYTHON="", MAKEFLAGS="").stdout == "python3.12\n"


def test_an_image_that_is_not_built_yet_is_refused_in_one_line() -> None:
    done = make("environment", "IMAGE=nonesuch")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert lines == [
        "image 'nonesuch' is not built yet: there is no images/nonesuch/requirements.txt;"
        " images that can be made: gpu, notebook, r, stomics"
    ]
