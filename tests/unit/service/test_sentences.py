"""A job in words: every state, reason and cause, amounts with their units."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB
from hub_config.platform.waiting import quote
from offline_jobs.contract.facts import Hindrance
from offline_jobs.contract.states import TERMINAL, Cause, Reason, State
from offline_jobs.service.rules import amounts
from offline_jobs.service.rules.sentences import describe
from tests.factories import make_class
from tests.service.core.factories import NOON, make_job

AT_17: dict[str, Any] = {
    "cell": 17,
    "total": 30,
    "memory_peak_bytes": int(15.8 * GIB),
    "memory_limit_bytes": 16 * GIB,
    "time_limit_seconds": 4 * 3600,
    "machine_class": "gpu",
}
KEPT = "Cells 1–16 are finished and kept. "

REASONS: list[tuple[Reason | None, dict[str, Any], str]] = [
    (None, {}, "Waiting"),
    (Reason.SERVICE, {}, "Accepted, about to be started"),
    (Reason.LOCAL_SLOTS, {"ahead": 3}, "Waiting for a free slot, 3 jobs ahead"),
    (Reason.LOCAL_SLOTS, {"ahead": 1}, "Waiting for a free slot, 1 job ahead"),
    (Reason.LOCAL_SLOTS, {"ahead": 0}, "Waiting for a free slot, next in line"),
    (
        Reason.QUEUE_QUOTA,
        {"ahead": 2},
        "Waiting until spatial-lab has room in its share, 2 jobs ahead",
    ),
    (Reason.QUEUE_QUOTA, {"asking": True}, "Asking for room in the share of spatial-lab"),
    (
        Reason.NO_NODE,
        {},
        "No machine of class small can be had at the moment, still trying",
    ),
    (Reason.NO_NODE, {"asking": True}, "Asking for a machine of class small"),
    (
        Reason.POOL_LIMIT,
        {},
        "Waiting for a machine of class small: its pool is at its limit",
    ),
    (Reason.NODE_STARTING, {}, "Starting a machine of class small"),
    (Reason.IMAGE_PULL, {}, "Pulling the image notebook"),
    (
        Reason.IMAGE_PULL,
        {"failing": True},
        "Pulling the image notebook fails at the moment, still trying",
    ),
    (Reason.KERNEL_START, {}, "Starting the kernel"),
    (
        Reason.CLUSTER_UNREACHABLE,
        {},
        "The cluster cannot be reached now; the job keeps its place",
    ),
    (
        Reason.HUB_UNREACHABLE,
        {},
        "The hub does not say now who is in its group; the job keeps its place",
    ),
]

CAUSES: list[tuple[Cause, dict[str, Any], str, str]] = [
    (
        Cause.CELL_ERROR,
        {"error_name": "KeyError", "error_value": "'bin50'"},
        "Cell 17 raised KeyError: 'bin50'",
        f"{KEPT}Mend the notebook and submit it again.",
    ),
    (
        Cause.CELL_ERROR,
        {"error_name": "KeyError", "error_value": "'bin50'", "error_cell": 3},
        "Cell 3 raised KeyError: 'bin50'",
        "The notebook went on to cell 17; all of it is kept. Mend the notebook and submit it"
        " again.",
    ),
    (
        Cause.KERNEL_DIED,
        {},
        "The kernel died in cell 17",
        f"{KEPT}Look at the end of the log, then run it again.",
    ),
    (
        Cause.OUT_OF_MEMORY,
        {},
        "Out of memory in cell 17 at 15.8 of 16 GiB",
        f"{KEPT}Load less data at a time; no class with more memory is to be had for this job.",
    ),
    (
        Cause.TIME_LIMIT,
        {},
        "Time limit of 4 h reached in cell 17",
        f"{KEPT}Submit it again with a longer time limit.",
    ),
    (
        Cause.INTERRUPTED,
        {},
        "Interrupted in cell 17",
        f"{KEPT}The machine was lost or stopped; run it again.",
    ),
    (
        Cause.NO_CAPACITY,
        {"waited_seconds": 1800},
        "No machine of class gpu could be had for 30 min",
        "Run it again later, or choose another class.",
    ),
    (
        Cause.NO_CAPACITY,
        {"waited_seconds": 1800, "asking": True},
        "No machine of class gpu could be had for 30 min: nobody said why",
        "Tell an administrator: what starts machines may be stopped, or has no pool for them.",
    ),
    (
        Cause.NO_CAPACITY,
        {"waited_seconds": 1800, "beyond_limit": True},
        "No machine of class gpu could be had for 30 min: the limit of its pool leaves no room for"
        " one",
        "Choose another class, or ask an administrator to raise that limit.",
    ),
    (
        Cause.IMAGE_PULL,
        {},
        "The image notebook could not be pulled",
        "Tell an administrator; the notebook is not at fault.",
    ),
    (
        Cause.IMAGE_PULL,
        {"pull": "missing"},
        "The image notebook could not be pulled: the registry does not have it",
        "Tell an administrator; the notebook is not at fault.",
    ),
    (
        Cause.IMAGE_PULL,
        {"pull": "away"},
        "The image notebook could not be pulled: its registry did not answer",
        "Tell an administrator; the notebook is not at fault.",
    ),
    (
        Cause.REFUSED,
        {"message": "There is no kernel 'r' in your home"},
        "Refused: There is no kernel 'r' in your home",
        "Mend that, then submit the notebook again.",
    ),
    (
        Cause.REFUSED,
        {"not_in_catalogue": ["class gpu"]},
        "Refused: class gpu can no longer be chosen",
        "Choose another group, image or class, or ask an administrator.",
    ),
    (
        Cause.REFUSED,
        {"not_member": "spatial-lab"},
        "Refused: ada is not in group spatial-lab any more",
        "Submit it for another group, or ask an administrator.",
    ),
    (Cause.REFUSED, {}, "Refused", "The log may say why; else ask an administrator."),
    (
        Cause.REMOVED,
        {},
        "Removed in cell 17",
        f"{KEPT}Somebody deleted it from outside; run it again.",
    ),
    (
        Cause.OUTPUT_LOST,
        {"message": "No space left"},
        "The executed notebook could not be written: No space left",
        "Make room in your home or mend its permissions, then run it again.",
    ),
    (
        Cause.INTERNAL,
        {},
        "It could not be run in cell 17",
        f"{KEPT}Run it again; if it fails the same way, tell an administrator.",
    ),
    (
        Cause.INTERNAL,
        {"hindrance": "volume", "message": "timed out"},
        "It could not be run in cell 17: a volume could not be mounted: timed out",
        f"{KEPT}Run it again; if it fails the same way, tell an administrator.",
    ),
    (
        Cause.INTERNAL,
        {"hindrance": "folders"},
        "It could not be run in cell 17: the folders of the home could not be prepared",
        f"{KEPT}Run it again; if it fails the same way, tell an administrator.",
    ),
    (
        Cause.INTERNAL,
        {"hindrance": "end"},
        "It could not be run in cell 17: its container could not be started",
        f"{KEPT}Run it again; if it fails the same way, tell an administrator.",
    ),
    (
        Cause.INTERNAL,
        {"hindrance": "silent"},
        "It could not be run in cell 17: its runner never reported",
        f"{KEPT}Run it again; if it fails the same way, tell an administrator.",
    ),
    (
        Cause.INTERNAL,
        {"never_started": "No space left"},
        "It could not be started: No space left",
        "Run it again; if it fails the same way, tell an administrator.",
    ),
]


def test_the_tables_are_complete() -> None:
    # No job waits for JupyterLab.
    assert {reason for reason, _, _ in REASONS} == {None, *Reason} - {Reason.JUPYTER_START}
    assert {cause for cause, _, _, _ in CAUSES} == set(Cause)
    assert {facts["hindrance"] for _, facts, _, _ in CAUSES if "hindrance" in facts} == {*Hindrance}


@pytest.mark.parametrize(("reason", "facts", "sentence"), REASONS)
def test_what_a_job_waits_for(reason: Reason | None, facts: dict[str, Any], sentence: str) -> None:
    job = make_job(state=State.QUEUED, reason=reason, facts=facts)
    words = describe(job)
    assert (words.sentence, words.next_step) == (sentence, None)
    again = make_job(state=State.QUEUED, reason=reason, facts=facts, attempt=2)
    assert describe(again).sentence == f"{sentence} (try 2)"


@pytest.mark.parametrize(("cause", "facts", "sentence", "step"), CAUSES)
def test_why_a_job_failed(cause: Cause, facts: dict[str, Any], sentence: str, step: str) -> None:
    words = describe(make_job(**AT_17, state=State.FAILED, cause=cause, facts=facts))
    assert (words.sentence, words.next_step) == (sentence, step)


@pytest.mark.parametrize("cause", list(Cause))
def test_a_job_that_failed_before_its_first_cell_has_words_too(cause: Cause) -> None:
    words = describe(make_job(state=State.FAILED, cause=cause))
    assert words.sentence
    assert words.next_step
    assert "cell 0" not in words.sentence
    assert "kept" not in words.next_step


def test_a_larger_class_is_the_next_step() -> None:
    job = make_job(**AT_17, state=State.FAILED, cause=Cause.OUT_OF_MEMORY)
    larger = make_class("large", name="large memory", memory_bytes=256 * GIB)
    assert describe(job, larger).next_step == (
        f"{KEPT}The same notebook needs more memory: large memory has 256 GiB."
    )


@pytest.mark.parametrize(
    ("state", "changes", "sentence"),
    [
        (State.STARTING, {"reason": None}, "Starting"),
        (State.RUNNING, {}, "Running, before the first cell"),
        (State.RUNNING, {"cell": 12, "total": 30}, "Cell 12 of 30"),
        (State.CANCELLING, {}, "Being cancelled; what the finished cells printed is kept"),
        (State.CANCELLED, {}, "Cancelled before it began"),
        (State.CANCELLED, {"cell": 4, "total": 9}, "Cancelled in cell 4"),
        (
            State.CANCELLING,
            {"facts": {"cancelled_by": "ben"}},
            "Being cancelled by ben; what the finished cells printed is kept",
        ),
        (
            State.CANCELLED,
            {"cell": 4, "facts": {"cancelled_by": "ben", "because": "the budget is spent"}},
            "Cancelled by ben in cell 4: “the budget is spent”",
        ),
        (State.SUCCEEDED, {}, "Finished"),
        (
            State.SUCCEEDED,
            {"has_result": True, "started": NOON, "ended": NOON + timedelta(seconds=2)},
            "Finished: the notebook has no cell to run",
        ),
        (
            State.SUCCEEDED,
            {
                "cell": 1,
                "total": 1,
                "started": NOON,
                "ended": NOON + timedelta(minutes=12),
                "memory_peak_bytes": int(3.1 * GIB),
            },
            "1 cell finished in 12 min, peak 3.1 GiB",
        ),
        (
            State.SUCCEEDED,
            {
                "cell": 2,
                "total": 10,
                "facts": {"ended_itself": True},
                "started": NOON,
                "ended": NOON + timedelta(minutes=12),
            },
            "Finished in cell 2 of 10 in 12 min: the notebook ended itself",
        ),
    ],
)
def test_where_a_job_is(state: State, changes: dict[str, Any], sentence: str) -> None:
    assert describe(make_job(state=state, **changes)).sentence == sentence


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_sentence(state: State) -> None:
    words = describe(make_job(state=state, reason=None))
    assert words.sentence
    assert (words.next_step is not None) == (state is State.FAILED)
    assert state in TERMINAL or words.next_step is None


def test_foreign_text_fits_one_line() -> None:
    assert quote("a\nb\x1b[31mred\x1b[0m\x00\u202ec") == "a bred c"
    assert len(quote("x" * 10_000)) == 200
    job = make_job(
        state=State.FAILED,
        cause=Cause.CELL_ERROR,
        cell=1,
        facts={"error_name": "E\n", "error_value": "v" * 5000},
    )
    assert len(describe(job).sentence) < 300


AMOUNTS = json.loads((Path(__file__).parents[2] / "golden" / "amounts.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("kind", "example"), [(kind, each) for kind, table in AMOUNTS.items() for each in table]
)
def test_amounts_are_written_like_this(kind: str, example: list[Any]) -> None:
    """The same table is read by the tests of panel and page."""
    *given, words = example
    assert getattr(amounts, kind)(*given) == words


def test_cores_are_counted() -> None:
    assert (amounts.cores(1), amounts.cores(0.5), amounts.cores(16)) == (
        "1 core",
        "0.5 cores",
        "16 cores",
    )
