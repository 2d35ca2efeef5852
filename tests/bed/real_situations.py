"""Situations of real pods on real nodes, for the recorder: what a kubelet writes of a pod.

The image is the probe's alone; it exits, fails, grows and ends at SIGTERM as told.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bed import archive, nodes
from tests.bed.bed import Bed
from tests.bed.client import POD, Client, Object, wait
from tests.bed.jobs import build_message, get_phase
from tests.bed.worlds import create_namespace, remove_namespace

IMAGE = "localhost/probe:recorded"
SELECTOR = {"notebook-hpc/pool": "sessions-general"}
GREEDY: Mapping[str, Any] = {"resources": {"limits": {"memory": "64Mi"}}}
MISSING: Mapping[str, Any] = {"image": "localhost/missing:1", "imagePullPolicy": "Never"}


@contextmanager
def load_probe(bed: Bed) -> Iterator[None]:
    """Put the probe's image onto the node for sessions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.tar"
        archive.write_image(
            path, IMAGE, {"probe": bed.programs.path("probe")}, entrypoint=["/probe"]
        )
        nodes.load_image(bed, nodes.SESSIONS, path)
    yield


def record_pods(client: Client) -> Iterator[tuple[str, str, Mapping[str, Object]]]:
    """Each situation's name, a sentence about it, and the pod."""
    good, bad = build_message("succeeded", 0), build_message("cell-error", 1)
    namespace = create_namespace(client, "recorded-pods")
    ends = {
        "real-completed": ("A real pod that ended well.", ["message", good, "0"], {}),
        "real-failed": ("A real pod that failed, with last words.", ["message", bad, "1"], {}),
        "real-out-of-memory": ("A real pod over its memory limit.", ["allocate", "256"], GREEDY),
    }
    for name, (about, arguments, container) in ends.items():
        client.create(_build_pod(name, arguments, container), namespace)
        yield name, about, {"pod": _wait_for(client, namespace, name, "Succeeded", "Failed")}

    name = "real-stopped"
    pod = _build_pod(name, ["term", "1", "143"], {})
    # Whoever holds a pod can read it after its end; without, only a watch sees that.
    pod["metadata"]["finalizers"] = ["notebook-hpc.test/seen"]
    client.create(pod, namespace)
    _wait_for(client, namespace, name, "Running")
    wait(
        "the probe to await SIGTERM",
        lambda: client.read_log(namespace, name),
        until=lambda log: "waiting" in log,
    )
    client.delete(*POD, name, namespace)
    stopped = _wait_for(client, namespace, name, "Succeeded", "Failed")
    client.patch(*POD, name, {"metadata": {"finalizers": None}}, namespace)
    yield name, "A real pod that was deleted and ended at SIGTERM.", {"pod": stopped}

    name = "real-image-missing"
    client.create(_build_pod(name, [], MISSING), namespace)
    missing = wait(
        "the pod to lack its image",
        lambda: client.get(*POD, name, namespace),
        until=lambda pod: (
            "waiting" in str(pod["status"].get("containerStatuses", ""))
            and "ErrImageNeverPull" in str(pod["status"])
        ),
    )
    yield name, "A real pod whose image is not there.", {"pod": missing}
    remove_namespace(client, namespace)


def _build_pod(name: str, arguments: list[str], container: Mapping[str, Any]) -> Object:
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": SELECTOR,
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "notebook",
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "args": arguments,
                    **container,
                }
            ],
        },
    }


def _wait_for(client: Client, namespace: str, name: str, *phases: str) -> Object:
    return wait(
        f"pod {name} to be {' or '.join(phases)}",
        lambda: client.get(*POD, name, namespace),
        60.0,
        until=lambda pod: get_phase(pod) in phases,
    )
