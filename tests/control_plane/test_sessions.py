"""A session's start on a real API server, from no machine: the spawner itself, without a hub."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from jupyterhub import orm
from jupyterhub.utils import format_exception, utcnow
from kubernetes_asyncio.config import kube_config
from kubespawner.clients import load_config
from kubespawner.spawner import MockObject
from traitlets.config import Config

from hub_config.apply import update_kubernetes_spawner
from hub_config.jobs_service import JobsService
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.pods import HOMES_CLAIM
from hub_config.sessions import Courier, SessionBook
from hub_config.settings import Cluster
from hub_config.shown import ShownError
from hub_config.spawners.kubernetes import KubernetesSpawner
from tests.bed.bed import Bed
from tests.bed.claims import CLAIM
from tests.bed.client import NODE, POD, Client
from tests.bed.worlds import closed_pools
from tests.control_plane.claims import bound_claims

pytestmark = pytest.mark.usefixtures("pretended", "no_nodes")
T = TypeVar("T")
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


class Found(KubernetesSpawner):
    """A spawner of a hub that comes back; the pretended pods serve nothing that could answer."""

    async def _wait_for_answer(self) -> None:
        """It answers."""


def make_row() -> tuple[Any, Any]:
    """The hub's row of ada's spawner, and its database."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    row = orm.Spawner(name="", user=orm.User(name="ada"))
    row.server = orm.Server(base_url="/user/ada/")
    db.add(row)
    db.commit()
    return row, db


def make_spawner(
    catalogue: Catalogue,
    namespace: str,
    of: tuple[Any, Any] | None = None,
    kind: type[KubernetesSpawner] = KubernetesSpawner,
) -> KubernetesSpawner:
    user = MockObject()
    user.name, user.id, user.url, user.admin = "ada", 7, "/user/ada/", False
    user.groups = [SimpleNamespace(name="spatial-lab")]
    config = Config()
    cluster = Cluster(namespace, start_seconds=60, pull_policy="IfNotPresent")
    update_kubernetes_spawner(config, catalogue, cluster)
    # Nobody listens there; what is noted stays.
    config.KubernetesSpawner.courier = Courier(JobsService("http://127.0.0.1:9", "token"))
    row, db = of or make_row()
    user.db = db
    return kind(_mock=True, user=user, config=config, orm_spawner=row, db=db)


def run_hub(doing: Coroutine[Any, Any, T]) -> T:
    """Run what a hub does, and end it as a hub ends: no task and no connection is left."""

    async def run() -> T:
        try:
            return await doing
        finally:
            await KubernetesSpawner._stop_all_reflectors()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            # One with TLS says goodbye to the other side, and is open until that has answered.
            transports: Any = getattr(asyncio.get_running_loop(), "_transports", {})
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while any(each._sock for each in list(transports.values())):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            for each in list(transports.values()):
                each.abort()
            await asyncio.sleep(0)

    return asyncio.run(run())


async def begin(spawner: KubernetesSpawner) -> KubernetesSpawner:
    """Start, as the hub does."""
    spawner.user_options = OPTIONS
    await spawner._run_apply_user_options(OPTIONS)
    spawner.start()
    return spawner


async def begin_until_told(catalogue: Catalogue, space: str, word: str) -> str:
    """Begin a start, and end it when what it tells has a word; the message."""
    spawner = await begin(make_spawner(catalogue, space))
    told = ""
    async for news in spawner.progress():
        told = news["message"]
        if word in told:
            break
    spawner._start_future.cancel()
    await asyncio.wait([spawner._start_future])
    await spawner.stop()
    return told


async def begin_and_lose(catalogue: Catalogue, space: str) -> tuple[Any, Any, KubernetesSpawner]:
    """A start whose hub is killed once there is a pod: all that is left is database and pod."""
    row, db = make_row()
    lost = await begin(make_spawner(catalogue, space, (row, db)))
    while lost.find_pod() is None:  # noqa: ASYNC110  (nobody tells)
        await asyncio.sleep(0.1)
    for task in (lost._start_future, lost._noting):
        task.cancel()
    row.started, row.user_options = utcnow(with_tz=False), OPTIONS
    return row, db, lost


