"""`make record`: whole API objects of decisive situations, for tests of pure functions.

Rewrites `tests/recorded/SITUATION.json`, from a bed that runs. Real pods are recorded where the bed
has real nodes; without them their files stay as they are. Nothing in a file is touched up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bed import bed as beds
from tests.bed import pins
from tests.bed.bed import Bed
from tests.bed.jobs import Jobs
from tests.bed.overlay import load_catalogue
from tests.bed.real_situations import REAL_SITUATIONS, load_probe
from tests.bed.situations import SITUATIONS, Objects
from tests.bed.worlds import create_namespace, only_pretended, only_real, remove_namespace

FOLDER = Path(__file__).parents[1] / "recorded"
ALL: Mapping[str, Callable[[Jobs], Objects]] = {**SITUATIONS, **REAL_SITUATIONS}
VERSIONED = ("kubernetes", "volcano", "karpenter", "kwok")

_POD_GROUP = (
    ("metadata", "name"),
    ("metadata", "uid"),
    ("metadata", "creationTimestamp"),
    ("metadata", "ownerReferences", "*", "kind"),
    ("metadata", "ownerReferences", "*", "name"),
    ("spec", "queue"),
    ("status", "phase"),
    ("status", "conditions", "*", "type"),
    ("status", "conditions", "*", "status"),
    ("status", "conditions", "*", "reason"),
    ("status", "conditions", "*", "message"),
)

#: What readers of these objects look at, by role; a star stands for each item of a list.
READ: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "job": (
        ("metadata", "name"),
        ("metadata", "uid"),
        ("metadata", "resourceVersion"),
        ("metadata", "creationTimestamp"),
        ("spec", "queue"),
        ("status", "state", "phase"),
        ("status", "state", "lastTransitionTime"),
        ("status", "conditions", "*", "status"),
        ("status", "retryCount"),
        ("status", "version"),
    ),
    "pod_group": _POD_GROUP,
    "pod_groups": tuple(("*", *place) for place in _POD_GROUP),
    "pod": (
        ("metadata", "name"),
        ("metadata", "uid"),
        ("metadata", "deletionTimestamp"),
        ("metadata", "labels", "volcano.sh/job-name"),
        ("metadata", "annotations", "volcano.sh/job-retry-count"),
        ("spec", "nodeName"),
        ("status", "phase"),
        ("status", "reason"),
        ("status", "message"),
        ("status", "startTime"),
        ("status", "conditions", "*", "type"),
        ("status", "conditions", "*", "status"),
        ("status", "conditions", "*", "reason"),
        ("status", "containerStatuses", "*", "name"),
        ("status", "containerStatuses", "*", "state", "waiting", "reason"),
        ("status", "containerStatuses", "*", "state", "waiting", "message"),
        ("status", "containerStatuses", "*", "state", "running", "startedAt"),
        ("status", "containerStatuses", "*", "state", "terminated", "exitCode"),
        ("status", "containerStatuses", "*", "state", "terminated", "reason"),
        ("status", "containerStatuses", "*", "state", "terminated", "message"),
        ("status", "containerStatuses", "*", "state", "terminated", "finishedAt"),
        ("status", "initContainerStatuses", "*", "state", "waiting", "reason"),
        ("status", "initContainerStatuses", "*", "state", "running", "startedAt"),
        ("status", "initContainerStatuses", "*", "state", "terminated", "exitCode"),
    ),
    "node_claim": (
        ("metadata", "name"),
        ("metadata", "creationTimestamp"),
        ("metadata", "labels", "karpenter.sh/nodepool"),
        ("status", "nodeName"),
        ("status", "conditions", "*", "type"),
        ("status", "conditions", "*", "status"),
        ("status", "conditions", "*", "reason"),
    ),
    "node": (
        ("metadata", "labels", "node.kubernetes.io/instance-type"),
        ("metadata", "labels", "karpenter.sh/capacity-type"),
        ("status", "conditions", "*", "type"),
        ("status", "conditions", "*", "status"),
    ),
    "queue": (("spec", "capability", "cpu"), ("status", "allocated"), ("status", "state")),
    "events": (
        ("*", "type"),
        ("*", "reason"),
        ("*", "message"),
        ("*", "involvedObject", "kind"),
        ("*", "involvedObject", "name"),
        ("*", "involvedObject", "uid"),
    ),
    "status": (("kind",), ("code",), ("message",), ("status",)),
}


def load(situation: str) -> Objects:
    """The recorded objects of a situation, by role."""
    text = (FOLDER / f"{situation}.json").read_text(encoding="utf-8")
    objects: Objects = json.loads(text)["objects"]
    return objects


def record(jobs: Jobs, situation: str) -> Objects:
    """Bring a situation about in an empty namespace, and return its objects."""
    return ALL[situation](jobs)


def describe_shape(objects: Objects) -> dict[str, list[str]]:
    """The types at each place that is read: ``{"pod status phase": ["str"]}``, [] where nothing is.

    Raises:
        KeyError: a role that :data:`READ` does not know.
    """
    return {
        " ".join((role, *path)): sorted({type(value).__name__ for value in _find(found, path)})
        for role, found in objects.items()
        for path in READ[role]
    }


def _find(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == "*":
        for each in value if isinstance(value, list) else ():
            yield from _find(each, path[1:])
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _find(value[path[0]], path[1:])


def write(situation: str, about: str, objects: Objects) -> None:
    """Write a situation's file."""
    versions = {family.name: pins.get_version(family) for family in pins.FAMILIES}
    content = {
        "situation": about,
        "recorded": datetime.now(UTC).date().isoformat(),
        "versions": {name: versions[name] for name in VERSIONED},
        "objects": objects,
    }
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    (FOLDER / f"{situation}.json").write_text(f"{text}\n", encoding="utf-8")


def record_all(bed: Bed, say: Callable[[str], None], only: Collection[str] = ()) -> None:
    """Record every situation that the bed can bring about, or only some."""
    pretended, real = _choose(SITUATIONS, only), _choose(REAL_SITUATIONS, only)
    with only_pretended(bed.client):
        for situation in pretended:
            _record(bed, situation, say)
    if real and not bed.has_nodes:
        say("The bed has no real nodes: the files of real pods stay as they are.")
    elif real:
        with only_real(bed.client), load_probe(bed):
            for situation in real:
                _record(bed, situation, say)


def _choose(situations: Iterable[str], only: Collection[str]) -> list[str]:
    return [each for each in situations if not only or each in only]


def _record(bed: Bed, situation: str, say: Callable[[str], None]) -> None:
    say(situation)
    client = bed.client
    name = create_namespace(client, situation)
    try:
        jobs = Jobs(client, name, load_catalogue(real=situation in REAL_SITUATIONS))
        write(situation, _get_first_line(ALL[situation]), record(jobs, situation))
    finally:
        remove_namespace(client, name)


def _get_first_line(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").partition("\n")[0]


def main() -> int:
    """Record from the bed of that name; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bed.record", description=__doc__)
    parser.add_argument("--name", default="main", help="name of the bed")
    parser.add_argument("--only", nargs="*", default=(), choices=list(ALL), help="some of them")
    options = parser.parse_args()
    bed = beds.load(options.name)
    if bed is None:
        sys.stderr.write(f"No bed {options.name} runs; start it with: make bed\n")
        return 1
    record_all(bed, _say, options.only)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
