"""The five lines on how a result came about."""

from typing import Any

import pytest

from offline_jobs.contract.request import Request
from offline_jobs.contract.run import ResultRecord
from offline_jobs.service.rules.methods import describe_methods

WHOLE = ResultRecord(
    job="k3j9x0a1b2c3",
    attempt=1,
    outcome="succeeded",
    exit_code=0,
    cell=10,
    total=10,
    started="2026-11-24T07:15:00.000+01:00",
    ended="2026-11-24T07:45:30.000+01:00",
    memory_peak_bytes=3 * 1024**3,
    request=Request(
        path="stereo/markers.ipynb",
        parameters={"seed": 5, "tissue": "E14 é"},
        image="stomics",
        machine_class="large",
    ),
    kernel={
        "name": "python3",
        "source": "image",
        "display_name": "Python 3",
        "language": "python",
        "version": "3.11.7",
    },
    notebook_parameters={"bin_size": "50", "root": "Path.home()", "declared": ""},
    git={"commit": "0123abc", "clean": False},
    versions={"python": "3.11.7", "papermill": "2.7.0", "offline-jobs": "0.1.0"},
    snapshot_sha256="a" * 64,
    image_reference="registry/stomics:1@sha256:b",
    packages_sha256="c" * 64,
    machine={
        "cores": "16",
        "memory_bytes": "1",
        "architecture": "x86_64",
        "processor": "EPYC 7R13",
    },
)


def change(**fields: Any) -> ResultRecord:
    return ResultRecord.from_json(WHOLE.to_json() | fields)


def test_all_that_is_known_is_said() -> None:
    said = describe_methods(WHOLE, image="Spatial omics", machine_class="Large")
    assert said == (
        f"Notebook stereo/markers.ipynb (SHA-256 {'a' * 64}) was run as a whole, "
        "2026-11-24 06:15:00 UTC to 2026-11-24 06:45:30 UTC, as offline job k3j9x0a1b2c3.\n"
        "Parameters: seed = 5, tissue = 'E14 é' (given); "
        "bin_size = 50, root = Path.home() (the notebook's own).\n"
        "Software: kernel Python 3 (python 3.11.7) of image Spatial omics "
        "(registry/stomics:1@sha256:b), run by papermill 2.7.0, offline-jobs 0.1.0; "
        f"packages in packages.txt (SHA-256 {'c' * 64}).\n"
        "Machine: class Large, EPYC 7R13 x86_64, 16 cores, peak memory 3 GiB.\n"
        "Code: git commit 0123abc, with changes that are not committed.\n"
    )


def test_what_is_not_known_is_not_said() -> None:
    """A record by a runner of an earlier version."""
    kept = ("job", "attempt", "exit_code", "total", "path", "image", "machine_class")
    fields = {name: value for name, value in WHOLE.to_json().items() if name in kept}
    kernel = {"name": "python3", "source": "image"}
    record = ResultRecord.from_json(fields | {"outcome": "cell-error", "cell": 2, "kernel": kernel})
    assert describe_methods(record) == (
        "Notebook stereo/markers.ipynb was run up to cell 2 of 10 (cell-error), "
        "an unknown time to an unknown time, as offline job k3j9x0a1b2c3.\n"
        "Parameters: none.\n"
        "Software: kernel python3 of image stomics.\n"
        "Machine: class large.\n"
        "Code: no git commit is known of the notebook's folder.\n"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cell": 3}, "was run and ended itself in cell 3 of 10"),
        ({"outcome": "time-limit", "cell": 3}, "was run up to cell 3 of 10 (time-limit)"),
        ({"image_reference": "", "lock_sha256": "d"}, "(lock SHA-256 d)"),
        ({"git": {"commit": "1", "clean": True}}, "git commit 1, without changes"),
        ({"git": {"commit": "1", "clean": None}}, "git commit 1, changes unknown"),
        (
            {"kernel": {"name": "own", "source": "home", "environment": "~/work/.venv"}},
            "kernel own of the user's own environment ~/work/.venv, in image stomics (",
        ),
        (
            {"kernel": {"name": "ir", "source": "home"}},
            "kernel ir of the user's own, in image stomics (",
        ),
        ({"machine": {"cores": "many"}}, "Machine: class large, peak memory"),
    ],
)
def test_what_differs(fields: dict[str, Any], words: str) -> None:
    assert words in describe_methods(change(**fields))
