"""What the chart lets the service's ServiceAccount do: the listed verbs, and no other anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.bed.bed import Bed
from tests.bed.client import NAMESPACE, Client
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
#: What an authorizer is asked one by one besides; the rest is read in its list of rules.
NEAR = {
    ("", "secrets"),
    ("", "pods/exec"),
    ("batch.volcano.sh", "jobs/status"),
    ("apps", "deployments"),
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")

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


def list_rules(client: Client, namespace: str) -> set[Right]:
    """What the API server says that its asker may do in a namespace, or anywhere.

    A wildcard stays one, and a rule for some objects only has their names with its resource.
    """
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "metadata": {},
        "spec": {"namespace": namespace},
    }
    status = client.create(body)["status"]
    assert not status["incomplete"], status
    return {
        (group, f"{resource} {names}" if names else resource, verb, namespace)
        for rule in status["resourceRules"]
        for names in [",".join(rule.get("resourceNames") or [])]
        for group, resource, verb in product(
            rule.get("apiGroups") or [""], rule.get("resources") or [], rule["verbs"]
        )
    }


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
    bed: Bed, client: Client, namespace: str, rights: None
) -> None:
    service = Client(bed.kubeconfig, user=USER)
    places = [each["metadata"]["name"] for each in client.list(*NAMESPACE)]
    assert {JOBS_NAMESPACE, SERVICE_NAMESPACE, "kube-system", namespace} <= {*places}
    for place in places:
        here = IN_JOBS if place == JOBS_NAMESPACE else set()
        expected = {(*right, place) for right in here | ANYWHERE | EVERYBODY}
        assert list_rules(service, place) == expected
    service.close()


def test_the_authorizer_lets_through_what_is_listed_and_nothing_near_it(
    client: Client, namespace: str, rights: None
) -> None:
    near = {(group, resource) for group, resource, _ in IN_JOBS | ANYWHERE} | NEAR
    places = (JOBS_NAMESPACE, SERVICE_NAMESPACE, namespace, "")
    asked = {(*each, verb, place) for each, verb, place in product(near, VERBS, places)}
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda right: may(client, right), asked)
        allowed = {right for right, answer in zip(asked, answers, strict=True) if answer}

    expected = {(*right, JOBS_NAMESPACE) for right in IN_JOBS}
    # Who asks for no namespace asks for all of them.
    assert allowed == expected | {(*right, place) for right in ANYWHERE for place in places}
