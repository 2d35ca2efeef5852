"""`make cluster-down HOMES=delete`, with stand-ins for all programs.

Buckets and a file system are deleted by the real `aws` at moto's server in `test_looks.py`.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.aws import __main__ as command
from cluster.aws.commands import CommandFailed
from cluster.aws.homes import delete_homes
from cluster.aws.removal import list_left, remove
from cluster.driver.aws_storage import Bucket, Files, Storage
from tests.deployment.world import ACCOUNT, World
from tests.unit.cluster_aws.test_plan import AWAY, NAME, write_example

PLACE = f"eu-central-1:{ACCOUNT}"
KEPT = {
    "files": f"arn:aws:elasticfilesystem:{PLACE}:file-system/fs-12345678",
    "vault": f"arn:aws:backup:{PLACE}:backup-vault:lab-files-1",
    "bucket": "arn:aws:s3:::lab-raw",
    "other": f"arn:aws:rds:{PLACE}:snapshot:lab",
}
POINTS = '[{"RecoveryPointArn": "arn:aws:backup:eu-central-1:1:recovery-point:1"}]'
VERSIONS = '[{"Key": "a b", "VersionId": "v1"}]'
#: Files, backups and bucket, each looked for and deleted.
CALLS = 9


@pytest.fixture
def kept(world: World) -> World:
    """What a cluster that is gone left behind: homes with backups, a bucket, and a snapshot."""
    for name, arn in KEPT.items():
        (world.folder / f"kept-{name}").write_text(arn)
    (world.folder / "points").write_text(POINTS)
    (world.folder / "versions").write_text(VERSIONS)
    return world


def delete(world: World, storage: Storage | None = None) -> None:
    context = replace(world.context, aws=replace(world.context.aws, storage=storage))
    delete_homes(context, list(KEPT.values()), 0.01)


def list_kept(world: World) -> set[str]:
    return {each.name[5:] for each in world.folder.glob("kept-*")}


def test_people_s_files_go_and_nothing_else(kept: World) -> None:
    """A cluster that is gone already, but for what it kept."""
    left = remove(kept.context, 0.01, with_homes=True)

    assert left == [KEPT["other"]]
    assert list_kept(kept) == {"other"}
    assert not (kept.context.target / "99-remove" / "versions.json").exists()


def test_where_a_call_fails_another_run_goes_on(kept: World) -> None:
    begun = 0
    for call in range(1, CALLS + 1):
        for name, text in (("points", POINTS), ("versions", VERSIONS)):
            (kept.folder / name).write_text(text)
        for name, arn in KEPT.items():
            (kept.folder / f"kept-{name}").write_text(arn)
        kept.fail_at(begun + call, "refuse")
        with pytest.raises(CommandFailed, match="ThrottlingException"):
            delete(kept)
        delete(kept)
        assert list_kept(kept) == {"other"}
        begun = len(kept.list_calls())


def test_what_was_there_before_stays(kept: World) -> None:
    storage = Storage(Files(file_system="fs-12345678"), {"lab-raw": Bucket("lab-raw")}, None, None)

    delete(kept, storage)

    assert list_kept(kept) == {"files", "bucket", "other"}
    assert "fs-12345678 stays: the settings say that it was there before" in kept.said


def test_without_being_asked_for_they_stay(kept: World) -> None:
    assert remove(kept.context, 0.01) == sorted(KEPT.values())


@pytest.mark.parametrize(
    ("homes", "said", "code", "stays"),
    [
        ("delete", f"{NAME}\ndelete the homes of {NAME}\n", 0, False),
        ("delete", f"{NAME}\n{NAME}\n", 1, True),
        ("delete", f"{NAME}\n", 1, True),
        ("keep", f"{NAME}\n", 0, True),
    ],
)
def test_it_is_asked_twice_before_anything_goes(
    kept: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    homes: str,
    said: str,
    code: int,
    *,
    stays: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    words = ["down", "--settings", str(write_example(tmp_path)), "--homes", homes]

    assert command.main([*words, "--into", str(tmp_path / "plan"), "--stack", AWAY]) == code

    assert ("files" in list_kept(kept)) is stays
    # Who does not agree has nothing asked of AWS, and nothing taken away.
    assert (kept.folder / "calls").exists() is (code == 0)
    assert KEPT["other"] in list_left(kept.context)
