"""The jobs service's client and watch, on a real API server: nothing is missed, whatever breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from offline_jobs.service.backends.kubernetes.client import PODS, Client, Resource, Stream
from offline_jobs.service.backends.kubernetes.watch import Watch
from offline_jobs.service.errors import ClusterAway, ClusterRefused
from tests.bed.bed import Bed
from tests.bed.client import wait

pytestmark = pytest.mark.usefixtures("pretended")
CONFIG_MAPS = Resource("/api/v1", "configmaps")
Start = Callable[..., Watch]


@pytest.fixture
def ours(bed: Bed) -> Iterator[Client]:
    """The service's client, here with an administrator's rights."""
    client = Client.from_kubeconfig(bed.kubeconfig)
    yield client
    client.close()


@pytest.fixture
def start(ours: Client, namespace: str) -> Iterator[Start]:
    """Starts watches of the namespace's config maps."""
    started: list[Watch] = []

    def begin(client: Client = ours, **options: Any) -> Watch:
        watch = Watch(client, CONFIG_MAPS, namespace, **options)
        started.append(watch)
        watch.start()
        assert watch.wait_until_synced(10)
        return watch

    yield begin
    for each in started:
        each.stop()


def make(name: str, text: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"text": text},
    }


def names(found: list[dict[str, Any]]) -> set[str]:
    # Kubernetes puts one into every namespace.
    return {each["metadata"]["name"] for each in found} - {"kube-root-ca.crt"}


def wait_for(watch: Watch, *expected: str) -> None:
    wait("the watch", lambda: names(watch.there()), until=lambda seen: seen == set(expected))


def test_objects_are_made_found_and_deleted(ours: Client, namespace: str) -> None:
    made = ours.create(CONFIG_MAPS, namespace, make("one"))

    assert made is not None
    assert ours.create(CONFIG_MAPS, namespace, make("one", "another")) is None
    found = ours.find(CONFIG_MAPS, namespace, "one")
    assert found is not None
    assert found["data"] == {"text": ""}
    uid = made["metadata"]["uid"]
    assert not ours.delete(CONFIG_MAPS, namespace, "one", uid="00000000-not-its-uid")
    assert ours.delete(CONFIG_MAPS, namespace, "one", uid=uid)
    assert not ours.delete(CONFIG_MAPS, namespace, "one", uid=uid)
    assert ours.find(CONFIG_MAPS, namespace, "one") is None


def test_a_no_is_told_with_its_reason(ours: Client, namespace: str) -> None:
    with pytest.raises(ClusterRefused) as refused:
        ours.create(CONFIG_MAPS, namespace, make("Not A Name"))

    assert (refused.value.status, refused.value.word) == (422, "Invalid")
    assert "Not A Name" in refused.value.said


def test_a_server_that_is_not_there_is_told(ours: Client, bed: Bed, namespace: str) -> None:
    client = Client.from_kubeconfig(bed.kubeconfig)
    client._api.configuration.host = "https://127.0.0.1:9"

    with pytest.raises(ClusterAway):
        client.list(CONFIG_MAPS, namespace)


def test_more_than_a_page_is_listed(ours: Client, namespace: str, start: Start) -> None:
    for number in range(7):
        ours.create(CONFIG_MAPS, namespace, make(f"many-{number}"))

    items, version = SmallPages.of(ours).list(CONFIG_MAPS, namespace)

    assert names(items) == {f"many-{number}" for number in range(7)}
    assert version


def test_a_watch_follows(ours: Client, namespace: str, start: Start) -> None:
    ours.create(CONFIG_MAPS, namespace, make("before"))
    calls: list[int] = []
    watch = start(on_change=lambda: calls.append(1))
    wait_for(watch, "before")

    later = ours.create(CONFIG_MAPS, namespace, make("later", "last words"))
    wait_for(watch, "before", "later")
    assert later is not None
    ours.delete(CONFIG_MAPS, namespace, "later", uid=later["metadata"]["uid"])

    wait_for(watch, "before")
    assert [each["data"]["text"] for each in watch.gone()] == ["last words"]
    assert len(calls) >= 3
    assert watch.silent_seconds() == 0


def test_a_watch_goes_on_where_the_server_ended_it(
    ours: Client, namespace: str, start: Start
) -> None:
    counting = Counting.of(ours)
    watch = start(counting, watch_seconds=1)
    wait("three watches", lambda: counting.watches, until=lambda seen: seen >= 3)

    ours.create(CONFIG_MAPS, namespace, make("late"))

    wait_for(watch, "late")
    assert counting.lists == 1


def test_a_restarted_server_has_forgotten_our_version_and_everything_is_listed_again(
    ours: Client, bed: Bed, namespace: str, start: Start
) -> None:
    counting = Counting.of(ours)
    ours.create(CONFIG_MAPS, namespace, make("first"))
    watch = start(counting)
    wait_for(watch, "first")

    bed.daemons.restart("kube-apiserver")

    def create() -> bool:
        try:
            return ours.create(CONFIG_MAPS, namespace, make("second")) is not None
        except (ClusterAway, ClusterRefused):
            return False

    wait("the server", create, 60.0)
    # Whoever comes next needs the custom resources, too, which come a moment later.
    bed.client.wait_for_crds()
    wait("the watch", lambda: names(watch.there()), 60.0, until=lambda s: s == {"first", "second"})
    assert watch.gone() == []
    # It remembers from its own start on only, and says 410.
    assert counting.lists == 2


def test_a_watch_ends_at_once(start: Start) -> None:
    watch = start()
    wait("the watch to be open", lambda: watch.silent_seconds() == 0)

    watch.stop(2.0)

    assert not watch._thread.is_alive()


def test_pods_are_where_we_look(ours: Client, namespace: str) -> None:
    assert ours.list(PODS, namespace)[0] == []


class Counting(Client):
    """Counts what is asked of the server."""

    lists = 0
    watches = 0

    @classmethod
    def of(cls, client: Client) -> Any:
        """One with the credentials of another."""
        return cls(client._api.configuration)

    def list(self, resource: Resource, namespace: str = "") -> tuple[list[dict[str, Any]], str]:
        self.lists += 1
        return super().list(resource, namespace)

    def watch(self, resource: Resource, namespace: str, version: str, seconds: int) -> Stream:
        self.watches += 1
        return super().watch(resource, namespace, version, seconds)


class SmallPages(Counting):
    """Lists three at a time."""

    def _load(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        if "limit" in (query := options.get("query") or {}):
            options["query"] = {**query, "limit": "3"}
        return super()._load(method, path, **options)
