"""What jobs left that have ended goes with a later job of the same person, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from offline_jobs.contract import run as contract
from offline_jobs.contract.exits import Exit
from offline_jobs.runner.checkpoints import clear_checkpoints
from tests.runner.attempts import Attempt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With what an open job has, what one left long ago, and one just now."""
    found = tmp_path / "all checkpoints"
    for name in ("open", "ended", "new"):
        (found / name).mkdir(parents=True)
        (found / name / "kept").touch()
    for name in ("open", "ended"):
        os.utime(found / name, (0, 0))
    return found


def list_names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def test_only_what_is_old_and_of_no_open_job_goes(folder: Path) -> None:
    clear_checkpoints(folder, ["open"]).join()

    assert list_names(folder) == {"open", "new"}


def test_from_a_service_that_does_not_say_what_is_open_nothing_goes(folder: Path) -> None:
    clear_checkpoints(folder, []).join()

    assert list_names(folder) == {"open", "ended", "new"}


def test_nothing_goes_that_a_link_leads_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (folder / "link").symlink_to(tmp_path / "home")
    os.utime(folder / "link", (0, 0), follow_symlinks=False)

    clear_checkpoints(folder, ["open"]).join()

    assert (tmp_path / "home").exists()


def test_a_run_clears_them_and_its_kernel_knows_nothing_of_it(
    folder: Path, make_attempt: Callable[..., Attempt]
) -> None:
    attempt = make_attempt(
        f"import os; print(os.environ.get({contract.ENV_CHECKPOINTS!r}))",
        environment={contract.ENV_CHECKPOINTS: str(folder)},
        kept_checkpoints=["open"],
    )

    assert attempt.run() == Exit.SUCCEEDED

    assert list_names(folder) == {"open", "new"}
    assert attempt.cells[0].outputs[0].text == "None\n"
