"""Makes the records by which people find the hub, once its balancer is there.

The last of step ``50-platform``, where the settings name a hosted zone of Route 53: the balancer is
made from the hub's Ingress, which is part of the platform. :mod:`cluster.aws.removal` takes the
stack with the records away.
"""

import time
from collections.abc import Mapping
from typing import Any

from cluster.aws.commands import CommandFailed
from cluster.aws.context import Context
from cluster.aws.load_balancer import BALANCER, BALANCER_ZONE, has_names, list_names, name_names
from cluster.aws.order import PLACES, build_deploy
from cluster.driver.charts import NAMESPACE
from cluster.driver.tools import PATIENCE_SECONDS

#: Types of records that would be in the way of an address.
_ADDRESSES = ("A", "AAAA", "CNAME")


def make_names(context: Context, pause_seconds: float = 10.0) -> None:
    """Lead the address's names to the balancer; nothing where the settings name no zone.

    Args:
        context: of the cluster.
        pause_seconds: between two looks at the Ingress.

    Raises:
        CommandFailed: there is no balancer, the zone has no such names, or has them already.
        ToolFailed: the cluster is away.
    """
    aws, stack = context.aws, name_names(context.aws.cluster)
    if not has_names(context.settings, aws):
        return
    _check_zone(context, is_ours=bool(context.refuse_half_made(stack)))
    host = _wait_for_balancer(context, pause_seconds)
    values = {BALANCER: host, BALANCER_ZONE: _find_zone_of_balancer(context, host)}
    words = build_deploy(aws, stack, context.target / PLACES["names"])
    given = (f"{key}={value}" for key, value in values.items())
    context.commands.run((*words, "--parameter-overrides", *given), 10)
    context.say(f"{' and '.join(list_names(context.settings))} lead to {host}")


def _check_zone(context: Context, *, is_ours: bool) -> None:
    """See that the zone is one for these names, and that nobody else has made them."""
    zone, names = context.aws.zone, list_names(context.settings)
    found = context.commands.load(("aws", "route53", "get-hosted-zone", "--id", zone))
    domain = str(found["HostedZone"]["Name"]).rstrip(".")
    if not f".{context.settings.host}".endswith(f".{domain}"):
        raise CommandFailed(
            f"Hosted zone {zone} is of {domain}, and the address is {context.settings.host}: name"
            " the zone of that in aws.zone, or leave it out and make the records elsewhere"
        )
    if is_ours:
        return
    words = ("aws", "route53", "list-resource-record-sets", "--hosted-zone-id", zone)
    records = context.commands.load(words)["ResourceRecordSets"]
    there = {_read_name(each) for each in records if each["Type"] in _ADDRESSES}
    if taken := [each for each in names if each in there]:
        raise CommandFailed(
            f"Hosted zone {zone} has records of {' and '.join(taken)} already, which are not of"
            " this cluster: delete them there, or leave aws.zone out and change them yourself"
        )


def _read_name(record: Mapping[str, Any]) -> str:
    """In Route 53 a ``*`` is an octal number, and each name ends with a dot."""
    return str(record["Name"]).replace("\\052", "*").rstrip(".")


def _wait_for_balancer(context: Context, pause_seconds: float) -> str:
    """Its host name, as the controller tells the hub's Ingress."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (host := _find_balancer(context)):
        if time.monotonic() > deadline:
            raise CommandFailed(
                "The hub's Ingress has no load balancer: kubectl describe ingress --namespace"
                f" {NAMESPACE} says why"
            )
        context.say("  waiting for the load balancer of the hub's Ingress")
        time.sleep(pause_seconds)
    return host


def _find_balancer(context: Context) -> str:
    for each in context.tools.list("ingress", NAMESPACE):
        for address in each.get("status", {}).get("loadBalancer", {}).get("ingress", []):
            if address.get("hostname"):
                return str(address["hostname"])
    return ""


def _find_zone_of_balancer(context: Context, host: str) -> str:
    """The zone that AWS has for balancers of the region."""
    words = context.call("elbv2", "describe-load-balancers")
    for each in context.commands.load(words)["LoadBalancers"]:
        if str(each["DNSName"]).lower() == host.lower():
            return str(each["CanonicalHostedZoneId"])
    raise CommandFailed(
        f"There is no balancer {host} in region {context.aws.region} of this account: look at the"
        f" load balancer controller, or delete the Ingress in namespace {NAMESPACE}"
    )
