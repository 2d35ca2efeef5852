"""Records of the address, as the last of step `50-platform`, with stand-ins for all programs.

By the real `aws` at moto's server they are made in `test_looks.py`. No balancer was ever made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cluster.aws.context import Context
from cluster.aws.load_balancer import build_names_stack
from cluster.aws.names import make_names
from cluster.aws.order import PLACES
from cluster.aws.steps import Step, make_steps
from cluster.driver.settings import Ingress
from tests.deployment.world import World
from tests.unit.cluster_aws.test_plan import NAME

HOST = "k8s-1.elb.amazonaws.com"
INGRESS = Path("list-ingress-jupyterhub")
CALLS = 6


def put_ingress(folder: Path, *hosts: str) -> None:
    """Have kubectl list the hub's Ingress, with or without a balancer."""
    listed = [{"hostname": each} for each in hosts]
    items = [{"status": {"loadBalancer": {"ingress": listed}}}]
    (folder / INGRESS).write_text(json.dumps({"items": items}))


def with_zone(context: Context, zone: str = "Z1") -> Context:
    alb = Ingress("alb", "arn:aws:acm:eu-central-1:111122223333:certificate/1", {})
    found = replace(
        context,
        aws=replace(context.aws, zone=zone),
        settings=replace(context.settings, ingress=alb),
    )
    template = found.target / PLACES["names"]
    template.parent.mkdir(parents=True, exist_ok=True)
    stack = build_names_stack(found.settings, found.aws)
    template.write_text(yaml.safe_dump(json.loads(json.dumps(stack))))
    return found


def run(context: Context) -> bool:
    return make_steps(context, (), {"names": Step("names", 1, lambda each: make_names(each, 0.01))})


def test_where_a_call_fails_a_second_run_makes_the_records(world: World) -> None:
    context = with_zone(world.context)
    put_ingress(world.folder, HOST)
    stack = world.folder / f"stack-{NAME}-names"
    begun = 0

    for call in range(1, CALLS + 1):
        world.fail_at(begun + call, "refuse")
        assert not run(context)
        assert not stack.exists()
        assert "ThrottlingException" in world.said[-1]
        begun = len(world.list_calls())
    assert run(context)
    assert len(world.list_calls()) == begun + CALLS
    assert stack.exists()
    given = f"--parameter-overrides Balancer={HOST} BalancerZone=Z2"
    assert world.list_calls()[-1].endswith(given)
    assert world.said[-2] == f"hub.example.org and *.hub.example.org lead to {HOST}"
    # Records of its own are in nobody's way.
    put_records(world, "hub.example.org.")
    assert run(context)


def put_records(world: World, *names: str) -> None:
    records = [{"Name": each, "Type": "A"} for each in names]
    (world.folder / "records").write_text(json.dumps(records))


@pytest.mark.parametrize(
    ("changes", "records", "hosts", "sentence"),
    [
        ({"host": "hub.other.org"}, (), (HOST,), "Z1 is of example.org, and the address is hub.o"),
        ({"host": "myexample.org"}, (), (HOST,), "Z1 is of example.org, and the address is myex"),
        ({}, ("\\052.hub.example.org.",), (HOST,), "has records of *.hub.example.org already"),
        ({}, (), ("other.elb.amazonaws.com",), "There is no balancer other.elb.amazonaws.com in"),
    ],
)
def test_what_is_not_as_it_has_to_be_is_told_and_nothing_is_made(
    world: World,
    changes: Mapping[str, str],
    records: tuple[str, ...],
    hosts: tuple[str, ...],
    sentence: str,
) -> None:
    context = with_zone(world.context)
    if host := changes.get("host"):
        context = replace(context, settings=replace(context.settings, address=f"https://{host}"))
    put_ingress(world.folder, *hosts)
    put_records(world, *records)

    assert not run(context)

    assert sentence in world.said[-1]
    assert not (world.folder / f"stack-{NAME}-names").exists()


def test_a_balancer_that_is_not_there_yet_is_waited_for(world: World) -> None:
    context = with_zone(world.context)
    put_ingress(world.folder)

    def say(line: str) -> None:
        world.said.append(line)
        if "waiting for the load balancer" in line:
            put_ingress(world.folder, HOST)

    assert run(replace(context, say=say))
    assert sum("waiting for the load balancer" in each for each in world.said) == 1


def test_without_a_zone_nothing_is_asked(world: World) -> None:
    assert run(world.context)
    assert not (world.folder / "calls").exists()
