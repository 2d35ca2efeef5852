"""`make undeploy` leaves people's files and nothing else, and `make deploy` begins from nothing.

After all files but one by its name: people who are signed in are so no longer, and what is stored
of jobs and sessions begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.driver.__main__ import main
from tests.bed.client import Object
from tests.bed.hub import stand_in
from tests.bed.hub.stand_in import Hub
from tests.bed.installation import SERVICE_CLAIM, load_deployment, prepare
from tests.browser.people import Visitor, build_notebook
from tests.node.with_hub.administering import ITS_OWN, WITHIN, Administrator
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")


@pytest.fixture
def run(hub: Hub) -> Callable[..., str]:
    """Runs a command of the deployment as an administrator; what it said."""
    return get_administrator(hub).run


def get_administrator(hub: Hub) -> Administrator:
    """Who installed the ring's platform."""
    # Another test may have written other values.
    load_deployment(hub.bed, address=hub.url)
    return Administrator(hub.bed, hub.bed.folder / "deployment" / "settings.yaml")


def build_job(namespace: str) -> Object:
    """A job of somebody who uses Volcano without the platform."""
    pod = {"containers": [{"name": "own", "image": "own"}], "restartPolicy": "Never"}
    return {
        "apiVersion": "batch.volcano.sh/v1alpha1",
        "kind": "Job",
        "metadata": {"name": "own", "namespace": namespace},
        "spec": {
            "schedulerName": "volcano",
            "minAvailable": 1,
            "tasks": [{"name": "own", "replicas": 1, "template": {"spec": pod}}],
        },
    }


def build_definition() -> Object:
    """The definition of Volcano's jobs by another installation; no more than its name."""
    names = {"kind": "Job", "listKind": "JobList", "plural": "jobs", "singular": "job"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "jobs.batch.volcano.sh"},
        "spec": {
            "group": "batch.volcano.sh",
            "scope": "Namespaced",
            "names": names,
            "versions": [{"name": "v1alpha1", "served": True, "storage": True, "schema": schema}],
        },
    }


def test_files_are_left_and_nothing_else_and_a_new_beginning_finds_them(
    site: PodSite, hub: Hub, run: Callable[..., str]
) -> None:
    administrator = get_administrator(hub)
    tools = administrator.tools
    ben = Visitor(site, "ben", "teaching")
    job = ben.submit(build_notebook("print('kept')"), name="before")
    files = site.read_files(ben.wait_for_state(job, "succeeded"))
    session = Visitor(site, "ben", "teaching").user
    session.start_session({"group": "teaching", "image": "notebook", "class": "small"})

    others = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "of-others"}}
    tools.apply([others, build_job("of-others")])
    assert "of-others" in run("undeploy", "--yes", refused=True)
    assert tools.find("deployment", "hub", "jupyterhub")
    tools.delete("namespace", "of-others")

    said = run("undeploy", "--yes")

    for namespace in ("jupyterhub", "offline-jobs"):
        left = {f"persistentvolumeclaim/{name}" for name in ("homes", "shared")}
        if namespace == "jupyterhub":
            left.add(f"persistentvolumeclaim/{SERVICE_CLAIM}")
        assert administrator.list_objects(WITHIN, namespace) == left | ITS_OWN
        assert f"Left: homes in {namespace}" in said
    assert administrator.list_ours() == {
        f"persistentvolume/{namespace}-{claim}"
        for namespace, claim in (
            *(
                (namespace, claim)
                for namespace in ("jupyterhub", "offline-jobs")
                for claim in ("homes", "shared")
            ),
            ("jupyterhub", SERVICE_CLAIM),
            # The bed's own, in the place of a disk that goes with its claim.
            ("jupyterhub", "hub-db-dir"),
        )
    }
    assert tools.find("namespace", "volcano-system") is None
    assert (files / "test.ipynb").exists()

    # Somebody else brings a Volcano of their own meanwhile.
    tools.apply([build_definition()])
    assert "that this did not install" in run("deploy", "--step", "volcano", refused=True)
    tools.delete("crd", "jobs.batch.volcano.sh")

    prepare(hub.bed)
    run("deploy")
    stand_in.start_forward(hub.bed, hub.url)
    hub.wait_until_reached()

    assert "WRONG" not in run("status")
    again = Visitor(site, "ben", "teaching")
    assert again.job(job)["state"] == "succeeded"
    another = again.submit(build_notebook("print('new')"), name="after")
    newer = site.read_files(again.wait_for_state(another, "succeeded"))
    assert newer != files
    assert newer.parent == files.parent
    assert (files / "test.ipynb").exists()


def test_who_has_not_said_yes_loses_nothing(
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = tmp_path / "answer"
    answer.write_text("y\n")
    settings = hub.bed.folder / "deployment" / "settings.yaml"
    monkeypatch.setenv("HELM", "nothing is run")
    monkeypatch.setenv("KUBECTL", "nothing is run")
    with answer.open() as said:
        monkeypatch.setattr("sys.stdin", said)
        assert main(["undeploy", "--settings", str(settings)]) == 1
    assert "There is no program" not in capsys.readouterr().out
