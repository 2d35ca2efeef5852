"""Objects that `make record` kept, put together as the watches have them."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub_config.platform.catalogue import NodePool
from offline_jobs.service.backends.kubernetes.objects import Seen, sort_out
from offline_jobs.service.backends.volcano.explain import count_ahead, observe, read_facts
from offline_jobs.service.model import Observation
from tests.bed.overlay import load_catalogue
from tests.bed.record import load as load_recorded
from tests.bed.situations import NAME


def load(situation: str) -> dict[str, Any]:
    """The recorded objects of a situation, by role; each test gets its own."""
    return copy.deepcopy(dict(load_recorded(situation)))


def as_list(found: Any) -> list[Any]:
    """What a role has: one object, several, or none."""
    return found if isinstance(found, list) else [found] if found else []


def see(objects: dict[str, Any], *, is_pod_gone: bool = False) -> Seen:
    """The attempt of a situation."""
    pods = as_list(objects.get("pod"))
    found = sort_out(
        jobs=as_list(objects.get("job")),
        pod_groups=list_groups(objects),
        pods=[] if is_pod_gone else pods,
        gone_pods=pods if is_pod_gone else [],
        events=as_list(objects.get("events")),
    )
    return found[NAME]


def look(
    objects: dict[str, Any],
    *,
    is_pod_gone: bool = False,
    claims: list[Any] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Observation:
    """What the backend sees of a situation; the recorded node claim is the only one.

    Its pool is the catalogue's, with other limits if they are said.
    """
    seen = see(objects, is_pod_gone=is_pod_gone)
    facts = read_facts(seen)
    pool = find_pool(facts.get("class", ""))
    return observe(
        seen,
        claims=as_list(objects.get("node_claim")) if claims is None else claims,
        ahead=count_ahead(list_groups(objects)),
        facts=facts,
        pool=replace(pool, limits=limits) if pool and limits else pool,
    )


def find_pool(instance_class: str) -> NodePool | None:
    """The pool of a class's jobs."""
    catalogue = load_catalogue(real=False)
    found = catalogue.classes.get(instance_class)
    return catalogue.node_pools[found.job.node_pool] if found else None


def list_groups(objects: dict[str, Any]) -> list[Any]:
    """All pod groups of a situation."""
    return as_list(objects.get("pod_groups")) or as_list(objects.get("pod_group"))
