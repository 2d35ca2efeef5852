"""The steps of `make cluster-up` before the platform, with stand-ins for all four programs.

Real programs against moto's server are in `test_looks.py`. Nothing of this ever spoke to AWS.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from cluster.aws.commands import CommandFailed
from cluster.aws.pushing import log_helm_in
from cluster.aws.removal import remove
from cluster.aws.steps import make_steps
from cluster.driver.aws_observe import Metrics, Observe
from cluster.driver.tools import ToolFailed
from tests.deployment.world import NAMES, WATCHING, World
from tests.unit.cluster_aws.test_plan import NAME, write_example

IMAGES, AFTER = ["05-images"], ["60-observe"]
#: What is there before the platform, but for images.
BEFORE = [each for each in NAMES if each not in (*IMAGES, *AFTER)]
#: Calls of these from an empty account, and the first of each that makes something.
CALLS, CALLS_IMAGES, CALLS_AFTER = 25, 4, 10
FIRST, FIRST_IMAGES, FIRST_AFTER = 8, 2, 2
#: Files of a world in which all is made.
MADE = {
    *("cluster", "accessentry", "addon", "podidentityassociation", "nodegroup", "access", "role"),
    *("pools", "class", "release-karpenter", "release-karpenter-crd"),
    *("release-aws-load-balancer-controller", f"stack-Karpenter-{NAME}", f"stack-{NAME}-endpoints"),
}
#: The same of what watches.
WATCHED = {
    *("release-prometheus", "release-grafana", "release-aws-for-fluent-bit", "namespace", "token"),
    f"stack-{NAME}-observe",
}
PUSHED = {"built", "pushed", "copied"}
#: What steps make, by the first of them.
RESULTS = {BEFORE[0]: MADE, IMAGES[0]: PUSHED, AFTER[0]: WATCHED}
#: What the settings say of a chart that was copied.
COPY = f"1.15.1@sha256:{'a' * 64}"


def test_a_run_makes_everything_and_a_second_one_makes_nothing_twice(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    assert world.up()
    assert world.list_made() == MADE | PUSHED | WATCHED
    calls = world.list_calls()
    assert len(calls) == CALLS + CALLS_IMAGES + CALLS_AFTER

    assert world.up()

    again = world.list_calls()[len(calls) :]
    assert not [each for each in again if each.startswith("eksctl create")]
    assert not [each for each in again if "create-service-linked-role" in each]
    assert [each.split()[1] for each in again if "make " in each] == ["images-lacking", "mirror"]
    programs = sorted({each.split()[0] for each in calls})
    record_property("stand-ins, no real program", f"{', '.join(NAMES)}: {', '.join(programs)}")


def list_places(first: int, first_images: int, first_after: int) -> list[tuple[list[str], int]]:
    """Steps, and the calls of them at which something goes wrong."""
    return [
        *((BEFORE, call) for call in range(first, CALLS + 1)),
        *((IMAGES, call) for call in range(first_images, CALLS_IMAGES + 1)),
        *((AFTER, call) for call in range(first_after, CALLS_AFTER + 1)),
    ]


@pytest.mark.parametrize(("names", "call"), list_places(1, 1, 1))
def test_where_a_call_fails_the_driver_stops_and_a_second_run_completes(
    world: World, names: list[str], call: int
) -> None:
    world.fail_at(call, "refuse")

    assert not world.up(*names)

    assert len(world.list_calls()) <= call + 3  # 00-tools names all programs that lack at once.
    said = "\n".join(world.said)
    assert " stopped. " in said
    assert "ThrottlingException" in said
    assert world.up(*names)
    assert world.list_made() == RESULTS[names[0]]


@pytest.mark.parametrize(("names", "call"), list_places(FIRST, FIRST_IMAGES, FIRST_AFTER))
def test_a_driver_that_was_killed_goes_on(world: World, names: list[str], call: int) -> None:
    """In the middle of what the call does: eksctl's cluster lacks core machines and rights."""
    world.fail_at(call, "kill")
    driver = os.fork()
    if driver == 0:
        # A copy of this process, so that nothing is imported anew; it gets no further than this.
        try:
            world.up(*names)
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(driver, 0)[1]) == signal.SIGKILL
    assert len(world.list_calls()) == call

    assert world.up(*names)

    assert world.list_made() == RESULTS[names[0]]


