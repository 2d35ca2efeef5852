"""How machines on AWS pull images: what is read, and that each mistake is named with its mend."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import yaml

from cluster.driver.aws_pulls import Pull, read_pulls
from hub_config.platform.entry import Entry, Report
from hub_config.platform.located import read_text

SNAPSHOT = "snap-0123456789abcdef0"


def read(pulls: dict[str, Any], local_disks: Collection[str] = ()) -> tuple[Any, Report]:
    tree, _ = read_text(yaml.safe_dump({"pulls": pulls}, sort_keys=False))
    report = Report()
    entry = Entry("", tree, report).entry("pulls")
    return read_pulls(entry, ("sessions", "jobs"), local_disks), report


def test_what_is_said_is_read() -> None:
    found, report = read(
        {
            "sessions": {"parallel": True, "throughput": 1000, "iops": 4000},
            "jobs": {"snapshot": SNAPSHOT, "fill": 300},
        }
    )

    assert report.mistakes == []
    assert found == {
        "sessions": Pull(parallel=True, throughput=1000, iops=4000),
        "jobs": Pull(snapshot=SNAPSHOT, fill=300),
    }


def test_nothing_need_be_said() -> None:
    assert read_pulls(None, ("sessions",), ()) == {}
    assert read({"sessions": {}})[0] == {"sessions": Pull()}


def test_disks_of_machines_themselves_are_quick_enough() -> None:
    found, report = read({"sessions": {"parallel": True}}, ["sessions"])

    assert report.mistakes == []
    assert found["sessions"].parallel


@pytest.mark.parametrize(
    ("said", "key", "words"),
    [
        ({"snapshot": "ami-0123456789abcdef0"}, "snapshot", "called like snap-0123456789abcdef0"),
        ({"snapshot": "snap-0123"}, "snapshot", "called like snap-0123456789abcdef0"),
        ({"throughput": 124}, "throughput", "must be from 125 to 1000, not 124"),
        ({"throughput": 1001, "iops": 8000}, "throughput", "must be from 125 to 1000, not 1001"),
        ({"throughput": "600 MiB"}, "throughput", "a whole number without a unit"),
        ({"throughput": 751}, "throughput", "write iops: 3004"),
        ({"iops": 2999}, "iops", "must be from 3000 to 16000, not 2999"),
        ({"iops": 16001}, "iops", "must be from 3000 to 16000, not 16001"),
        ({"parallel": "yes"}, "parallel", "must be true or false"),
        ({"parallel": True}, "parallel", "write throughput: 600 or more"),
        ({"parallel": True, "throughput": 599}, "parallel", "write throughput: 600 or more"),
        (
            {"parallel": True, "throughput": 600, "snapshot": SNAPSHOT},
            "parallel",
            "take out one of both",
        ),
        ({"fill": 100}, "fill", "is of a snapshot, and none is named"),
        ({"fill": 99, "snapshot": SNAPSHOT}, "fill", "must be from 100 to 300, not 99"),
        (
            {"lazy": True},
            "lazy",
            "unknown key; allowed: parallel, iops, throughput, snapshot, fill",
        ),
    ],
)
def test_a_mistake_is_named_with_its_mend(said: dict[str, Any], key: str, words: str) -> None:
    _, report = read({"jobs": said})

    (mistake,) = report.mistakes
    assert mistake.key == f"pulls.jobs.{key}"
    assert words in mistake.message
    assert mistake.line


def test_a_pool_that_is_none_is_named() -> None:
    (mistake,) = read({"nowhere": {}})[1].mistakes

    assert (mistake.key, mistake.message) == (
        "pulls.nowhere",
        "unknown key; allowed: sessions, jobs",
    )


@pytest.mark.parametrize("said", [{"throughput": 600}, {"iops": 4000}, {"snapshot": SNAPSHOT}])
def test_what_says_nothing_beside_local_disks_is_refused(said: dict[str, Any]) -> None:
    (mistake,) = read({"jobs": said}, ["jobs"])[1].mistakes

    assert "images of a pool in local_disks lie on those" in mistake.message
