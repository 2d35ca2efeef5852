"""A session and a job of one person and one choice, read from inside and by the API server."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import pytest

from cluster.driver.charts import NAMESPACE
from hub_config.platform.choices import Choice
from hub_config.platform.people import build_person
from hub_config.platform.pods import SHARED_MEMORY_PATH
from hub_config.platform.workspace import Kind, build_workspace
from tests.bed import nodes
from tests.bed.client import Object
from tests.browser.people import Visitor, build_notebook
from tests.hub.kernel import Kernel
from tests.images.building import get_archive
from tests.images.saved import SavedImage
from tests.node.with_hub.probing import PROBE, Probe, parse_probe
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")
CHOICE = {"group": "spatial-lab", "image": "notebook", "class": "standard"}
#: What the hub, KubeSpawner and Jupyter's server give a session; a job has none of it.
OF_SESSIONS = (
    *("CPU_GUARANTEE", "CPU_LIMIT", "MEM_GUARANTEE", "MEM_LIMIT"),
    "JPY_",
    "JUPYTERHUB_",
    "JUPYTERLAB_",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_IMAGE",
    "OFFLINE_JOBS_LONGEST_SESSION_SECONDS",
    "OFFLINE_JOBS_URL",
)
#: What a job has besides.
OF_JOBS = ("CHECKPOINT_DIR", "OFFLINE_JOB_")
#: Says something of the single pod or process.
OF_EACH = ("HOSTNAME", "JPY_", "KUBERNETES_")


@dataclass(frozen=True)
class Inside:
    """One pod, from both sides."""

    probe: Probe
    pod: Object


@pytest.fixture(scope="module")
def lab_member(site: PodSite) -> Visitor:
    """Somebody of the group that has everything; nobody else's test uses their session."""
    return Visitor(site, "admin", CHOICE["group"], CHOICE["class"])


@pytest.fixture(scope="module")
def session(site: PodSite, lab_member: Visitor) -> Iterator[Inside]:
    """A session, with a probe from its kernel."""
    lab_member.user.start_session(CHOICE)
    (pod,) = site.find_session_pods(lab_member.name)
    with Kernel(lab_member.user) as kernel:
        probe = parse_probe(kernel.execute(PROBE))
    yield Inside(probe, pod)
    lab_member.user.stop_session()


@pytest.fixture(scope="module")
def job(site: PodSite, lab_member: Visitor) -> Inside:
    """A job, with a probe from its only cell."""
    id_ = lab_member.submit(build_notebook(PROBE), name="probe")
    lab_member.wait_for_state(id_, "succeeded")
    result = lab_member.user.api.get(f"/services/offline-jobs/api/v1/jobs/{id_}/result").json()
    (pod,) = site.find_job_pods(id_)
    (output,) = result["cells"][0]["outputs"]
    return Inside(parse_probe("".join(output["text"])), pod)


def leave_out(environment: Mapping[str, str], prefixes: Collection[str]) -> dict[str, str]:
    """Variables but for those of some prefixes, each of which has to be there."""
    assert [p for p in prefixes if not any(name.startswith(p) for name in environment)] == []
    return {k: v for k, v in environment.items() if not k.startswith(tuple(prefixes))}


def test_session_and_job_agree_from_inside(session: Inside, job: Inside) -> None:
    one, other = session.probe, job.probe

    assert one.ids == other.ids == [1000, 100, [100]]
    assert one.rights == other.rights
    assert one.rights == {"CapEff": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
    assert (one.memory_bytes, one.cores) == (other.memory_bytes, other.cores) == (1 << 30, 0.5)
    assert one.shared_memory_bytes == other.shared_memory_bytes
    assert one.python == other.python
    assert one.mounts == {
        place: rights for place, rights in other.mounts.items() if place != "/checkpoints"
    }
    assert one.mounts == {
        "/home/jovyan": "rw",
        "/shared/spatial-lab": "rw",
        "/data/spatial-lab-raw": "ro",
        "/scratch": "rw",
        SHARED_MEMORY_PATH: "rw",
    }
    ours = leave_out(one.environment, {*OF_SESSIONS, *OF_EACH})
    theirs = leave_out(other.environment, {*OF_JOBS, *OF_EACH})
    assert ours == theirs


def test_the_catalogue_is_what_both_have(site: PodSite, session: Inside, job: Inside) -> None:
    catalogue = site.hub.catalogue
    choice = Choice(
        group=catalogue.groups[CHOICE["group"]],
        image=catalogue.images[CHOICE["image"]],
        instance_class=catalogue.classes[CHOICE["class"]],
    )
    workspace = build_workspace(
        catalogue, build_person("admin", [CHOICE["group"]], admin=True), choice, Kind.JOB
    )

    for inside in (session, job):
        probe = inside.probe
        assert workspace.environment.items() <= probe.environment.items()
        assert (probe.memory_bytes, probe.cores) == (workspace.memory_bytes, workspace.cores)
        assert {mount.path for mount in workspace.mounts} <= probe.mounts.keys()
        assert inside.pod["spec"]["serviceAccountName"] == workspace.service_account


@pytest.mark.parametrize(("kind", "node"), [("session", nodes.SESSIONS), ("job", nodes.JOBS)])
def test_what_a_cell_sees_is_the_pod_of_the_api_server(
    request: pytest.FixtureRequest, site: PodSite, kind: str, node: str
) -> None:
    inside: Inside = request.getfixturevalue(kind)
    pod, probe = inside.pod, inside.probe
    (status,) = pod["status"]["containerStatuses"]
    image = SavedImage(get_archive("notebook"))
    digest = image.manifest["Config"].removesuffix(".json")

    assert probe.pod == pod["metadata"]["uid"]
    assert probe.node == pod["spec"]["nodeName"] == node
    assert probe.environment["HOSTNAME"] == pod["metadata"]["name"]
    assert status["imageID"] == f"sha256:{digest}"
    assert {status["image"], status["imageID"]} <= set(nodes.list_images(site.hub.bed, node))
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["runAsUser"] == probe.ids[0]
    assert container["securityContext"]["runAsGroup"] == probe.ids[1]
    assert "command" not in container
    # Neither Kubernetes' token nor the attempt's is to be had by a cell.
    assert not probe.has_secrets
    assert probe.first == ["tini", None]
    assert "OFFLINE_JOB_TOKEN" not in probe.environment


def test_the_services_image_can_run_no_notebook(site: PodSite) -> None:
    names = ["jupyterlab", "jupyter_server", "ipykernel", "IPython", "jupyterhub"]
    code = f"from importlib.util import find_spec; print([n for n in {names} if find_spec(n)])"
    pod = site.hub.find_pod("offline-jobs")["metadata"]["name"]
    bed = site.hub.bed
    words = [bed.programs.path("kubectl"), "--kubeconfig", bed.kubeconfig, "-n", NAMESPACE]
    words += ["exec", pod, "--", "python", "-c", code]
    done = subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True)

    assert done.stdout == "[]\n"