@pytest.mark.parametrize(
    ("variables", "made", "step", "sentence"),
    [
        ({"ACCOUNT": "999900001111"}, {}, "00-tools", "are of account 999900001111 (aws), and the"),
        ({"QUOTA": "4"}, {}, "00-tools", "the core machines alone have 6: ask for more"),
        ({}, {"cluster": "other"}, "10-eksctl", "is there that this did not make"),
        (
            {},
            {"cluster": NAME, "nodegroup": '["core"]', "sick": ""},
            "10-eksctl",
            "The core machines did not come up",
        ),
        ({"VERSION": "1.34"}, {"cluster": NAME}, "10-eksctl", "has Kubernetes 1.34, and the"),
        (
            {},
            {f"stack-Karpenter-{NAME}": "ROLLBACK_COMPLETE"},
            "10-eksctl",
            f"aws cloudformation delete-stack --stack-name Karpenter-{NAME}",
        ),
        (
            {},
            {f"stack-Karpenter-{NAME}": "UPDATE_IN_PROGRESS"},
            "10-eksctl",
            "AWS is at work on it",
        ),
        (
            {},
            {f"stack-eksctl-{NAME}-cluster": "ROLLBACK_COMPLETE"},
            "10-eksctl",
            f"eksctl delete cluster --name {NAME}",
        ),
    ],
)
def test_what_cannot_be_gone_on_with_is_told_and_no_cluster_is_made(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    made: dict[str, str],
    step: str,
    sentence: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for name, text in made.items():
        (world.folder / name).write_text(text)

    assert not world.up(step)

    assert sentence in "\n".join(world.said)
    assert not [each for each in world.list_calls() if "create cluster" in each]


def test_the_platform_is_deployed_by_what_the_settings_say_by_then(world: World) -> None:
    """Step 05-images writes there, after they were read."""
    write_example(world.context.file.parent, observe=WATCHING)

    assert not world.up("50-platform")

    said = "\n".join(world.said)
    assert "50-platform stopped. " in said
    assert "is missing: an image goes by what was pushed: make push IMAGE=hub" in said
    assert not (world.folder / "calls").exists()


@pytest.mark.parametrize(
    ("registry", "charts", "is_let_in"),
    [
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", {"volcano": COPY}, True),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", {"volcano": "/a/chart"}, False),
        ("registry.example", {"volcano": COPY}, False),
    ],
)
def test_helm_is_let_into_amazons_registry_where_charts_come_from_there(
    world: World, registry: str, charts: dict[str, str], is_let_in: bool
) -> None:
    context = world.context
    settings = replace(context.settings, registry=f"{registry}/lab", charts=charts)

    log_helm_in(context, settings)

    assert world.list_made() == ({f"login-{registry}"} if is_let_in else set())
    if is_let_in:
        assert "get-login-password --region cn-north-1" in "".join(world.list_calls())
    kept = [each.read_text() for each in context.commands.log.glob("*")]
    assert "pass-word" not in "".join([*kept, *world.said]).replace("get-login-password", "")


def test_what_is_no_more_asked_for_goes(world: World) -> None:
    assert world.up(*AFTER)
    context = world.context

    less = replace(context.aws, observe=Observe(metrics=Metrics()))
    assert make_steps(replace(context, aws=less), ["60-observe"])

    gone = {"release-grafana", "release-aws-for-fluent-bit", f"stack-{NAME}-observe"}
    assert WATCHED - world.list_made() == gone


def test_prometheus_waits_for_the_hubs_token(world: World) -> None:
    (world.folder / "untold").touch()

    assert not world.up("60-observe")

    assert "The hub has no token for Prometheus yet: run step 50-platform" in "\n".join(world.said)
    assert "release-prometheus" not in world.list_made()


def find(calls: list[str], start: str) -> int:
    (found,) = (number for number, each in enumerate(calls) if each.startswith(start))
    return found


def test_what_makes_things_goes_after_them_and_a_second_run_removes_the_rest(world: World) -> None:
    assert world.up()
    begun = len(world.list_calls())
    clean = [
        *("helm uninstall grafana", "helm uninstall prometheus", "helm uninstall aws-for-fluent"),
        "kubectl delete namespace monitoring",
        *("helm uninstall offline-jobs", "helm uninstall volcano"),
        "kubectl delete nodepools.karpenter.sh --all",
        "kubectl delete nodeclaims.karpenter.sh --all",
        "kubectl delete ec2nodeclasses.karpenter.k8s.aws --all",
        *("helm uninstall karpenter ", "helm uninstall karpenter-crd"),
        f"aws cloudformation delete-stack --stack-name {NAME}-observe",
        f"aws cloudformation delete-stack --stack-name {NAME}-endpoints",
        "eksctl delete cluster",
        f"aws cloudformation delete-stack --stack-name Karpenter-{NAME}",
    ]
    remove(world.context)

    calls = world.list_calls()[begun:]
    order = [find(calls, each) for each in clean]
    assert order == sorted(order)
    # Images stay, for another cluster.
    assert world.list_made() == {"role", "access"} | PUSHED

    # Ended at each of its steps, it goes on; of what watches at the last two.
    for each in order[3:]:
        assert world.up(*BEFORE, *AFTER)
        world.fail_at(len(world.list_calls()) + each + 1, "refuse")
        with pytest.raises((CommandFailed, ToolFailed)):
            remove(world.context)
        assert remove(world.context) == []
        assert world.list_made() == {"role", "access"} | PUSHED


def test_another_ones_cluster_is_not_removed(world: World) -> None:
    (world.folder / "cluster").write_text("other")

    with pytest.raises(CommandFailed, match="is there that this did not make"):
        remove(world.context)

    assert not [each for each in world.list_calls() if "delete" in each or "uninstall" in each]
