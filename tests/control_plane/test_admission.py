"""The chart's admission policy: the service's Jobs come in, and no other, whoever sends them.

And what came in goes again, whatever the policy says by then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_file import parse_catalogue
from offline_jobs.service.backends.volcano.build import build_job
from tests.bed.bed import Bed
from tests.bed.client import JOB, POD, ApiError, Client, Object, wait
from tests.bed.overlay import lay_over, load_values
from tests.bed.worlds import create_namespace, remove_namespace
from tests.control_plane.chart import render
from tests.control_plane.test_volcano_jobs import make_launch

POLICIES = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
#: The shipped catalogue, with all that groups can have and a class with a placement of its own.
VALUES = lay_over(
    load_values(real=False),
    {
        "custom": {
            "catalogue": {
                "node_pools": [{"slug": "jobs-general", "labels": {"example/tier": "jobs"}}],
                "classes": [
                    {
                        "slug": "small",
                        "job": {
                            "selector": {"notebook-hpc/pool": "jobs-general"},
                            "tolerations": [
                                {"key": "notebook-hpc/dedicated", "operator": "Exists"},
                                {"key": "example/maintenance", "effect": "NoExecute"},
                            ],
                        },
                    }
                ],
                "groups": [
                    {"slug": "spatial-lab", "service_account": "lab", "buckets": ["lab.raw"]},
                    {"slug": "gpu-users", "service_account": "gpus", "buckets": ["gpus-raw"]},
                ],
            }
        }
    },
)

pytestmark = pytest.mark.usefixtures("pretended")


@pytest.fixture(scope="module")
def bounds() -> Catalogue:
    return parse_catalogue(VALUES)


@pytest.fixture
def policed(bed: Bed, client: Client, namespace: str, bounds: Catalogue) -> Iterator[str]:
    """The namespace, with the policy in force."""
    with police(bed, client, namespace, bounds):
        yield namespace


@pytest.fixture(scope="module")
def closed(bed: Bed, client: Client, bounds: Catalogue) -> Iterator[str]:
    """A namespace with the policy in force, for all that does not come in."""
    name = create_namespace(client, "closed")
    with police(bed, client, name, bounds):
        yield name
    remove_namespace(client, name)


@contextmanager
def police(bed: Bed, client: Client, namespace: str, catalogue: Catalogue) -> Iterator[None]:
    """Put the policy in force for a namespace."""
    documents = render_policy(bed, namespace)
    client.apply_all(documents)
    wrong = build(catalogue, namespace)
    wrong["spec"]["queue"] = "default"
    wait("the policy to be in force", lambda: is_refused(client, wrong))
    try:
        yield
    finally:
        for each in documents:
            client.delete(each["apiVersion"], each["kind"], each["metadata"]["name"])


def render_policy(bed: Bed, namespace: str, values: Object = VALUES) -> list[Object]:
    chart = render(bed, namespace, {"custom.catalogue": values["custom"]["catalogue"]})
    documents = [each for each in chart if each["kind"] in POLICIES]
    for each in documents:
        each["metadata"]["name"] += f"-{namespace}"
        if "policyName" in each["spec"]:
            each["spec"]["policyName"] += f"-{namespace}"
    return documents


def build(
    catalogue: Catalogue,
    namespace: str,
    group: str = "spatial-lab",
    instance_class: str = "standard",
) -> Object:
    job = build_job(make_launch(catalogue, group, instance_class), namespace)
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


def labels(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["tasks"][0]["template"]["metadata"]["labels"]
    return found


def container(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = pod(job)["containers"][0]
    return found


def first(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = pod(job)["initContainers"][0]
    return found


def mount(volume: str) -> Callable[[Object], dict[str, Any]]:
    """Finds the runner's first mount of a volume."""

    def find(job: Object) -> dict[str, Any]:
        found: Iterator[dict[str, Any]] = iter(container(job)["volumeMounts"])
        return next(each for each in found if each["name"] == volume)

    return find


def claim(volume: str) -> Callable[[Object], dict[str, Any]]:
    """Finds what a volume says of its claim."""

    def find(job: Object) -> dict[str, Any]:
        found: Iterator[dict[str, Any]] = iter(pod(job)["volumes"])
        return next(each["persistentVolumeClaim"] for each in found if each["name"] == volume)

    return find


def put(
    place: Callable[[Object], dict[str, Any]], key: str, value: Any
) -> Callable[[Object], None]:
    def change(job: Object) -> None:
        place(job)[key] = value

    return change


