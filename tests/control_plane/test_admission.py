"""The chart's admission policy: the service's Jobs come in, and no other, whoever sends them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hub_config.catalogue import Catalogue
from offline_jobs.service.backends.volcano.build import build_job
from tests.bed.bed import Bed
from tests.bed.client import JOB, ApiError, Client, Object, wait
from tests.control_plane.chart import render
from tests.control_plane.test_volcano_jobs import make_launch

POLICIES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}

pytestmark = pytest.mark.usefixtures("pretended")


@pytest.fixture
def policed(bed: Bed, client: Client, namespace: str, catalogue: Catalogue) -> Iterator[str]:
    """The namespace, with the policy in force."""
    documents = [each for each in render(bed, namespace) if each["kind"] in POLICIES]
    for each in documents:
        each["metadata"]["name"] += f"-{namespace}"
        if "policyName" in each["spec"]:
            each["spec"]["policyName"] += f"-{namespace}"
    client.apply_all(documents)
    wrong = build(catalogue, namespace)
    wrong["spec"]["queue"] = "default"
    wait("the policy to be in force", lambda: is_refused(client, wrong))
    yield namespace
    for each in documents:
        client.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


def build(catalogue: Catalogue, namespace: str) -> Object:
    job = build_job(make_launch(catalogue, "spatial-lab", "standard"), namespace)
    return copy.deepcopy(job)


def is_refused(client: Client, job: Object) -> bool:
    try:
        client.create(job)
    except ApiError as error:
        return "ValidatingAdmissionPolicy" in error.message
    client.delete(*JOB, job["metadata"]["name"], job["metadata"]["namespace"])
    return False


def pod(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["tasks"][0]["template"]["spec"]
    return found


def container(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = pod(job)["containers"][0]
    return found


def put(
    place: Callable[[Object], dict[str, Any]], key: str, value: Any
) -> Callable[[Object], None]:
    def change(job: Object) -> None:
        place(job)[key] = value

    return change


def spec(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]
    return found


SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
CHANGES: dict[str, tuple[Callable[[Object], None], str]] = {
    "another queue": (put(spec, "queue", "gpu-users"), "queue of the group"),
    "another try": (put(spec, "maxRetry", 3), "one task with one pod"),
    "the default scheduler": (put(spec, "schedulerName", "default-scheduler"), "one task"),
    "a restart": (
        put(spec, "policies", [{"event": "PodEvicted", "action": "RestartJob"}]),
        "loses its pod",
    ),
    "no policy": (put(spec, "policies", []), "loses its pod"),
    "a plugin": (put(spec, "plugins", {"svc": []}), "plugins"),
    "a volume of Volcano's": (
        put(spec, "volumes", [{"mountPath": "/x", "volumeClaimName": "homes"}]),
        "plugins",
    ),
    "another name": (
        lambda job: job["metadata"].update(name="job-z1b2c3d4e5f6-1"),
        "called after the job",
    ),
    "no labels": (lambda job: job["metadata"].update(labels={}), "called after the job"),
    "another image": (
        lambda job: container(job).update(image="localhost/other:1"),
        "catalogue's images",
    ),
    "a command": (put(container, "command", ["sh"]), "catalogue's images"),
    "other arguments": (put(container, "args", ["sh", "-c", "id"]), "catalogue's images"),
    "a second container": (
        lambda job: pod(job)["containers"].append({**container(job), "name": "second"}),
        "catalogue's images",
    ),
    "a secret in a variable": (
        lambda job: container(job)["env"].append(SECRET),
        "plain variables",
    ),
    "no limits": (put(container, "resources", {}), "plain variables"),
    "a folder of the machine": (
        lambda job: pod(job)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
        "mounts the platform's claims",
    ),
    "a secret as files": (
        lambda job: pod(job)["volumes"].append({"name": "x", "secret": {"secretName": "x"}}),
        "mounts the platform's claims",
    ),
    "another claim": (
        lambda job: pod(job)["volumes"].append(
            {"name": "x", "persistentVolumeClaim": {"claimName": "hub-db-dir"}}
        ),
        "mounts the platform's claims",
    ),
    "a token": (put(pod, "automountServiceAccountToken", True), "no token"),
    "another account": (put(pod, "serviceAccountName", "admin"), "no token"),
    "the machine's network": (put(pod, "hostNetwork", True), "no token"),
    "root": (
        lambda job: container(job)["securityContext"].update(runAsUser=0, runAsNonRoot=False),
        "no token",
    ),
    "a machine of its choice": (put(pod, "nodeName", "real-sessions"), "pool for jobs"),
    "a session's machine": (
        put(pod, "nodeSelector", {"notebook-hpc/pool": "sessions-general"}),
        "pool for jobs",
    ),
    "restarts by the kubelet": (put(pod, "restartPolicy", "OnFailure"), "runs once"),
}


def test_what_the_service_makes_comes_in(
    client: Client, policed: str, catalogue: Catalogue
) -> None:
    client.create(build(catalogue, policed))


@pytest.mark.parametrize("what", CHANGES)
def test_what_it_would_not_make_is_refused_with_the_reason(
    client: Client, policed: str, catalogue: Catalogue, what: str
) -> None:
    job = build(catalogue, policed)
    change, reason = CHANGES[what]
    change(job)

    with pytest.raises(ApiError) as refused:
        client.create(job)

    assert "ValidatingAdmissionPolicy" in refused.value.message
    assert reason in refused.value.message
