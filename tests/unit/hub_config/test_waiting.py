"""What a pod's start waits for, as a session asks, from pods and events that a real API server had.

Jobs ask the same; their pods' way through the service is in `tests/unit/backends`.
"""

from typing import Any

import pytest

from hub_config.sentences import describe_start
from hub_config.waiting import Stage, Waiting, explain_pod
from tests.bed.record import load

FACTS = {"class": "gpu", "image": "notebook"}

#: Situation → the sentence where nobody looked at node claims.
SENTENCES = {
    "no-machine": "No machine of class gpu can be had at the moment, still trying",
    "waiting-for-machine": "Starting a machine of class gpu",
    "pulling": "Pulling the image notebook",
    "real-pulling": "Pulling the image notebook",
    "image-missing": "Pulling the image notebook fails at the moment, still trying",
    "real-image-missing": "Pulling the image notebook fails at the moment, still trying",
    "real-making-folders": "Starting JupyterLab",
    "running": "Starting JupyterLab",
}


def ask(situation: str, claims: list[Any] | None = None, *, last: str = "") -> Waiting:
    """What the pod of a situation waits for; ``last`` is the reason of the last event to count."""
    objects = load(situation)
    pod = objects["pod"]
    uid = pod["metadata"]["uid"]
    events = [each for each in objects["events"] if each["involvedObject"]["uid"] == uid]
    if last:
        reasons = [each["reason"] for each in events]
        events = events[: reasons.index(last) + 1]
    return explain_pod(pod, events, claims, facts=FACTS, started=Stage.JUPYTER_START)


@pytest.mark.parametrize("situation", SENTENCES)
def test_what_a_session_waits_for(situation: str) -> None:
    assert describe_start(ask(situation)) == SENTENCES[situation]


def test_before_there_is_a_pod_a_machine_is_asked_for() -> None:
    found = explain_pod(None, [], None, facts=FACTS, started=Stage.JUPYTER_START)

    assert found == Waiting(Stage.NO_NODE, {**FACTS, "asking": True})


def test_before_anybody_has_said_more_than_that_there_is_no_room() -> None:
    found = ask("waiting-for-machine", last="FailedScheduling")

    assert describe_start(found) == "Asking for a machine of class gpu"
    assert found.facts["object"] == "pod/analysis-run-0"


def test_a_machine_that_was_meant_for_it_and_went_is_not_awaited() -> None:
    claim = load("waiting-for-machine")["node_claim"]
    name = claim["metadata"]["name"]

    assert ask("waiting-for-machine", [claim]).facts["object"] == f"nodeclaim/{name}"
    assert ask("waiting-for-machine", []).stage is Stage.NO_NODE


def test_the_kubelet_took_the_pod_and_has_not_said_what_it_does() -> None:
    assert describe_start(ask("real-pulling", last="Scheduled")) == "Preparing the machine"