def test_a_session_starts_on_a_machine_of_its_pool_and_says_what_it_waits_for(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    async def start() -> tuple[str, list[str]]:
        spawner = await begin(make_spawner(catalogue, space))
        told = [news["message"] async for news in spawner.progress()]
        address: str = await spawner._start_future
        assert await spawner.poll() is None
        await spawner._noting
        notes = [(turn.state, turn.reason) for turn in spawner.book.unsent]
        assert notes[0] == ("starting", "")
        assert {("starting", "no-node"), ("starting", "node-starting")} <= set(notes)
        assert notes[-1] == ("running", "")
        pod = client.get(*POD, "jupyter-ada", space)
        labels = client.get(*NODE, pod["spec"]["nodeName"])["metadata"]["labels"]
        pool = catalogue.classes["standard"].session.node_pool
        assert labels["karpenter.sh/nodepool"] == pool
        await spawner.stop()
        assert client.find(*POD, "jupyter-ada", space) is None
        return address, told

    address, told = run_hub(start())

    assert address.endswith(":8888")
    expected = [
        "Asking for a machine of class Standard.",
        "Asking for a machine of class Standard, none is free yet.",
        "Starting a machine of class Standard.",
        "Preparing the machine.",
        "Pulling the image Python notebook.",
        "Starting JupyterLab.",
    ]
    assert told == [each for each in expected if each in told]
    assert {"Starting a machine of class Standard.", "Starting JupyterLab."} <= set(told)


REFUSED = (
    "The start has failed: Pod was rejected: Node didn't have enough resource: cpu,"
    " requested: 1000, used: 3900, capacity: 4000."
)


def test_a_pod_that_its_machine_refused_ends_the_start_with_the_reason(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    def refuse(spawner: KubernetesSpawner, pod: Any) -> Any:
        pod.metadata.annotations["bed/refuse"] = "OutOfcpu"
        return pod

    async def start() -> tuple[ShownError, list[str]]:
        # Much longer than the test may take.
        spawner = make_spawner(catalogue, space)
        spawner.start_timeout = 1200
        spawner.modify_pod_hook = refuse
        await begin(spawner)
        with pytest.raises(ShownError) as failed:
            await asyncio.wait_for(spawner._start_future, 60)
        pod = client.get(*POD, "jupyter-ada", space)
        assert pod["status"]["phase"] == "Failed"
        # Whoever else asks is answered.
        assert not spawner.is_pod_running(pod)
        assert await spawner.poll() == 1

        # What is left of that start says nothing of the next.
        spawner.modify_pod_hook = None
        await begin(spawner)
        told = [news["message"] async for news in spawner.progress()]
        await spawner._start_future
        await spawner.stop()
        return failed.value, told

    error, told = run_hub(start())

    assert error.status_code == 500
    # As the hub's page of failed starts asks for it.
    shown, html = format_exception(error, only_jupyterhub=True)
    assert shown == f"{REFUSED} Start it again, or tell an administrator."
    assert html is None
    assert told[-1] == "Starting JupyterLab."
    assert REFUSED not in told


def test_a_hub_that_comes_back_goes_on_with_the_start(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    async def start() -> tuple[list[str], list[str]]:
        row, db, _ = await begin_and_lose(catalogue, space)
        sessions = {turn.session for turn in SessionBook(row, db).unsent}

        found = make_spawner(catalogue, space, (row, db), Found)
        # As JupyterHub's own check of what it finds.
        found._check_pending = True
        checked = asyncio.create_task(found.poll())
        await asyncio.sleep(0)
        while not found._spawn_pending:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        told = [news["message"] async for news in found.progress()]
        assert await checked is None
        assert found.pending == "spawn"
        found._check_pending = False
        await found._spawn_future
        assert found.pending is None

        await found._noting
        turns = SessionBook(row, db).unsent
        assert {turn.session for turn in turns} == sessions
        await found.stop()
        return told, [turn.state for turn in turns]

    told, states = run_hub(start())

    assert {"Starting a machine of class Standard.", "Starting JupyterLab."} <= set(told)
    assert (states[-1], states.count("running")) == ("running", 1)


def test_a_start_that_goes_on_can_be_cancelled(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    async def start() -> int | None:
        row, db, _ = await begin_and_lose(catalogue, space)

        found = make_spawner(catalogue, space, (row, db), Found)
        found._check_pending = True
        checked = asyncio.create_task(found.poll())
        while not found._spawn_pending:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        # As the hub stops a server whose start is pending.
        found._spawn_future.cancel()
        await asyncio.wait([found._spawn_future])
        assert found.pending is None
        # JupyterHub asks so, and a cancelled future would raise.
        assert isinstance(found._spawn_future.exception(), ShownError)
        assert await found.poll() is None
        await found.stop()
        assert not checked.done()
        found.server = None
        status: int | None = await checked
        return status

    assert run_hub(start()) == 1
    assert client.find(*POD, "jupyter-ada", space) is None


@pytest.mark.parametrize("what", ["no pod", "no time"])
def test_a_start_that_cannot_go_on_is_given_up_with_its_reason(
    space: str, client: Client, catalogue: Catalogue, what: str
) -> None:
    async def start() -> tuple[int | None, BaseException | None]:
        row, db, lost = await begin_and_lose(catalogue, space)
        if what == "no pod":
            await lost.stop()
        else:
            row.started -= timedelta(seconds=lost.start_timeout)

        found = make_spawner(catalogue, space, (row, db), Found)
        found._check_pending = True
        status: int | None = await found.poll()
        found._check_pending = False
        await asyncio.wait([found._spawn_future])
        await found.stop()
        return status, found._spawn_future.exception()

    status, error = run_hub(start())

    assert status == 1
    assert isinstance(error, ShownError)
    words = {"no pod": "The start was lost", "no time": "The start was given up after 1 min"}
    assert words[what] in error.jupyterhub_message


def test_a_start_that_nobody_says_anything_of_ends_in_words(
    space: str, catalogue: Catalogue
) -> None:
    async def start() -> ShownError:
        spawner = make_spawner(catalogue, space)
        spawner.start_timeout = 1
        spawner.user_options = OPTIONS
        await spawner._run_apply_user_options(OPTIONS)
        # As the hub waits for it.
        with pytest.raises(ShownError) as caught:
            await asyncio.wait_for(spawner.start(), spawner.start_timeout)
        await spawner.stop()
        return caught.value

    said = run_hub(start()).jupyterhub_message

    assert re.fullmatch(
        r"The start was given up after 1 s\. Until then: Asking for a machine of class Standard"
        r"(, none is free yet)?\. Start it again later, or choose another class; if that does not"
        r" help, tell an administrator\.",
        said,
    )


def test_a_step_of_the_start_that_took_too_long_says_so_itself(
    space: str, catalogue: Catalogue
) -> None:
    async def start() -> str:
        spawner = make_spawner(catalogue, space)
        failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        failed.set_exception(TimeoutError("Could not create pod"))
        return await spawner._start_in_time(failed)

    with pytest.raises(TimeoutError, match="Could not create pod"):
        run_hub(start())


def test_a_session_of_a_full_pool_says_what_it_waits_for(
    space: str, client: Client, catalogue: Catalogue
) -> None:
    with closed_pools(client):
        told = run_hub(begin_until_told(catalogue, space, "limit"))

    assert told == "Waiting for a machine of class Standard: its pool is at its limit."


def test_a_claim_that_is_missing_is_told(space: str, client: Client, catalogue: Catalogue) -> None:
    client.delete(*CLAIM, HOMES_CLAIM, space)

    told = run_hub(begin_until_told(catalogue, space, "volume")).lower()

    assert told == (
        "the volume cannot be mounted at the moment, still trying:"
        ' persistentvolumeclaim "homes" not found.'
    )