def take(place: Callable[[Object], dict[str, Any]], key: str) -> Callable[[Object], None]:
    def change(job: Object) -> None:
        del place(job)[key]

    return change


def append(
    place: Callable[[Object], dict[str, Any]], key: str, value: Any
) -> Callable[[Object], None]:
    def change(job: Object) -> None:
        place(job)[key].append(value)

    return change


def spec(job: Object) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]
    return found


def have_no_person(job: Object) -> None:
    """Label and folders agree, and mean all homes."""
    labels(job)["notebook-hpc/user"] = ""
    first(job)["command"][5:] = ["/claims/home/"]
    container(job)["volumeMounts"] = [{"name": "home", "mountPath": "/x", "subPath": ""}]


SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}
ACTION = {"exec": {"command": ["true"]}}
CHANGES: dict[str, tuple[Callable[[Object], None], str]] = {
    "another queue": (put(spec, "queue", "gpu-users"), "queue of the group"),
    "a scheduler without queues": (
        put(pod, "schedulerName", "default-scheduler"),
        "queue of the group",
    ),
    "a Job's priority": (
        put(spec, "priorityClassName", "system-cluster-critical"),
        "queue of the group",
    ),
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
    "another image": (put(container, "image", "localhost/other:1"), "catalogue's images"),
    "another image first": (put(first, "image", "localhost/other:1"), "catalogue's images"),
    "the user's own image first": (
        lambda job: first(job).update(image=container(job)["image"]),
        "catalogue's images",
    ),
    "the platform's image as the user's": (
        lambda job: container(job).update(image=first(job)["image"]),
        "catalogue's images",
    ),
    "other arguments": (put(container, "args", ["sh", "-c", "id"]), "catalogue's images"),
    "a second container": (
        lambda job: pod(job)["containers"].append({**container(job), "name": "second"}),
        "catalogue's images",
    ),
    "another program first": (put(first, "command", ["sh", "-c", "id"]), "catalogue's images"),
    "somebody's folder": (append(first, "command", "/claims/home/bob"), "catalogue's images"),
    "a secret in a variable": (append(container, "env", SECRET), "plain variables"),
    "no limits": (put(container, "resources", {}), "plain variables"),
    "a folder of the machine": (
        append(pod, "volumes", {"name": "x", "hostPath": {"path": "/"}}),
        "mounts its group's claims",
    ),
    "a secret as files": (
        append(pod, "volumes", {"name": "x", "secret": {"secretName": "x"}}),
        "mounts its group's claims",
    ),
    "another claim": (put(claim("home"), "claimName", "hub-db-dir"), "mounts its group's claims"),
    "another group's bucket": (
        put(claim("data-0"), "claimName", "data-gpus-raw"),
        "mounts its group's claims",
    ),
    "a bucket to write": (take(claim("data-0"), "readOnly"), "to read only"),
    "all homes": (take(mount("home"), "subPath"), "one person's"),
    "all homes by an empty path": (put(mount("home"), "subPath", ""), "one person's"),
    "all homes of nobody": (have_no_person, "one person's"),
    "all homes by a variable": (
        lambda job: mount("home")(job).update(subPathExpr="$(X)", subPath=None),
        "one person's",
    ),
    "another home": (put(mount("home"), "subPath", "bob"), "one person's"),
    "another person": (
        put(labels, "notebook-hpc/user", "a.b"),
        "catalogue's images",
    ),
    "all checkpoints": (put(mount("home"), "subPath", ".checkpoints"), "one person's"),
    "another's checkpoints": (put(mount("home"), "subPath", ".checkpoints/bob"), "one person's"),
    "all shared folders": (take(mount("shared"), "subPath"), "one group's"),
    "another group's folder": (put(mount("shared"), "subPath", "teaching"), "one group's"),
    "all homes, a second time": (
        append(container, "volumeMounts", {"name": "home", "mountPath": "/x"}),
        "one person's",
    ),
    "a token": (put(pod, "automountServiceAccountToken", True), "no token"),
    "another account": (put(pod, "serviceAccountName", "admin"), "no token"),
    "another group's account": (put(pod, "serviceAccountName", "gpus"), "no token"),
    "no account": (take(pod, "serviceAccountName"), "no token"),
    "root": (
        lambda job: container(job)["securityContext"].update(runAsUser=0, runAsNonRoot=False),
        "no token",
    ),
    "a session's machine": (
        put(pod, "nodeSelector", {"notebook-hpc/pool": "sessions-general"}),
        "pool for jobs",
    ),
    "any machine": (append(pod, "tolerations", {"operator": "Exists"}), "pool for jobs"),
    "another pool's taint": (
        append(
            pod,
            "tolerations",
            {
                "key": "nvidia.com/gpu",
                "operator": "Equal",
                "value": "true",
                "effect": "NoSchedule",
            },
        ),
        "pool for jobs",
    ),
    "restarts by the kubelet": (put(pod, "restartPolicy", "OnFailure"), "runs once"),
    "a machine of its choice": (put(pod, "nodeName", "real-sessions"), "no fields but"),
    "the machine's network": (put(pod, "hostNetwork", True), "no fields but"),
    "an account by its old name": (put(pod, "serviceAccount", "admin"), "no fields but"),
    "a pod's priority": (
        put(pod, "priorityClassName", "system-cluster-critical"),
        "no fields but",
    ),
    "a group for files": (
        lambda job: pod(job)["securityContext"].update(fsGroup=100),
        "no fields but",
    ),
    "a command": (put(container, "command", ["sh"]), "no fields but"),
    "variables first": (put(first, "env", [{"name": "A", "value": "b"}]), "no fields but"),
    "a first container that stays": (put(first, "restartPolicy", "Always"), "no fields but"),
    "something after its start": (put(container, "lifecycle", {"postStart": ACTION}), "no fields"),
    "something at its end": (put(container, "lifecycle", {"preStop": ACTION}), "no fields but"),
    "something first": (put(first, "lifecycle", {"postStart": ACTION}), "no fields but"),
    "a liveness probe": (put(container, "livenessProbe", ACTION), "no fields but"),
    "a readiness probe": (put(container, "readinessProbe", ACTION), "no fields but"),
    "a startup probe": (put(container, "startupProbe", ACTION), "no fields but"),
    "a probe first": (put(first, "startupProbe", ACTION), "no fields but"),
}


