"""Volcano Jobs and session pods for the bed's tests, with the product's own resources and places.

What a job asks for, where it may run and what it tolerates comes from the catalogue through the
functions that the product uses; a test adds what shall become of the pod (`stages.yaml`). Claims of
homes and shared folders are left out: no storage is tested here, and pretended nodes mount nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Choice
from hub_config.platform.people import build_person
from hub_config.platform.pods import build_pod_fields
from hub_config.platform.workspace import Kind, build_workspace
from offline_jobs.contract.run import Termination
from tests.bed.client import COMMAND, JOB, NODE_CLAIM, POD, POD_GROUP, Client, Object, wait

FINAL = frozenset({"Completed", "Failed", "Terminated", "Aborted"})
TASK = "run"
#: What the platform gives its jobs: a lost pod ends the attempt, nothing starts by itself.
POLICY: tuple[Mapping[str, Any], ...] = (
    {"events": ["PodEvicted", "PodFailed"], "action": "TerminateJob"},
)


@dataclass(frozen=True)
class Wish:
    """Who wants what: slugs of the catalogue and a user's name."""

    group: str = "spatial-lab"
    instance_class: str = "standard"
    user: str = "ada"
    interruptible: bool = False


def build_job(
    catalogue: Catalogue,
    name: str,
    wish: Wish = Wish(),
    *,
    stages: Mapping[str, str] | None = None,
    policies: Sequence[Mapping[str, Any]] = POLICY,
    resources: Mapping[str, str] | None = None,
    selector: Mapping[str, str] | None = None,
) -> Object:
    """A Volcano Job with one pod.

    Args:
        catalogue: whose classes, pools and groups the wish names.
        name: at most 40 letters, digits and hyphens.
        wish: who wants what.
        stages: annotations of the pod, such as ``{"bed/complete-after": "3s"}``.
        policies: Volcano's life cycle policies.
        resources: laid over what the class requests.
        selector: in place of the class's node selector.
    """
    fields = _build_pod(catalogue, wish, Kind.JOB, stages or {})
    (container,) = fields["spec"]["containers"]
    for amounts in container["resources"].values():
        amounts.update(resources or {})
    if selector is not None:
        fields["spec"]["nodeSelector"] = dict(selector)
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": name},
        "spec": {
            "schedulerName": "volcano",
            "queue": wish.group,
            "minAvailable": 1,
            # Volcano's count of attempts in all.
            "maxRetry": 1,
            "policies": list(policies),
            "tasks": [{"name": TASK, "replicas": 1, "minAvailable": 1, "template": fields}],
        },
    }


def build_session(
    catalogue: Catalogue,
    name: str,
    wish: Wish = Wish(),
    *,
    stages: Mapping[str, str] | None = None,
) -> Object:
    """A pod as a session's, for the default scheduler."""
    fields = _build_pod(catalogue, wish, Kind.SESSION, stages or {})
    fields["metadata"]["name"] = name
    return {"apiVersion": POD.api_version, "kind": POD.kind, **fields}


def build_message(outcome: str, exit_code: int) -> str:
    """A termination message as the runner leaves it, after 3 of 7 cells."""
    return Termination(cell=3, total=7, outcome=outcome, exit_code=exit_code).dumps()


