"""Volcano's queues, from the catalogue's groups and job pools.

The scheduler admits a job when its queue and the root queue have room, as
``helm-values/volcano.yaml`` tells it; so the capabilities here are the budgets. The root queue must
exist **before** any program of Volcano starts: the scheduler makes one without capability, and the
admission webhook lets nobody give it one afterwards. Pure; whoever applies manifests may import it.

Source: volcano.sh/volcano v1.15.1, pkg/scheduler/plugins/capacity/capacity.go and
pkg/webhooks/admission/queues/validate/validate_queue.go
"""

import math
from typing import Any

from cluster.driver.resources import EPHEMERAL_STORAGE, build_resource_list
from hub_config.platform.catalogue import DISK_MARGIN, GIB, RESOURCES, Catalogue

Manifest = dict[str, Any]
ROOT = "root"


def build_root_queue(catalogue: Catalogue) -> Manifest:
    """The root queue, whose capability is what all job pools together may have.

    It lists **every** resource that a pod may request: one that it leaves out counts as zero while
    no machine has it, and a job that requests it waits for ever, without pod and without machine.
    Pools have no limit for disk, so its figure is the most that jobs on all cores could use.
    """
    capability = _sum_limits(catalogue)
    capability[EPHEMERAL_STORAGE] = capability["cpu"] * _most_scratch_per_core(catalogue)
    return _build_queue(ROOT, weight=1, capability=capability)


def build_queues(catalogue: Catalogue) -> list[Manifest]:
    """A leaf queue per group, below the root queue, in the file's order.

    A group without GPU says so with a zero: what a queue leaves out, it has from its parent. So it
    has the disk, for which groups have no budget.
    """
    queues = []
    for group in catalogue.groups.values():
        capability = {name: group.queue.capability.get(name, 0) for name in RESOURCES}
        queue = _build_queue(group.slug, weight=group.queue.weight, capability=capability)
        queue["spec"]["parent"] = ROOT
        queues.append(queue)
    return queues


def _build_queue(name: str, *, weight: int, capability: dict[str, float]) -> Manifest:
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "Queue",
        "metadata": {"name": name},
        "spec": {
            "weight": weight,
            # A running job is never ended to make room for another group's.
            "reclaimable": False,
            "capability": build_resource_list(capability),
        },
    }


def _sum_limits(catalogue: Catalogue) -> dict[str, float]:
    pools = [pool for pool in catalogue.node_pools.values() if pool.kind == "job"]
    return {name: sum(pool.limits.get(name, 0) for pool in pools) for name in RESOURCES}


def _most_scratch_per_core(catalogue: Catalogue) -> int:
    """Bytes, up to the next GiB."""
    classes = catalogue.classes.values()
    most = max(((each.scratch_bytes + DISK_MARGIN) / each.cores for each in classes), default=0)
    return math.ceil(most / GIB) * GIB
