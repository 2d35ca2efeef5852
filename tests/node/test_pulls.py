"""Real nodes pull from a registry by digest; what keeps them from it is told in words.

Elsewhere on the bed images are imported. Here the registry is a real one: builders push to it on
this machine's loopback, and nodes come to what it keeps by a second one at the bed's address, which
may be away or slow.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hub_config.platform.pod_starts import explain_pod
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting
from images._tool.engines import Engine
from images._tool.registry import Registry
from offline_jobs.contract.facts import Facts, PullFailure
from offline_jobs.contract.states import Reason
from tests.bed import nodes
from tests.bed.bed import Bed
from tests.bed.client import Client, Object
from tests.bed.jobs import Wish, build_session
from tests.bed.namespace import Namespace
from tests.bed.overlay import load_catalogue
from tests.image_registry import ImageRegistry, Trials, running_registry
from tests.node.pods import Pods
from tests.site import wait_until
from tests.skips import require

pytestmark = pytest.mark.usefixtures("real")
NAME, REPOSITORY = "ada", "lab/probe"
MISSING = f"sha256:{'0' * 64}"


@dataclass(frozen=True)
class Pulled:
    """A registry of which nodes pull.

    Attributes:
        host: as images name it.
        digests: of images that are there, which no node has; each is for one test.
        registry: that the nodes come to.
    """

    host: str
    digests: list[str]
    registry: ImageRegistry

    def name(self, digest: str) -> str:
        return f"{self.host}/{REPOSITORY}@{digest}"


@pytest.fixture(scope="module")
def pulled(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    require("a builder of images")
    require("a registry of images")
    folder = tmp_path_factory.mktemp("registry")
    trials = Trials(tmp_path_factory.mktemp("trials"))
    with running_registry(folder) as pushed, pytest.MonkeyPatch.context() as patch:
        for name, value in trials.environment.items():
            patch.setenv(name, value)
        digests = [_push(bed, trials, pushed.host, folder, number) for number in range(3)]
        trials.clear()
        assert isinstance(bed.network, Namespace)
        with running_registry(folder, bed.network.host_address) as registry:
            url = f"http://{registry.host}"
            nodes.lead_to_registry(bed, nodes.SESSIONS, pushed.host, url)
            yield Pulled(pushed.host, digests, registry)


def _push(bed: Bed, trials: Trials, host: str, folder: Path, number: int) -> str:
    """Push an image of the probe as `make push` does; return its digest."""
    mark = folder / f"mark-{number}"
    mark.write_text(f"{number}")
    program = bed.programs.path("probe")
    trials.make(f"localhost/probe:{number}", program, mark, entrypoint="/probe")
    target = f"{host}/{REPOSITORY}:{number}"
    Engine("buildah").push(f"localhost/probe:{number}", target, "zstd", None, lambda line: None)
    manifest = Registry(host).find_manifest(REPOSITORY, str(number))
    assert manifest is not None
    return manifest.digest


@dataclass(frozen=True)
class Sessions:
    """Pods of sessions as the product makes them, but for the image and what it does."""

    pods: Pods

    def start(self, image: str) -> None:
        pod = build_session(load_catalogue(real=True), NAME, Wish(instance_class="small"))
        (container,) = pod["spec"]["containers"]
        container |= {"image": image, "args": ["message", "pulled", "0"]}
        container.pop("command", None)
        self.pods.client.create(pod, self.pods.namespace)

    def look(self) -> Waiting:
        """What it waits for, as hub and jobs service judge it."""
        events = self.pods.client.list_events(self.pods.namespace)
        pod = self.pods.get(NAME)
        facts: Facts = {"image": "notebook"}
        started = Reason.JUPYTER_START
        return explain_pod(pod, events, None, facts=facts, started=started, pool=None)

    def wait_for_words(self, words: str) -> None:
        """Wait until people read this."""
        wait_until(lambda: describe_start(self.look()) == words, words)

    def wait_for_end(self) -> Object:
        """Wait until it ran, whatever it waited for before; return its end."""
        assert self.pods.wait_for_end(NAME)["message"] == "pulled"
        return self.pods.get(NAME)


@pytest.fixture
def sessions(client: Client, namespace: str) -> Sessions:
    return Sessions(Pods(client, namespace))


def test_a_session_starts_in_an_image_that_its_node_pulls_by_digest(
    sessions: Sessions, pulled: Pulled, bed: Bed
) -> None:
    image = pulled.name(pulled.digests[0])
    assert image not in nodes.list_images(bed, nodes.SESSIONS)
    sessions.start(image)
    pod = sessions.wait_for_end()
    assert pod["status"]["containerStatuses"][0]["imageID"] == image


def test_an_image_that_the_registry_does_not_have_is_named(
    sessions: Sessions, pulled: Pulled
) -> None:
    sessions.start(pulled.name(MISSING))
    sessions.wait_for_words(
        "The registry does not have the image notebook, still trying: tell an administrator, who"
        " can push it"
    )
    assert sessions.look().facts["pull"] is PullFailure.MISSING


def test_a_registry_that_wants_a_login_is_told(
    sessions: Sessions, bed: Bed, tmp_path: Path
) -> None:
    require("a registry of images")
    (tmp_path / "accounts").write_text("nobody:$2b$05$abcdefghijklmnopqrstuu\n")
    assert isinstance(bed.network, Namespace)
    address = bed.network.host_address
    with running_registry(tmp_path, address, accounts=tmp_path / "accounts") as guarded:
        nodes.lead_to_registry(bed, nodes.SESSIONS, "guarded.test", f"http://{guarded.host}")
        sessions.start(f"guarded.test/{REPOSITORY}@{MISSING}")
        sessions.wait_for_words(
            "The registry does not give the image notebook to the machine, still trying: tell an"
            " administrator"
        )


def test_a_slow_registry_is_waited_for(sessions: Sessions, pulled: Pulled) -> None:
    pulled.registry.signal(signal.SIGSTOP)
    try:
        sessions.start(pulled.name(pulled.digests[1]))
        sessions.wait_for_words("Pulling the image notebook")
    finally:
        pulled.registry.signal(signal.SIGCONT)
    sessions.wait_for_end()


def test_a_registry_that_is_away_is_told_and_its_return_is_enough(
    sessions: Sessions, pulled: Pulled
) -> None:
    pulled.registry.stop()
    try:
        sessions.start(pulled.name(pulled.digests[2]))
        sessions.wait_for_words(
            "The registry of the image notebook does not answer at the moment, still trying: it"
            " goes on when that is back"
        )
    finally:
        pulled.registry.start()
    sessions.wait_for_end()
