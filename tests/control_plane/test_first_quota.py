"""A quota for a kind that was defined a moment ago counts before anybody needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.driver.quotas import wait_until_counted
from cluster.driver.tools import Tools
from tests.bed.bed import Bed
from tests.bed.client import Client, Object, wait

pytestmark = pytest.mark.usefixtures("pretended")

GROUP, NAMESPACE, QUOTA = "quota.example.org", "first-quota", "platform"
COUNTED = f"count/things.{GROUP}"
DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.fixture
def new_kind(client: Client) -> Iterator[None]:
    """A namespace with a quota for a kind that the controller of quotas has not heard of."""
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    client.create(
        {
            "apiVersion": DEFINITION[0],
            "kind": DEFINITION[1],
            "metadata": {"name": f"things.{GROUP}"},
            "spec": {
                "group": GROUP,
                "names": {"kind": "Thing", "plural": "things"},
                "scope": "Namespaced",
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": SCHEMA},
                    }
                ],
            },
        }
    )
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA},
        "spec": {"hard": {"pods": "7", COUNTED: "1"}},
    }
    client.create(quota, NAMESPACE)
    yield
    client.delete(*DEFINITION, f"things.{GROUP}")
    client.delete("v1", "Namespace", NAMESPACE)


@pytest.mark.usefixtures("new_kind")
def test_a_first_quota_counts_long_before_kubernetes_looks_again(bed: Bed, client: Client) -> None:
    def is_looked_at(quota: Object) -> bool:
        return "pods" in quota.get("status", {}).get("used", {})

    # Nearly always before the controller learns the kind, which it does every thirty seconds.
    place = ("v1", "ResourceQuota", QUOTA, NAMESPACE)
    wait("the quota to be looked at", lambda: client.get(*place), until=is_looked_at)

    tools = Tools(str(bed.kubeconfig), kubectl=str(bed.programs.path("kubectl")))
    wait_until_counted(tools, [NAMESPACE], 100)

    quota = client.get(*place)
    assert quota["spec"] == {"hard": {"pods": "7", COUNTED: "1"}}
    assert quota["status"]["used"].keys() == {"pods", COUNTED}
