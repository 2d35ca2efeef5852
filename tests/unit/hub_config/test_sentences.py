"""The start of a session or a job in words."""

from typing import cast

import pytest

from hub_config.platform.sentences import describe_start, describe_usual
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.states import Reason

TIB = 1024**4


def _read(stored: object) -> Facts:
    """Facts as a database has them, which no type checks."""
    return cast("Facts", stored)


@pytest.mark.parametrize(
    ("waiting", "sentence"),
    [
        (Waiting(Reason.LOCAL_SLOTS), "Waiting for a free slot"),
        (Waiting(Reason.LOCAL_SLOTS, {"ahead": 0}), "Waiting for a free slot, next in line"),
        (Waiting(Reason.LOCAL_SLOTS, {"ahead": 1}), "Waiting for a free slot, 1 job ahead"),
        (Waiting(Reason.LOCAL_SLOTS, {"ahead": 3}), "Waiting for a free slot, 3 jobs ahead"),
        (
            Waiting(Reason.QUEUE_QUOTA, {"group": "lab", "ahead": 2}),
            "Waiting until lab has room in its share, 2 jobs ahead",
        ),
        (Waiting(Reason.QUEUE_QUOTA), "Waiting until its group has room in its share"),
        (
            Waiting(Reason.NODE_STARTING, {"class": "gpu"}),
            "Starting a machine of class gpu",
        ),
        (Waiting(Reason.NODE_STARTING), "Starting a machine"),
        (Waiting(Reason.IMAGE_PULL, {"image": "stomics"}), "Pulling the image stomics"),
        (
            Waiting(Reason.IMAGE_PULL, {"image": "stomics", "failing": True}),
            "Pulling the image stomics fails at the moment, still trying",
        ),
        # Nobody has said yet whether it can be had.
        (
            Waiting(Reason.QUEUE_QUOTA, {"asking": True}),
            "Asking for room in the share of its group",
        ),
        (
            Waiting(Reason.QUEUE_QUOTA, {"asking": True, "unanswered": True, "group": "lab"}),
            "Asking for room in the share of lab",
        ),
        (
            Waiting(Reason.QUEUE_QUOTA, {"asking": True, "unanswered_seconds": 600}),
            "Volcano's controllers have not answered for more than 10 min, still waiting: tell an"
            " administrator, who has to look at Volcano",
        ),
        (
            Waiting(Reason.QUEUE_QUOTA, {"object": "podgroup/x", "unanswered_seconds": 600}),
            "Volcano's scheduler has not answered for more than 10 min, still waiting: tell an"
            " administrator, who has to look at Volcano",
        ),
        (
            Waiting(Reason.QUEUE_QUOTA, _read({"unanswered_seconds": "10"})),
            "Waiting until its group has room in its share",
        ),
        (Waiting(Reason.NO_NODE, {"asking": True}), "Asking for a machine"),
        (Waiting(Reason.IMAGE_PULL, {"image": "x", "asking": True}), "Preparing the machine"),
        (
            Waiting(Reason.NO_NODE, {"asking": True, "full": True, "class": "gpu"}),
            "Asking for a machine of class gpu, none is free yet",
        ),
        (
            Waiting(Reason.NO_NODE, {"beyond_limit": True, "class": "gpu"}),
            "No machine of class gpu can be had: the limit of its pool leaves no room for one,"
            " still trying",
        ),
        (
            Waiting(Reason.POOL_LIMIT, {"class": "gpu"}),
            "Waiting for a machine of class gpu: its pool is at its limit",
        ),
        (
            Waiting(Reason.POOL_LIMIT, {"resource": "cpu", "used": 240.0, "limit": 256.0}),
            "Waiting for a machine: its pool is at its limit, 240 of 256 cores in use",
        ),
        (
            Waiting(
                Reason.POOL_LIMIT, {"resource": "memory", "used": 1.9 * TIB, "limit": 2.0 * TIB}
            ),
            "Waiting for a machine: its pool is at its limit, 1.9 TiB of 2 TiB of memory in use",
        ),
        (
            Waiting(Reason.POOL_LIMIT, {"resource": "nvidia.com/gpu", "used": 4.0, "limit": 4.0}),
            "Waiting for a machine: its pool is at its limit, 4 of 4 GPUs in use",
        ),
        (
            Waiting(Reason.POOL_LIMIT, {"resource": "pods", "used": 4.0, "limit": 4.0}),
            "Waiting for a machine: its pool is at its limit",
        ),
        # What hinders is said instead of the stage.
        (
            Waiting(Reason.JUPYTER_START, {"hindrance": Hindrance.FOLDERS}),
            "The folders of the home cannot be prepared at the moment, still trying",
        ),
        (
            Waiting(
                Reason.IMAGE_PULL, {"hindrance": Hindrance.VOLUME, "asking": True, "said": "no"}
            ),
            "The volume cannot be mounted at the moment, still trying: no",
        ),
        (Waiting(Reason.KERNEL_START, {"hindrance": Hindrance.END}), "The start has failed"),
        (
            Waiting(Reason.KERNEL_START, {"hindrance": Hindrance.SILENT}),
            "The notebook's runner has not reported yet, still waiting",
        ),
        (
            Waiting(Reason.KERNEL_START, {"failing": True, "said": "no secret"}),
            "Starting the kernel fails at the moment, still trying: no secret",
        ),
        # Stored by a service of another version.
        (
            Waiting(Reason.POOL_LIMIT, _read({"resource": "cpu", "used": "x", "limit": 1})),
            "Waiting for a machine: its pool is at its limit",
        ),
        (Waiting(Reason.LOCAL_SLOTS, _read({"ahead": "x"})), "Waiting for a free slot"),
        (Waiting(Reason.KERNEL_START, _read({"hindrance": "moon"})), "Starting the kernel"),
        (Waiting(Reason.KERNEL_START, _read({"hindrance": ["x"]})), "Starting the kernel"),
    ],
)
def test_sentence(waiting: Waiting, sentence: str) -> None:
    assert describe_start(waiting) == sentence


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence_without_facts(reason: Reason) -> None:
    sentence = describe_start(Waiting(reason))

    assert sentence[0].isupper()
    assert not sentence.endswith((".", " "))
    assert "None" not in sentence


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3.2, "usually about 3 s"), (72, "usually about 70 s"), (171, "usually about 3 min")],
)
def test_how_long_a_start_usually_takes(seconds: float, words: str) -> None:
    assert describe_usual(seconds) == words
