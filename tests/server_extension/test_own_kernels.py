"""Kernels of the home: offered by the session, and looked at before a job is made."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import Jupyter, Service, write_notebook

SOUND = {"problems": [], "sentence": "Runs on Standard.", "parameters": [], "cells": 1}
MINE = {"name": "mine", "source": "home"}


@pytest.fixture
def python(jupyter: Jupyter) -> Path:
    """The Python of an environment in the home, with its kernel and a notebook that names it."""
    environment = jupyter.home / "work" / ".venv"
    python = environment / "bin" / "python"
    packages = environment / "lib" / "python3.11" / "site-packages"
    for folder in (python.parent, packages):
        folder.mkdir(parents=True, exist_ok=True)
    (environment / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    (packages / "ipykernel_launcher.py").touch()
    python.unlink(missing_ok=True)
    python.symlink_to(sys.executable)
    spec = jupyter.home / ".local/share/jupyter/kernels/mine"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    document = {"argv": argv, "display_name": "Mine", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(document))
    write_notebook(jupyter.home / "mine.ipynb", kernel="mine")
    return python


def submit(jupyter: Jupyter, endpoint: str, **fields: Any) -> Any:
    return jupyter.ask("POST", endpoint, json={"path": "mine.ipynb", **fields})


def test_a_session_names_the_kernels_of_the_home(jupyter: Jupyter, python: Path) -> None:
    (kernel,) = jupyter.ask("GET", "session").json()["kernels"]
    assert kernel == {
        "name": "mine",
        "display_name": "Mine",
        "language": "python",
        "flaw": "",
        "stands_on": str(Path(sys.executable).resolve()),
    }
    python.unlink()
    (kernel,) = jupyter.ask("GET", "session").json()["kernels"]
    assert kernel["flaw"].startswith("Kernel mine runs ~/work/.venv/bin/python")


def test_a_whole_one_is_passed_on(jupyter: Jupyter, service: Service, python: Path) -> None:
    service.answers(200, SOUND)
    assert submit(jupyter, "check").json() == SOUND
    assert service.asked[0].json["kernel"] == MINE
    service.answers(202, {"id": "k3j9x0a1b2c3"})
    assert submit(jupyter, "jobs").status_code == 202


def test_a_broken_one_is_a_problem_and_makes_no_job(
    jupyter: Jupyter, service: Service, python: Path
) -> None:
    python.unlink()
    service.answers(200, SOUND)
    answer = submit(jupyter, "check").json()
    (problem,) = answer["problems"]
    assert (problem["field"], problem["code"]) == ("kernel", "kernel-unfit")
    assert "which is not there (any more)" in problem["message"]
    assert answer["sentence"] == ""
    service.asked.clear()
    refused = submit(jupyter, "jobs")
    assert (refused.status_code, refused.json()["field"]) == (422, "kernel")
    assert service.asked == []


def test_one_that_was_removed_is_a_problem(
    jupyter: Jupyter, service: Service, python: Path
) -> None:
    service.answers(200, SOUND)
    chosen = {"name": "gone", "source": "home"}
    (problem,) = submit(jupyter, "check", kernel=chosen).json()["problems"]
    assert problem["message"] == "You have no kernel gone (any more): choose another one."


def test_of_another_image_nothing_is_promised(
    jupyter: Jupyter, service: Service, python: Path
) -> None:
    service.answers(200, SOUND)
    answer = submit(jupyter, "check", image="stomics").json()
    assert answer["problems"] == []
    stands_on = Path(sys.executable).resolve()
    assert answer["sentence"].startswith(f"Runs on Standard. Kernel mine needs {stands_on}")
    python.unlink()
    python.symlink_to("/usr/bin/python3.99")
    answer = submit(jupyter, "check", image="stomics").json()
    assert answer["problems"] == []
    assert answer["sentence"].endswith("cannot be tried in this session's image.")


def test_an_answer_that_is_no_check_stays_as_it_is(
    jupyter: Jupyter, service: Service, python: Path
) -> None:
    python.unlink()
    refusal = {"code": "forbidden", "message": "No group."}
    service.answers(403, refusal)
    assert submit(jupyter, "check").json() == refusal
