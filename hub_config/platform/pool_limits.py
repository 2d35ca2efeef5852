"""Whether a pod waits because its node pool has reached its limit.

Place in the path: :mod:`hub_config.platform.pod_starts` asks when Karpenter found no machine for a
pod. Whoever waits for others to be done stands in a line; whoever would wait for ever is hindered.
Pure.

Karpenter weighs a pool's limit against what its machines have, and says one of two things: that no
machine at all may still be bought, or that those which may are too small. The latter it says as
well of a pod that fits on no machine, so it counts only where the pool is nearly used up.

Source: sigs.k8s.io/karpenter v1.14.1, pkg/controllers/provisioning/scheduling: scheduler.go
(addToNewNodeClaim, filterByRemainingResources) and nodeclaim.go (InstanceTypeFilterError)
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from hub_config.platform.catalogue import NodePool
from hub_config.platform.quantities import parse_quantity
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.facts import Facts
from offline_jobs.contract.states import Reason

Object = Mapping[str, Any]

_POOL_LABEL = "karpenter.sh/nodepool"
_USED_UP = re.compile(
    r"(?:all available instance types exceed limits|node limits have been exhausted)"
    r" for nodepool \(NodePool=([^)]+)\)"
)
#: Of the ways to say that no machine type will do, those in which it is for its size. A type that
#: is sold out at the moment is none of them.
_TOO_SMALL = re.compile(
    r"no instance type (?:ha[sd] enough resources"
    r"|met the scheduling requirements or had enough resources"
    r"|which met the scheduling requirements and the required offering had the required resources"
    r"|met the requirements/resources/offering tuple)"
)
_OF_POOL = re.compile(re.escape(_POOL_LABEL) + r" In \[([^]]+)\]")
#: A machine has at most so many times what a pod asks for, as a rule: sizes double.
_STEP = 2


def explain_limit(
    word: str, pod: Object, claims: Iterable[Object] | None, pool: NodePool
) -> Waiting | None:
    """What a pod waits for whose pool has reached its limit; ``None``: that is not why.

    Args:
        word: Karpenter's last of the pod.
        pod: has no machine.
        claims: all node claims; ``None``: nobody looked at them.
        pool: the pod's.
    """
    is_used_up = pool.slug in _USED_UP.findall(word)
    if not is_used_up and not _are_too_small(word, pool):
        return None
    if claims is None:
        return Waiting(Reason.POOL_LIMIT) if is_used_up else None
    machines = [
        each
        for each in claims
        if (each["metadata"].get("labels") or {}).get(_POOL_LABEL) == pool.slug
    ]
    used = _sum_up(_parse(_get_size(each), pool.limits) for each in machines)
    told = _find_tightest(pool.limits, used, _get_wishes(pod, pool.limits))
    if not is_used_up and not told:
        return None
    if not machines:
        # Nobody's end would make room.
        return Waiting(Reason.NO_NODE, {"beyond_limit": True})
    return Waiting(Reason.POOL_LIMIT, told)


def _are_too_small(word: str, pool: NodePool) -> bool:
    """Whether that is said of the machines which the pool may still have."""
    return any(
        _TOO_SMALL.search(each) and pool.slug in _OF_POOL.findall(each) for each in word.split("; ")
    )


def _find_tightest(
    limits: Mapping[str, float], used: Mapping[str, float], wanted: Mapping[str, float]
) -> Facts:
    """The resource of which there is too little left for another machine; empty: of none."""
    missing = {
        resource: (used.get(resource, 0) + _STEP * wanted[resource]) / limit
        for resource, limit in limits.items()
        if limit and wanted.get(resource)
    }
    tightest = max(missing, key=lambda each: missing[each], default="")
    if not tightest or missing[tightest] <= 1:
        return {}
    return {
        "resource": tightest,
        "used": used.get(tightest, 0),
        "limit": limits[tightest],
    }


def _get_size(claim: Object) -> Mapping[str, str]:
    """What a machine has; before it was bought, what is asked of it."""
    size: Mapping[str, str] = claim.get("status", {}).get("capacity") or claim.get("spec", {}).get(
        "resources", {}
    ).get("requests", {})
    return size


def _get_wishes(pod: Object, resources: Collection[str]) -> Mapping[str, float]:
    containers = pod.get("spec", {}).get("containers", [])
    return _sum_up(
        _parse(each.get("resources", {}).get("requests", {}), resources) for each in containers
    )


def _parse(amounts: Mapping[str, str], resources: Collection[str]) -> Mapping[str, float]:
    """The amounts of some resources: others may be written as we do not read them."""
    return {name: parse_quantity(text) for name, text in amounts.items() if name in resources}


def _sum_up(amounts: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    total: dict[str, float] = {}
    for each in amounts:
        for resource, amount in each.items():
            total[resource] = total.get(resource, 0) + amount
    return total
