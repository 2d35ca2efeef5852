"""What the chart lets the service's ServiceAccount do: the listed verbs, and no other anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.bed.bed import Bed
from tests.bed.client import Client
from tests.control_plane.chart import render

pytestmark = pytest.mark.usefixtures("pretended")

SERVICE_NAMESPACE, JOBS_NAMESPACE = "jupyterhub", "offline-jobs"
USER = f"system:serviceaccount:{SERVICE_NAMESPACE}:offline-jobs"
#: DESIGN's list: (group, resource, verb), in the jobs' namespace.
IN_JOBS = {
    *product(["batch.volcano.sh"], ["jobs"], ["create", "get", "list", "watch", "delete"]),
    *product(["scheduling.volcano.sh"], ["podgroups"], ["get", "list", "watch"]),
    *product([""], ["pods", "events"], ["get", "list", "watch"]),
    ("", "pods/log", "get"),
}
#: ... and in the whole cluster.
ANYWHERE = {
    *product(["scheduling.volcano.sh"], ["queues"], ["get", "list", "watch"]),
    *product(["karpenter.sh"], ["nodeclaims"], ["get", "list", "watch"]),
}
#: What Kubernetes lets everybody do who has signed in: ask what they may do, and who they are.
EVERYBODY = {
    ("authentication.k8s.io", "selfsubjectreviews", "create"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "create"),
}
#: Verbs that no list of resources tells.
MORE_VERBS = ("impersonate", "bind", "escalate", "approve", "sign", "use", "proxy")

Right = tuple[str, str, str, str]


@pytest.fixture
def rights(bed: Bed, client: Client) -> Iterator[None]:
    """The chart's ServiceAccount and roles, as an installation makes them."""
    kinds = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
    documents = [each for each in render(bed, JOBS_NAMESPACE) if each["kind"] in kinds]
    for each in documents:
        if not each["kind"].startswith("Cluster"):
            each["metadata"].setdefault("namespace", SERVICE_NAMESPACE)
    client.apply_all(documents)
    yield
    for each in documents:
        metadata = each["metadata"]
        client.delete(
            each["apiVersion"], each["kind"], metadata["name"], metadata.get("namespace", "")
        )


def list_resources(client: Client) -> set[tuple[str, str, str, bool]]:
    """Every (group, resource or subresource, verb, whether in namespaces) that the server has."""
    versions = ["v1"]
    groups = json.loads(client.read("/apis"))["groups"]
    versions += [version["groupVersion"] for group in groups for version in group["versions"]]
    found = set()
    for version in versions:
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        group = version.rpartition("/")[0]
        for each in json.loads(client.read(path))["resources"]:
            verbs = {*each["verbs"], *MORE_VERBS}
            found |= {(group, each["name"], verb, each["namespaced"]) for verb in verbs}
    return found


def may(client: Client, right: Right) -> bool:
    group, resource, verb, namespace = right
    name, _, subresource = resource.partition("/")
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            "user": USER,
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{SERVICE_NAMESPACE}",
                "system:authenticated",
            ],
            "resourceAttributes": {
                "group": group,
                "resource": name,
                "subresource": subresource,
                "verb": verb,
                "namespace": namespace,
            },
        },
    }
    return bool(client.create(body)["status"]["allowed"])


def test_the_service_may_do_what_is_listed_and_nothing_else(
    client: Client, namespace: str, rights: None
) -> None:
    places = [JOBS_NAMESPACE, SERVICE_NAMESPACE, "kube-system", namespace, ""]
    asked: set[Right] = set()
    for group, resource, verb, is_namespaced in list_resources(client):
        # "" asks for all namespaces at once, or for what is in none.
        for place in places if is_namespaced else [""]:
            asked.add((group, resource, verb, place))
    with ThreadPoolExecutor(8) as threads:
        answers = dict(
            zip(asked, threads.map(lambda right: may(client, right), asked), strict=True)
        )

    allowed = {right for right, answer in answers.items() if answer}
    expected = {(*right, JOBS_NAMESPACE) for right in IN_JOBS}
    expected |= {(*right, "") for right in ANYWHERE}
    everybody = {(*right, "") for right in EVERYBODY}
    assert allowed - everybody == expected
    assert len(asked) > 1000
