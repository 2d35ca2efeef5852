"""What a failed test of the bed shows besides its traceback: the objects, the events, the logs.

Written for whoever reads a failure in CI and cannot look at the cluster any more. Used by
`fixtures.py` only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.bed.bed import Bed
from tests.bed.client import (
    JOB,
    NODE,
    NODE_CLAIM,
    NODE_POOL,
    POD,
    POD_GROUP,
    QUEUE,
    ApiError,
    Client,
    NoAnswer,
    Object,
)

LOG_LINES = 25
LONGEST = 20_000
LONGEST_LINE = 500


def build_sections(bed: Bed, client: Client, namespace: str) -> list[tuple[str, str]]:
    """Heads and texts for a test's report; a server that does not answer is no obstacle."""
    sections: list[tuple[str, Callable[[], str]]] = [
        ("nodes, claims, pools, queues", lambda: _describe_cluster(client)),
    ]
    if namespace:
        sections += [
            (f"events in {namespace}", lambda: _describe_events(client, namespace)),
            (f"objects in {namespace}", lambda: _describe_objects(client, namespace)),
        ]
    found = [(f"bed {bed.name}: {head}", _try(describe)) for head, describe in sections]
    for name in bed.daemons.names():
        state = "runs" if bed.daemons.is_running(name) else "has ended"
        head = f"bed {bed.name}: {name} {state}; the end of {bed.daemons.log(name)}"
        tail = bed.daemons.read_tail(name, LOG_LINES).splitlines()
        found.append((head, "\n".join(line[:LONGEST_LINE] for line in tail)))
    return found


def _try(describe: Callable[[], str]) -> str:
    try:
        text = describe()
    except (ApiError, NoAnswer, LookupError) as error:
        return f"cannot be read: {error}"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n…"


def _describe_cluster(client: Client) -> str:
    lines = []
    for kind in (NODE, NODE_CLAIM, NODE_POOL, QUEUE):
        for found in client.list(*kind):
            labels = found["metadata"].get("labels", {})
            about = {
                "type": labels.get("node.kubernetes.io/instance-type"),
                "taints": [taint["key"] for taint in found["spec"].get("taints") or []],
                "cordoned": found["spec"].get("unschedulable"),
                "limits": found["spec"].get("limits"),
                "capability": found["spec"].get("capability"),
                "conditions": _list_conditions(found),
                "state": found.get("status", {}).get("state"),
                "allocated": found.get("status", {}).get("allocated"),
            }
            words = {key: value for key, value in about.items() if value}
            lines.append(f"{kind.kind} {found['metadata']['name']} {json.dumps(words)}")
    return "\n".join(lines)


def _list_conditions(found: Mapping[str, Any]) -> list[str]:
    conditions = found.get("status", {}).get("conditions") or []
    return [f"{each['type']}={each['status']}" for each in conditions if each["status"] != "False"]


def _describe_events(client: Client, namespace: str) -> str:
    return "\n".join(
        f"{event.get('lastTimestamp') or event.get('eventTime')} {event['type']}"
        f" {event['involvedObject']['kind']}/{event['involvedObject'].get('name')}"
        f" {event.get('reason')}: {event.get('message')}"
        for event in client.list_events(namespace)
    )


def _describe_objects(client: Client, namespace: str) -> str:
    found = [each for kind in (JOB, POD_GROUP, POD) for each in client.list(*kind, namespace)]
    return yaml.safe_dump_all([_strip(each) for each in found], sort_keys=False, width=200)


def _strip(found: Object) -> Object:
    """An object without what nobody reads in a report."""
    metadata = {key: value for key, value in found["metadata"].items() if key != "managedFields"}
    return {**found, "metadata": metadata}