@pytest.mark.parametrize(
    ("group", "instance_class"),
    [
        ("spatial-lab", "standard"),
        ("spatial-lab", "small"),
        ("gpu-users", "gpu"),
        ("teaching", "standard"),
    ],
)
def test_what_the_service_makes_comes_in(
    client: Client, policed: str, bounds: Catalogue, group: str, instance_class: str
) -> None:
    client.create(build(bounds, policed, group, instance_class))


@pytest.mark.parametrize("what", CHANGES)
def test_what_it_would_not_make_is_refused_with_the_reason(
    client: Client, closed: str, bounds: Catalogue, what: str
) -> None:
    job = build(bounds, closed)
    change, reason = CHANGES[what]
    change(job)

    with pytest.raises(ApiError) as refused:
        client.create(job)

    assert "ValidatingAdmissionPolicy" in refused.value.message
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metadata": {"labels": {"notebook-hpc/attempt": "7"}}}, "called after the job"),
        ({"spec": {"priorityClassName": "system-cluster-critical"}}, "queue of the group"),
    ],
)
def test_what_is_changed_later_is_judged_again(
    client: Client, policed: str, bounds: Catalogue, change: Object, reason: str
) -> None:
    job = client.create(build(bounds, policed))

    with pytest.raises(ApiError, match=reason):
        client.patch(*JOB, job["metadata"]["name"], change, policed)


def test_a_job_of_an_older_catalogue_goes_when_its_time_is_over(
    bed: Bed, client: Client, policed: str, bounds: Catalogue
) -> None:
    """Volcano deletes in the foreground, which ends with an update of the Job."""
    # A group without an account of its own, which nobody has made here.
    job = build(bounds, policed, "teaching")
    job["spec"]["ttlSecondsAfterFinished"] = 1
    name = client.create(job)["metadata"]["name"]
    (pod,) = wait("its pod", lambda: client.list(*POD, policed))

    newer = lay_over(
        VALUES,
        {"custom": {"catalogue": {"images": [{"slug": "notebook", "tag": "newer"}]}}},
    )
    client.apply_all(render_policy(bed, policed, newer))
    wait("the policy to have changed", lambda: is_refused(client, job))
    # A Job that loses its pod ends.
    client.delete(*POD, pod["metadata"]["name"], policed)

    wait(
        "the Job to go", lambda: client.find(*JOB, name, policed), until=lambda found: found is None
    )
