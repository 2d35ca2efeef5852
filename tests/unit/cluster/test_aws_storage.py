"""What keeps files, data and records on AWS: what is read, and that mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.aws_settings import read_aws
from cluster.driver.aws_storage import Bucket, Database, Files, Storage
from cluster.driver.deployment import Deployment
from cluster.driver.settings import Settings, load_settings
from cluster.driver.tools import ToolFailed, Tools
from hub_config.platform.entry import Entry, Report
from hub_config.platform.errors import CatalogueError
from hub_config.platform.located import read_text
from tests.factories import make_catalogue, make_group
from tests.unit.cluster.test_aws_settings import CLUSTER, EXAMPLE, SECTION

GROUP = replace(make_group(), buckets=("lab-raw", "lab-public"), service_account="lab")
POOLS = make_catalogue(groups=(GROUP,))
WHOLE: dict[str, Any] = {
    "files": {"throughput": "bursting", "infrequent_days": 7, "backup_days": 14},
    "buckets": {"lab-raw": {"make": True, "keep_days": 90, "writable": ["results/", "a/b/"]}},
    "objects": {"bucket": "lab-jobs", "make": True, "keep_days": 10},
    "database": {"machine": "db.m6g.large", "disk_gib": 50, "zones": "several", "protected": False},
}

Change = Callable[[dict[str, Any]], object]


def read(storage: dict[str, Any]) -> tuple[Storage | None, Report]:
    tree, _ = read_text(yaml.safe_dump({"aws": {**SECTION, "storage": storage}}))
    report = Report()
    entry = Entry("", tree, report).entry("aws")
    assert entry is not None
    aws = read_aws(entry, POOLS)
    return aws.storage if aws else None, report


def test_what_is_written_is_read() -> None:
    storage, report = read(WHOLE)

    assert report.mistakes == []
    assert storage == Storage(
        Files("bursting", 7, 14),
        {
            "lab-raw": Bucket("lab-raw", True, 90, ("results/", "a/b/")),
            # Of which nothing is said: it is there already.
            "lab-public": Bucket("lab-public"),
        },
        Bucket("lab-jobs", True, 10),
        Database("db.m6g.large", 50, "several", protected=False),
    )


def test_what_is_not_written_is_not_made() -> None:
    storage, report = read({"files": {"backup_days": 0}})

    assert report.mistakes == []
    assert storage is not None
    assert storage.files == Files(backup_days=0)
    assert (storage.objects, storage.database) == (None, None)
    assert not any(bucket.make for bucket in storage.buckets.values())


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda s: s.update(file={}), "file", "unknown key; allowed: files, objects, database"),
        (lambda s: s["files"].update(throughput="fast"), "files.throughput", "elastic, bursting"),
        (lambda s: s["files"].update(infrequent_days=8), "files.infrequent_days", "0, 1, 7, 14"),
        (lambda s: s["files"].update(file_system="homes"), "files.file_system", "is called like"),
        (lambda s: s["buckets"].update(other={}), "buckets.other", "unknown key; allowed: lab-raw"),
        (
            lambda s: s["buckets"].update({"lab-public": {"keep_days": 3}}),
            "buckets.lab-public.keep_days",
            "take out one of both",
        ),
        (
            lambda s: s["buckets"]["lab-raw"].update(writable=["*"]),
            "buckets.lab-raw.writable[0]",
            "folders with / at the end",
        ),
        (
            lambda s: s["buckets"]["lab-raw"].update(writable=["results"]),
            "buckets.lab-raw.writable[0]",
            "folders with / at the end",
        ),
        (
            lambda s: s["buckets"]["lab-raw"].update(keep_days=0),
            "buckets.lab-raw.keep_days",
            "1 to",
        ),
        (lambda s: s["objects"].update(bucket="lab-raw"), "objects.bucket", "is a group's"),
        (lambda s: s["objects"].update(bucket="lab.jobs"), "objects.bucket", "3 to 63"),
        (lambda s: s["objects"].pop("bucket"), "objects.bucket", "is missing"),
        (lambda s: s["database"].update(machine="m6g.large"), "database.machine", "db.t4g.medium"),
        (lambda s: s["database"].update(disk_gib=5), "database.disk_gib", "from 20 to 65536"),
        (lambda s: s["database"].update(backup_days=36), "database.backup_days", "from 1 to 35"),
        (lambda s: s["database"].update(version="9"), "database.version", "allowed: 15, 16, 17"),
    ],
)
def test_each_mistake_is_named(change: Change, key: str, said: str) -> None:
    section = yaml.safe_load(yaml.safe_dump(WHOLE))
    change(section)

    storage, report = read(section)

    assert storage is None
    (mistake,) = report.mistakes
    assert mistake.key == f"aws.storage.{key}"
    assert said in mistake.message


def load(folder: Path, change: Change) -> Settings:
    written = yaml.safe_load(EXAMPLE)
    written["catalogue"] = str((CLUSTER / written["catalogue"]).resolve())
    written["aws"]["storage"] = {"files": {}}
    change(written)
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    return load_settings(path, are_pushed=False)


def test_files_that_are_made_need_no_volume_and_what_is_written_wins(tmp_path: Path) -> None:
    settings = load(tmp_path, lambda written: written["storage"]["volumes"].pop("shared"))

    outputs = {claim: volume.output for claim, volume in settings.volumes.items()}
    assert outputs == {"homes": "", "shared": "SharedVolume"}
    assert load(tmp_path, lambda written: written["storage"].pop("volumes")).volumes.keys() == {
        "homes",
        "shared",
    }


def test_files_of_nobody_are_missing_still(tmp_path: Path) -> None:
    def change(written: dict[str, Any]) -> None:
        written["aws"]["storage"] = {"buckets": {}}
        del written["storage"]["volumes"]["homes"]

    with pytest.raises(CatalogueError, match=r"storage\.volumes\.homes: is missing"):
        load(tmp_path, change)


def test_a_mistake_elsewhere_makes_no_volume_missing(tmp_path: Path) -> None:
    def change(written: dict[str, Any]) -> None:
        written["aws"]["account"] = "1"
        del written["storage"]["volumes"]

    with pytest.raises(CatalogueError) as raised:
        load(tmp_path, change)

    (line,) = raised.value.lines()
    assert "aws.account" in line


def test_nothing_is_installed_before_it_is_known_where_files_are(tmp_path: Path) -> None:
    """A volume of a handle that is none could not be changed any more."""
    settings = load(tmp_path, lambda written: written["storage"].pop("volumes"))
    deployment = Deployment(settings, Tools(), tmp_path, lambda line: None)

    with pytest.raises(ToolFailed, match="Where homes, shared are is known when step 40-storage"):
        deployment.deploy()
