"""What kubectl is told by the driver where a mistake would cost a cluster its objects."""

from __future__ import annotations

import pytest

from cluster.driver.tools import ToolFailed, Tools
from tests.deployment.world import World

POD = {"containers": [{"name": "once", "image": "registry.example/once"}]}
DELETE = "kubectl delete pod once --ignore-not-found --timeout=600s --namespace hub"


def test_a_pod_that_runs_once_is_deleted_by_one_alone_however_it_ends(world: World) -> None:
    """What is said to it is in no word, which anybody on the machine could read."""
    assert Tools().run_pod("once", "hub", POD, "a secret") == "a secret"

    first, run, last = world.list_calls()
    assert (first, last) == (DELETE, DELETE)
    assert run.startswith(
        "kubectl run once --namespace hub --restart=Never --stdin --quiet --image"
    )
    assert "--rm" not in run
    assert "secret" not in run

    world.fail_at(5, "refuse")
    with pytest.raises(ToolFailed, match="kubectl run once --namespace failed"):
        Tools().run_pod("once", "hub", POD, "a secret")
    assert world.list_calls()[-1] == DELETE


def test_no_names_are_never_all(world: World) -> None:
    names: list[str] = []

    with pytest.raises(ValueError, match="which crd are to be deleted: names, labels or all"):
        Tools().delete("crd", *names)
    with pytest.raises(ValueError, match="which pod"):
        Tools().delete("pod", "one", takes_all=True)
    assert not (world.folder / "calls").exists()

    Tools().delete("crd", takes_all=True)
    Tools().delete("pod", labels="a=b", namespace="hub")
    assert [each.split(" --ignore")[0] for each in world.list_calls()] == [
        "kubectl delete crd --all",
        "kubectl delete pod --selector=a=b",
    ]
