"""Pods of the probe program (`tests/bed/go/cmd/probe`), and what the API tells of their end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bed.client import NODE, POD, ApiError, Client, Object, wait

IMAGE = "localhost/probe:test"
#: Seconds within which a pod whose image is there has to start, do its work and end.
SECONDS = 60.0
SESSION_POOL = {"notebook-hpc/pool": "sessions-general"}
#: What namespace label `restricted` asks for, in Pod Security's words.
RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_pod(
    name: str,
    *arguments: str,
    container: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    """A pod that runs the probe once, on the node for sessions unless `spec` says otherwise."""
    return {
        "apiVersion": POD.api_version,
        "kind": POD.kind,
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": SESSION_POOL,
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {
                    "name": "probe",
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "args": list(arguments),
                    "securityContext": RESTRICTED,
                    **(container or {}),
                }
            ],
            **spec,
        },
    }


@dataclass(frozen=True)
class Pods:
    """The pods of one namespace."""

    client: Client
    namespace: str

    def within(self, namespace: str) -> Pods:
        """The pods of another namespace."""
        return Pods(self.client, namespace)

    def start(self, name: str, *arguments: str, **options: Any) -> Object:
        """Create a pod as :func:`build_pod` makes it."""
        return self.client.create(build_pod(name, *arguments, **options), self.namespace)

    def run(self, name: str, *arguments: str, **options: Any) -> Object:
        """Start a pod, wait for its end, return its state `terminated`."""
        self.start(name, *arguments, **options)
        return self.wait_for_end(name)

    def wait_for_end(self, name: str) -> Object:
        """Wait for a pod's end, return its state `terminated`."""
        return get_end(self.wait(name, lambda pod: get_phase(pod) in ("Succeeded", "Failed")))

    def serve(self, name: str, text: str, **options: Any) -> Object:
        """Start a pod that answers on port 8080, and wait until it runs and answers."""
        ready = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
        container = {"readinessProbe": ready}
        labels = {"app": name}
        self.start(name, "serve", "8080", text, container=container, labels=labels, **options)
        return self.wait(name, is_ready)

    def expose(self, name: str) -> str:
        """Make a Service for the pod that serves under that name; return its address."""
        ports = [{"port": 80, "targetPort": 8080}]
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": ports},
        }
        address: str = self.client.create(service, self.namespace)["spec"]["clusterIP"]
        return address

    def get(self, name: str) -> Object:
        """The pod of that name."""
        return self.client.get(*POD, name, self.namespace)

    def read_log(self, name: str) -> str:
        """What a pod has written."""
        return self.client.read_log(self.namespace, name)

    def wait_for_line(self, name: str, text: str) -> None:
        """Wait until a pod has written something that contains a text."""

        def read_if_any() -> str:
            try:
                return self.read_log(name)
            except ApiError as error:
                # 400 before its container has started, 404 before the kubelet has its log.
                if error.status not in (400, 404):
                    raise
                return ""

        wait(f"{text!r} from pod {name}", read_if_any, SECONDS, until=lambda log: text in log)

    def wait(
        self, name: str, until: Callable[[Object], object], seconds: float = SECONDS
    ) -> Object:
        """Wait for something about a pod; return the pod."""
        return wait(f"pod {name}", lambda: self.get(name), seconds, until=until)


def get_phase(pod: Object) -> str:
    """A pod's phase."""
    phase: str = pod["status"].get("phase", "")
    return phase


def get_end(pod: Object) -> Object:
    """The state `terminated` of a pod's only container."""
    (status,) = pod["status"]["containerStatuses"]
    end: Object = status["state"]["terminated"]
    return end


def is_ready(found: Object) -> bool:
    """Whether a pod or node has the condition Ready."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def wait_for_node(
    client: Client, name: str, until: Callable[[Object], object], seconds: float = SECONDS
) -> Object:
    """Wait for something about a Node that exists; return the Node."""
    return wait(
        f"node {name}",
        lambda: client.find(*NODE, name) or {},
        seconds,
        until=lambda node: node and until(node),
    )
