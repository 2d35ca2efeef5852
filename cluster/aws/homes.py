"""Deletes people's files of a cluster that is gone: `cluster-down`, for whoever asked twice.

The stack of storage leaves file system, backups and buckets behind. They have the cluster's tag
from it, and by that they are found, so that a run which was ended goes on. What the settings say
was there before (``file_system``, buckets without ``make``) stays, whatever its tags.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.aws.commands import CommandFailed
from cluster.aws.context import Context
from cluster.driver.aws_settings import Aws
from cluster.driver.tools import PATIENCE_SECONDS

#: Versions of objects that S3 lists and deletes at a time.
_VERSIONS = 1000
#: What AWS' programs say of what is not there.
_GONE = ("FileSystemNotFound", "ResourceNotFoundException", "NoSuchBucket")
#: Minutes for a command that deletes something.
_MINUTES = 5.0


def delete_homes(context: Context, arns: Sequence[str], pause_seconds: float = 15.0) -> None:
    """Delete file systems, backups and buckets.

    Args:
        context: of the cluster, which is gone.
        arns: of all that has its tag; what is none of these stays.
        pause_seconds: between two looks at backups that are to go.

    Raises:
        CommandFailed: a command failed; another run goes on.
    """
    kept = _list_others(context.aws)
    for service, name in _list_files(arns):
        if name in kept:
            context.say(f"{name} stays: the settings say that it was there before")
            continue
        try:
            if service == "elasticfilesystem":
                _run(context, "efs", "delete-file-system", "--file-system-id", name)
            elif service == "backup":
                _delete_backups(context, name, pause_seconds)
            else:
                _delete_bucket(context, name)
        except CommandFailed as failed:
            # Tags are told for a while of what is gone.
            if not any(each in failed.written for each in _GONE):
                raise


def _list_others(aws: Aws) -> set[str]:
    """What this has not made."""
    storage = aws.storage
    if storage is None:
        return set()
    buckets = [*storage.buckets.values(), *([storage.objects] if storage.objects else [])]
    others = {each.name for each in buckets if not each.make}
    return others | ({storage.files.file_system} - {""} if storage.files else set())


def _list_files(arns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Service and name of what holds people's files; backups before what they are of."""
    found = []
    for arn in arns:
        _, _, service, _, _, resource = arn.split(":", 5)
        kind, _, name = resource.rpartition("/")
        if (service, kind) == ("elasticfilesystem", "file-system"):
            found.append((service, name))
        elif service == "backup" and resource.startswith("backup-vault:"):
            found.append((service, resource.partition(":")[2]))
        elif service == "s3" and not kind:
            found.append((service, name))
    yield from sorted(found)


def _delete_backups(context: Context, vault: str, pause_seconds: float) -> None:
    """A vault with all that is in it, which goes in its own time."""
    of_vault = ("--backup-vault-name", vault)
    words = context.call("backup", "list-recovery-points-by-backup-vault", *of_vault)
    deadline, asked = time.monotonic() + PATIENCE_SECONDS, set()
    while points := context.commands.load(words)["RecoveryPoints"]:
        for arn in (each["RecoveryPointArn"] for each in points):
            if arn not in asked:
                point = ("--recovery-point-arn", arn)
                _run(context, "backup", "delete-recovery-point", *of_vault, *point)
                asked.add(arn)
        if time.monotonic() > deadline:
            raise CommandFailed(f"Backups in {vault} do not go: aws backup describe-recovery-point")
        time.sleep(pause_seconds)
    _run(context, "backup", "delete-backup-vault", *of_vault)


def _delete_bucket(context: Context, bucket: str) -> None:
    """A bucket with all versions of all objects."""
    listing = context.call(
        "s3api", "list-object-versions", "--bucket", bucket, "--max-items", str(_VERSIONS)
    )
    path = context.target / "99-remove" / "versions.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    while objects := _list_versions(context.commands.load(listing) or {}):
        # Too long for a command line; names of files are people's own.
        path.touch(mode=0o600)
        path.write_text(json.dumps({"Objects": objects, "Quiet": True}), encoding="utf-8")
        words = ("s3api", "delete-objects", "--bucket", bucket, "--delete", path.as_uri())
        answer = context.commands.load(context.call(*words)) or {}
        if errors := answer.get("Errors"):
            raise CommandFailed(f"S3 does not delete all of {bucket}: {errors[0]}")
        context.say(f"  {len(objects)} versions of objects of {bucket} are gone")
    path.unlink(missing_ok=True)
    _run(context, "s3api", "delete-bucket", "--bucket", bucket)


def _list_versions(answer: dict[str, Any]) -> list[dict[str, str]]:
    listed = [*(answer.get("Versions") or []), *(answer.get("DeleteMarkers") or [])]
    return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in listed]


def _run(context: Context, *words: str) -> None:
    context.commands.run(context.call(*words), _MINUTES)
