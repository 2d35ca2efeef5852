"""The start of a session or a job in words."""

import pytest

from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Stage, Waiting
from offline_jobs.contract.states import Reason


@pytest.mark.parametrize(
    ("waiting", "sentence"),
    [
        (Waiting(Stage.LOCAL_SLOTS), "Waiting for a free slot"),
        (Waiting(Stage.LOCAL_SLOTS, {"ahead": 0}), "Waiting for a free slot, next in line"),
        (Waiting(Stage.LOCAL_SLOTS, {"ahead": 1}), "Waiting for a free slot, 1 job ahead"),
        (Waiting(Stage.LOCAL_SLOTS, {"ahead": 3}), "Waiting for a free slot, 3 jobs ahead"),
        (Waiting(Stage.LOCAL_SLOTS, {"ahead": "x"}), "Waiting for a free slot"),
        (
            Waiting(Stage.QUEUE_QUOTA, {"group": "lab", "ahead": 2}),
            "Waiting until lab has room in its share, 2 jobs ahead",
        ),
        (Waiting(Stage.QUEUE_QUOTA), "Waiting until its group has room in its share"),
        (
            Waiting(Stage.NODE_STARTING, {"class": "gpu"}, 72),
            "Starting a machine of class gpu, usually about 70 s",
        ),
        (Waiting(Stage.NODE_STARTING, {}, 171), "Starting a machine, usually about 3 min"),
        (Waiting(Stage.IMAGE_PULL, {"image": "stomics"}), "Pulling the image stomics"),
        (
            Waiting(Stage.IMAGE_PULL, {"image": "stomics", "failing": True}),
            "Pulling the image stomics fails at the moment, still trying",
        ),
        # Nobody has said yet whether it can be had.
        (Waiting(Stage.QUEUE_QUOTA, {"asking": True}), "Asking for room in the share of its group"),
        (Waiting(Stage.NO_NODE, {"asking": True}), "Asking for a machine"),
        (Waiting(Stage.IMAGE_PULL, {"image": "x", "asking": True}), "Preparing the machine"),
        (
            Waiting(Stage.NO_NODE, {"asking": True, "full": True, "class": "gpu"}),
            "Asking for a machine of class gpu, none is free yet",
        ),
        # What hinders is said instead of the stage, and nothing of how long it usually takes.
        (
            Waiting(Stage.JUPYTER_START, {"hindrance": "folders"}, 60),
            "The folders of the home cannot be prepared at the moment, still trying",
        ),
        (
            Waiting(Stage.IMAGE_PULL, {"hindrance": "volume", "asking": True, "said": "no"}, 60),
            "The volume cannot be mounted at the moment, still trying: no",
        ),
        (Waiting(Stage.KERNEL_START, {"hindrance": "end"}), "The start has failed"),
        (
            Waiting(Stage.KERNEL_START, {"failing": True, "said": "no secret"}, 60),
            "Starting the kernel fails at the moment, still trying: no secret",
        ),
        # Stored by a service of another version.
        (Waiting(Stage.KERNEL_START, {"hindrance": "moon", "said": "x"}), "Starting the kernel"),
        (Waiting(Stage.KERNEL_START, {"hindrance": ["x"]}), "Starting the kernel"),
    ],
)
def test_sentence(waiting: Waiting, sentence: str) -> None:
    assert describe_start(waiting) == sentence


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_has_a_sentence_without_facts(stage: Stage) -> None:
    sentence = describe_start(Waiting(stage))

    assert sentence[0].isupper()
    assert not sentence.endswith((".", " "))
    assert "None" not in sentence


def test_the_jobs_waiting_reasons_are_stages() -> None:
    # Two sides of a wall: neither imports the other.
    assert {reason.value for reason in Reason} | {"jupyter-start"} == {s.value for s in Stage}