@dataclass(frozen=True)
class Jobs:
    """The jobs of one namespace: submits them, and sees what becomes of them."""

    client: Client
    namespace: str
    catalogue: Catalogue

    def submit(self, name: str, wish: Wish = Wish(), **options: Any) -> Object:
        """Create a job as :func:`build_job` makes it, with its options."""
        job = build_job(self.catalogue, name, wish, **options)
        return self.client.create(job, self.namespace)

    def get(self, name: str) -> Object:
        """The job of that name."""
        return self.client.get(*JOB, name, self.namespace)

    def command(self, name: str, action: str) -> None:
        """Command Volcano to do something to a job, such as ``TerminateJob``."""
        target = {
            "apiVersion": JOB.api_version,
            "kind": JOB.kind,
            "name": name,
            "uid": self.get(name)["metadata"]["uid"],
            "controller": True,
        }
        command = {
            "apiVersion": COMMAND.api_version,
            "kind": COMMAND.kind,
            "metadata": {"generateName": f"{name}-"},
            "action": action,
            "target": target,
        }
        self.client.create(command, self.namespace)

    def list_pods(self, name: str) -> list[Object]:
        """The pods that a job has just now."""
        return self.client.list(*POD, self.namespace, labels=f"volcano.sh/job-name={name}")

    def list_uids(self, *names: str) -> list[str]:
        """The uids of the pods of these jobs: what tells a pod from one made again."""
        return [pod["metadata"]["uid"] for name in names for pod in self.list_pods(name)]

    def find_group(self, name: str) -> Object | None:
        """The pod group of a job; it goes when the job ends."""
        groups = self.client.list(*POD_GROUP, self.namespace)
        return next((group for group in groups if _is_owned(group, name)), None)

    def look_at(self, name: str) -> dict[str, Any]:
        """Phases of job, pod group and pods, and the names of all node claims there are."""
        return {
            "job": get_phase(self.get(name)),
            "group": get_phase(self.find_group(name) or {}),
            "pods": [get_phase(pod) for pod in self.list_pods(name)],
            "claims": sorted(each["metadata"]["name"] for each in self.client.list(*NODE_CLAIM)),
        }

    def wait_for(self, name: str, *phases: str, seconds: float = 60.0) -> Object:
        """Wait until a job is in one of the phases (any final one without) and return it."""
        wanted = frozenset(phases) or FINAL
        wait(
            f"job {name} to be {' or '.join(sorted(wanted))}",
            lambda: self.look_at(name),
            seconds,
            until=lambda seen: seen["job"] in wanted,
        )
        return self.get(name)

    def wait_for_pod(self, name: str, phase: str = "Running", *, seconds: float = 60.0) -> Object:
        """Wait until a job has a pod in a phase, and return the pod."""
        pods = wait(
            f"a pod of job {name} to be {phase}",
            lambda: self.list_pods(name),
            seconds,
            until=lambda pods: any(get_phase(pod) == phase for pod in pods),
        )
        return next(pod for pod in pods if get_phase(pod) == phase)


def get_phase(found: Mapping[str, Any]) -> str:
    """The phase of a job, a pod or a pod group; empty at first."""
    status = found.get("status", {})
    phase: str = status.get("state", {}).get("phase") or status.get("phase") or ""
    return phase


def _is_owned(found: Mapping[str, Any], job: str) -> bool:
    owners = found["metadata"].get("ownerReferences", [])
    return any(owner["kind"] == JOB.kind and owner["name"] == job for owner in owners)


def _build_pod(
    catalogue: Catalogue, wish: Wish, kind: Kind, stages: Mapping[str, str]
) -> dict[str, Any]:
    instance_class = catalogue.classes[wish.instance_class]
    image = next(
        image
        for image in catalogue.images.values()
        if catalogue.why_pair_fails(image, instance_class) is None
        and image.needs_gpu == bool(instance_class.gpus)
    )
    choice = Choice(group=catalogue.groups[wish.group], image=image, instance_class=instance_class)
    person = build_person(wish.user, [wish.group], admin=False)
    workspace = build_workspace(catalogue, person, choice, kind, interruptible=wish.interruptible)
    fields = build_pod_fields(workspace)
    spec = fields["spec"]
    (container,) = spec["containers"]
    container["name"] = "notebook"
    # A group's account exists in the product's namespace only.
    spec.pop("serviceAccountName", None)
    claims = {each["name"] for each in spec["volumes"] if "persistentVolumeClaim" in each}
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] not in claims]
    mounts = container["volumeMounts"]
    container["volumeMounts"] = [each for each in mounts if each["name"] not in claims]
    # Without claims there are no folders to make.
    spec.pop("initContainers", None)
    fields["metadata"]["annotations"].update(stages)
    return fields
