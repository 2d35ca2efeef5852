"""What reaches the service when Lab checks or submits a notebook."""

import json
from pathlib import Path

import nbformat
import pytest

from offline_jobs.contract.job import SUBMISSION_FIELDS

from .conftest import HUB_TOKEN, Jupyter, Service, write_notebook

PATH = "stereo/markers.ipynb"


@pytest.mark.parametrize(("endpoint", "target"), [("check", "jobs/check"), ("jobs", "jobs")])
def test_reads_the_notebook_and_fills_in_the_session(
    jupyter: Jupyter, service: Service, endpoint: str, target: str
) -> None:
    service.answers(202, {"id": "k3j9x0a1b2c3"})
    answer = jupyter.ask(
        "POST",
        endpoint,
        json={"path": PATH, "name": "markers", "parameters": {"bin_size": 20}},
        headers={"Idempotency-Key": "0123456789abcdef"},
    )
    assert (answer.status_code, answer.json()) == (202, {"id": "k3j9x0a1b2c3"})
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("POST", f"/services/offline-jobs/api/v1/{target}")
    assert asked.headers["Authorization"] == f"token {HUB_TOKEN}"
    assert asked.headers["Idempotency-Key"] == "0123456789abcdef"
    body = asked.json
    notebook = body.pop("notebook")
    assert body == {
        "path": PATH,
        "name": "markers",
        "group": "spatial-lab",
        "image": "notebook",
        "class": "standard",
        "kernel": {"name": "python3", "source": "image"},
        "parameters": {"bin_size": 20},
    }
    assert set(body) | {"notebook"} <= set(SUBMISSION_FIELDS)
    nbformat.validate(nbformat.from_dict(notebook))
    assert [cell["source"] for cell in notebook["cells"]] == [
        "# Markers",
        "bin_size = 50",
        "print(bin_size)",
    ]
    assert notebook["cells"][1]["metadata"] == {"tags": ["parameters"]}
    assert all(
        cell["outputs"] == [] and cell["execution_count"] is None for cell in notebook["cells"][1:]
    )


def test_what_was_chosen_goes_before_the_session(jupyter: Jupyter, service: Service) -> None:
    chosen = {
        "group": "gpu-users",
        "image": "gpu",
        "class": "gpu",
        "kernel": {"name": "ir", "source": "image"},
        "time_limit_seconds": 60,
        "interruptible": False,
    }
    jupyter.ask("POST", "check", json={"path": PATH, **chosen})
    assert service.asked[0].json | chosen == service.asked[0].json


def test_empty_choices_count_as_not_made(jupyter: Jupyter, service: Service) -> None:
    jupyter.ask("POST", "check", json={"path": PATH, "group": "", "kernel": None})
    assert service.asked[0].json["group"] == "spatial-lab"
    assert service.asked[0].json["kernel"]["name"] == "python3"


def test_shared_drives_prefix_is_dropped(jupyter: Jupyter, service: Service) -> None:
    jupyter.ask("POST", "check", json={"path": f"RTC:{PATH}"})
    assert service.asked[0].json["path"] == PATH


def test_a_kernel_installed_at_home_is_named_so(jupyter: Jupyter, service: Service) -> None:
    spec = jupyter.home / ".local/share/jupyter/kernels/mine"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": ["python"], "display_name": "Mine", "language": "python"})
    )
    write_notebook(jupyter.home / "mine.ipynb", kernel="mine")
    jupyter.ask("POST", "check", json={"path": "mine.ipynb"})
    assert service.asked[0].json["kernel"] == {"name": "mine", "source": "home"}


def test_a_notebook_without_kernel_leaves_it_to_the_service(
    jupyter: Jupyter, service: Service
) -> None:
    write_notebook(jupyter.home / "plain.ipynb", kernel=None)
    jupyter.ask("POST", "check", json={"path": "plain.ipynb"})
    assert "kernel" not in service.asked[0].json


def test_a_damaged_notebook_is_left_for_the_service_to_refuse(
    jupyter: Jupyter, service: Service
) -> None:
    cell = {"cell_type": "raw", "metadata": {}, "source": "x", "id": "a", "unknown": 1}
    damaged = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    (jupyter.home / "damaged.ipynb").write_text(json.dumps(damaged))
    jupyter.ask("POST", "check", json={"path": "damaged.ipynb"})
    assert service.asked[0].json["notebook"]["cells"][0]["unknown"] == 1


@pytest.mark.parametrize(
    ("path", "status", "code", "words"),
    [
        ("gone.ipynb", 404, "no-such-notebook", "moved, renamed or deleted"),
        ("torn.ipynb", 400, "unreadable-notebook", "cannot be read as a notebook"),
        ("cells.ipynb", 400, "unreadable-notebook", "cannot be read as a notebook"),
        ("text.txt", 400, "unreadable-notebook", "cannot be read as a notebook"),
    ],
)
def test_what_is_no_notebook_is_refused_here(
    jupyter: Jupyter, service: Service, path: str, status: int, code: str, words: str
) -> None:
    (jupyter.home / "torn.ipynb").write_text('{"nbformat": 4, "cells": [')
    (jupyter.home / "cells.ipynb").write_text(
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "x"}]}'
    )
    (jupyter.home / "text.txt").write_text("text")
    answer = jupyter.ask("POST", "jobs", json={"path": path})
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert answer.json()["field"] == "path"
    assert words in answer.json()["message"]
    assert service.asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b"{}", "path"),
        (b'{"path": 3}', "path"),
        (b'{"path": "a.ipynb", "notebook": {}, "owner": "ben"}', "Unknown: notebook, owner"),
    ],
)
def test_a_body_of_another_shape_is_refused(
    jupyter: Jupyter, service: Service, body: bytes, words: str
) -> None:
    answer = jupyter.ask("POST", "jobs", content=body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert service.asked == []


def test_the_file_stays_as_it_is(jupyter: Jupyter, service: Service) -> None:
    file: Path = jupyter.home / PATH
    before = file.read_bytes()
    jupyter.ask("POST", "jobs", json={"path": PATH})
    assert file.read_bytes() == before
