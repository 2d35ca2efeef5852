"""A session's start on a real API server, from no machine: the spawner itself, without a hub."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from kubernetes_asyncio.config import kube_config
from kubespawner.clients import load_config
from kubespawner.spawner import MockObject
from traitlets.config import Config

from hub_config.apply import update_kubernetes_spawner
from hub_config.catalogue import Catalogue
from hub_config.settings import Cluster
from hub_config.spawners.kubernetes import KubernetesSpawner
from tests.bed.bed import Bed
from tests.bed.client import NODE, POD, Client
from tests.control_plane.claims import bound_claims

pytestmark = pytest.mark.usefixtures("pretended", "no_nodes")
OPTIONS = {"group": "spatial-lab", "image": "notebook", "class": "standard"}


@pytest.fixture
def space(
    bed: Bed, client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A namespace with the claims that sessions mount; KubeSpawner finds the bed's server."""
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(bed.kubeconfig))
    # KubeSpawner reads a configuration once in a process; tests without a cluster have their own.
    load_config.cache_clear()
    with bound_claims(client, namespace):
        yield namespace
    load_config.cache_clear()


def make_spawner(catalogue: Catalogue, namespace: str) -> KubernetesSpawner:
    user = MockObject()
    user.name, user.id, user.url, user.admin = "ada", 7, "/user/ada/", False
    user.groups = [SimpleNamespace(name="spatial-lab")]
    config = Config()
    cluster = Cluster(namespace, start_seconds=60, pull_policy="IfNotPresent")
    update_kubernetes_spawner(config, catalogue, cluster)
    return KubernetesSpawner(_mock=True, user=user, config=config)


def test_a_session_starts_on_a_machine_of_its_pool_and_says_what_it_waits_for(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    async def start() -> tuple[str, list[str]]:
        spawner = make_spawner(catalogue, space)
        spawner.user_options = OPTIONS
        # As the hub does.
        await spawner._run_apply_user_options(OPTIONS)
        spawner._start_future = asyncio.ensure_future(spawner._start())
        told = [news["message"] async for news in spawner.progress()]
        address: str = await spawner._start_future
        assert await spawner.poll() is None
        pod = client.get(*POD, "jupyter-ada", space)
        labels = client.get(*NODE, pod["spec"]["nodeName"])["metadata"]["labels"]
        pool = catalogue.classes["standard"].session.node_pool
        assert labels["karpenter.sh/nodepool"] == pool
        await spawner.stop()
        assert client.find(*POD, "jupyter-ada", space) is None
        await KubernetesSpawner._stop_all_reflectors()
        return address, told

    address, told = asyncio.run(start())

    assert address.endswith(":8888")
    expected = [
        "Asking for a machine of class standard.",
        "Starting a machine of class standard.",
        "Preparing the machine.",
        "Pulling the image notebook.",
        "Starting JupyterLab.",
    ]
    assert told == [each for each in expected if each in told]
    assert {"Starting a machine of class standard.", "Starting JupyterLab."} <= set(told)
