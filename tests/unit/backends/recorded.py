"""Objects that `make record` kept, put together as the watches have them."""

import copy
import json
from pathlib import Path
from typing import Any

from offline_jobs.service.backends.kubernetes.objects import Seen, sort_out

FOLDER = Path(__file__).parents[2] / "recorded"


def load(situation: str) -> dict[str, Any]:
    """The recorded objects of a situation, by role; each test gets its own."""
    text = (FOLDER / f"{situation}.json").read_text(encoding="utf-8")
    objects: dict[str, Any] = json.loads(text)["objects"]
    return copy.deepcopy(objects)


def as_list(found: Any) -> list[Any]:
    """What a role has: one object, several, or none."""
    return found if isinstance(found, list) else [found] if found else []


def see(objects: dict[str, Any], *, is_pod_gone: bool = False) -> Seen:
    """The attempt of a situation."""
    pods = as_list(objects.get("pod"))
    found = sort_out(
        jobs=as_list(objects.get("job")),
        pod_groups=as_list(objects.get("pod_group")),
        pods=[] if is_pod_gone else pods,
        gone_pods=pods if is_pod_gone else [],
        events=as_list(objects.get("event")) + as_list(objects.get("events")),
    )
    return found["analysis"]
