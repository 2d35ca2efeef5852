"""A hub that starts anew, as at each upgrade, says so and goes on with the starts that it finds."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from cluster.driver.charts import NAMESPACE
from tests.bed import nodes
from tests.bed.client import NODE, Kind, wait
from tests.browser.lab import Lab
from tests.browser.people import Visitor
from tests.browser.windows import OpenWindow
from tests.node.with_hub.site import PodSite
from tests.node.with_hub.survival import find_first_process, get_container

pytestmark = pytest.mark.usefixtures("real")
#: Karpenter has said by then that it has no such machine, or has not.
WAITS = re.compile("machine of class Small")
DEPLOYMENT = Kind("apps/v1", "Deployment")
#: Seconds within which a new hub answers, also where the machine is busy.
STARTING = 120
CHOICE = {"group": "spatial-lab", "image": "notebook", "class": "small"}


@pytest.fixture
def full(site: PodSite) -> Iterator[None]:
    """No pod finds a machine for sessions, until :func:`make_room`."""
    site.client.patch(*NODE, nodes.SESSIONS, {"spec": {"unschedulable": True}})
    yield
    make_room(site)


def make_room(site: PodSite) -> None:
    """The machine for sessions takes pods again."""
    site.client.patch(*NODE, nodes.SESSIONS, {"spec": {"unschedulable": None}})


@pytest.fixture
def waiting(full: None, site: PodSite, ada: Visitor, open_window: OpenWindow) -> Iterator[Page]:
    """A window of ada's, whose session waits for its machine."""
    ada.user.stop_session()
    page = open_window(ada).page
    assert ada.user.post_server(CHOICE).status_code == 202
    wait("its pod", lambda: site.find_session_pods("ada"))
    yield page
    ada.user.stop_session()


def kill_hub(site: PodSite) -> None:
    """Kill the hub's process; the kubelet starts another."""
    before = get_container(site.hub.find_pod("hub"))
    os.kill(find_first_process(before["containerID"]), signal.SIGKILL)
    wait(
        "another hub",
        lambda: get_container(site.hub.find_pod("hub")),
        until=lambda now: now["restartCount"] > before["restartCount"],
    )


def test_a_session_that_waits_for_its_machine_starts_all_the_same(
    site: PodSite, waiting: Page
) -> None:
    (pod,) = site.find_session_pods("ada")
    waiting.goto("/hub/spawn-pending/ada")
    message = waiting.locator("#progress-message")
    expect(message).to_contain_text(WAITS)

    kill_hub(site)
    wait("the hub to answer", lambda: site.answers("/hub/login"), STARTING)

    # The page comes back by itself, says what is waited for, and leads on.
    expect(message).to_contain_text(WAITS)
    expect(waiting.locator("#elapsed")).to_contain_text("so far")
    make_room(site)
    waiting.wait_for_url("**/user/ada/lab**")
    Lab(waiting).wait_until_ready()
    (same,) = site.find_session_pods("ada")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    told = [state for _, state, _ in site.read_last_session("ada")]
    assert (told[0], told[-1], told.count("running")) == ("starting", "running", 1)


def test_a_start_that_goes_on_can_be_cancelled(site: PodSite, waiting: Page) -> None:
    kill_hub(site)
    wait("the hub to answer", lambda: site.answers("/hub/login"), STARTING)

    waiting.goto("/hub/spawn-pending/ada")
    waiting.get_by_role("button", name="Cancel the start").click()

    waiting.wait_for_url("**/hub/home")
    wait("its pod to go", lambda: not site.find_session_pods("ada"))
    wait("its end to be told", lambda: site.read_last_session("ada")[-1][1] == "ended")


def test_while_the_hub_is_away_its_pages_say_so_and_come_back(
    site: PodSite, ada: Visitor, open_window: OpenWindow
) -> None:
    page = open_window(ada).page
    page.goto("/hub/home")

    site.client.patch(*DEPLOYMENT, "hub", {"spec": {"replicas": 0}}, NAMESPACE)
    try:
        wait("the hub to go", lambda: not site.answers("/hub/login"))
        page.goto("/hub/home")
        expect(page.get_by_role("heading", name="The hub is away for a moment")).to_be_visible()
        expect(page.get_by_text("Sessions and jobs run on.")).to_be_visible()
        # The jobs service goes on without it.
        assert site.answers("/services/offline-jobs/static/page.css")
    finally:
        site.client.patch(*DEPLOYMENT, "hub", {"spec": {"replicas": 1}}, NAMESPACE)

    expect(page.locator("#jupyterhub-logo")).to_be_visible()
    assert page.url == f"{site.url}/hub/home"
