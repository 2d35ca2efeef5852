"""What `make deploy` does where the platform runs already: an upgrade that nobody loses by.

Each chart is brought to other values, and the root queue to another capability, while a session is
open and a job runs; a second job is submitted in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.driver.__main__ import main
from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.queues import build_root_queue
from tests.bed.client import QUEUE, Kind
from tests.bed.hub.stand_in import Hub
from tests.bed.installation import load_deployment
from tests.browser.people import Visitor, build_notebook, wait_for_file
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")
WEBHOOKS = Kind("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
#: Another value of each chart, of which its pods notice.
NEWER: Mapping[str, Mapping[str, Any]] = {
    "volcano": {"custom": {"scheduler_log_level": 4}},
    "platform": {"quotas": {"jobs": {"pods": "1999"}}},
    "jupyterhub": {"hub": {"concurrentSpawnLimit": 63}},
    "offline-jobs": {"logLevel": "DEBUG"},
}


@pytest.fixture
def newer(hub: Hub) -> Deployment:
    """The same installation with other values, and a pool of jobs that may have a core more."""
    deployment = load_deployment(hub.bed, address=hub.url, values=NEWER)
    catalogue = deployment.settings.catalogue
    pool = next(each for each in catalogue.node_pools.values() if each.kind == "job")
    larger = replace(pool, limits={**pool.limits, "cpu": pool.limits["cpu"] + 1})
    pools = {**catalogue.node_pools, pool.slug: larger}
    settings = replace(deployment.settings, catalogue=replace(catalogue, node_pools=pools))
    return replace(deployment, settings=settings)


@pytest.fixture
def as_before(hub: Hub) -> Iterator[None]:
    """The platform comes back to its own values."""
    yield
    load_deployment(hub.bed, address=hub.url).deploy()
    hub.wait_until_reached()


@pytest.mark.usefixtures("as_before")
def test_sessions_and_jobs_go_on_while_every_chart_is_upgraded(
    site: PodSite, hub: Hub, ada: Visitor, newer: Deployment
) -> None:
    ada.user.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
    (session,) = site.find_session_pods("ada")
    release = ada.home / "go-on"
    waits = build_notebook(wait_for_file(Path("/home/jovyan/go-on")))
    running = ada.submit(waits, name="runs meanwhile")
    ada.wait_for_cell(running, 1)

    newer.deploy("volcano", "platform")
    between = ada.submit(waits, name="submitted meanwhile")
    newer.deploy("jupyterhub", "offline-jobs")
    hub.wait_until_reached()
    ada.wait_for_cell(between, 1)
    release.touch()

    for job in (running, between):
        assert ada.wait_for_state(job, "succeeded", "failed")["state"] == "succeeded"
        assert ada.job(job)["attempt"] == 1
    (same,) = site.find_session_pods("ada")
    assert same["metadata"]["uid"] == session["metadata"]["uid"]
    assert ada.user.client.get("/user/ada/api/status").status_code == 200
    release.unlink()
    ada.user.stop_session()

    assert [each for each in newer.look() if not each.is_right] == []
    root = site.client.get(*QUEUE, "root")["spec"]["capability"]
    assert root == build_root_queue(newer.settings.catalogue)["spec"]["capability"]
    # Volcano's word on queues was left out for a moment, and has its say again.
    (webhook,) = site.client.get(*WEBHOOKS, "volcano-admission-service-queues-validate")["webhooks"]
    assert webhook["clientConfig"]["caBundle"]


def test_the_status_tells_what_is_not_right(
    hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = load_deployment(hub.bed, address=hub.url)
    for name in ("helm", "kubectl"):
        monkeypatch.setenv(name.upper(), str(hub.bed.programs.path(name)))
    words = [
        "status",
        *("--settings", str(hub.bed.folder / "deployment" / "settings.yaml")),
        *("--kubeconfig", str(hub.bed.kubeconfig)),
    ]

    assert main(words) == 0
    right = capsys.readouterr().out
    assert "WRONG" not in right
    pools = [f"pool {slug}" for slug in deployment.settings.catalogue.node_pools]
    assert all(f"  {name} " in right for name in (*STEPS, "root queue", "hub", hub.url, *pools))

    deployment.tools.delete("deployment", "proxy", namespace="jupyterhub")
    try:
        assert main(words) == 1
        wrong = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    finally:
        deployment.deploy("jupyterhub")
        hub.wait_until_reached()
    assert [line.split()[1] for line in wrong] == ["proxy", hub.url]
    assert "0 of 1 pods answer" in wrong[0]
