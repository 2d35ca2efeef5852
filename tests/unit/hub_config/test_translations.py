"""One workspace, as a local process and as a pod: where both have a word, they agree."""

from dataclasses import replace
from pathlib import Path

import pytest

from hub_config.platform.choices import Machine
from hub_config.platform.pods import build_environment, build_pod_fields
from hub_config.platform.processes import build_process
from hub_config.platform.quantities import quantity
from hub_config.platform.workspace import Kind, Workspace
from offline_jobs.contract import run as wire
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import Specification
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.kubernetes.pod import build_template
from offline_jobs.service.backends.local.backend import _build_environment
from offline_jobs.service.backends.local.folder import AttemptFolder
from tests.factories import make_catalogue, make_class, make_group, make_workspace

STATE = Path("/state")
#: What only a process is told: its environment's place, which is an image's own business.
OF_A_PROCESS = {"PATH", "VIRTUAL_ENV", "LANG"}
#: Files of a local attempt, for which a pod has other means.
OF_A_LOCAL_RUN = {wire.ENV_SPECIFICATION, wire.ENV_TERMINATION}


@pytest.fixture(params=Kind)
def workspace(request: pytest.FixtureRequest) -> Workspace:
    catalogue = make_catalogue(
        classes=[make_class(cores=2, default=True)], groups=[make_group(shared_folder=True)]
    )
    return make_workspace(request.param, catalogue)


def in_a_pod(path: str, workspace: Workspace) -> str:
    """The place in a pod of a local folder; other values stay as they are."""
    local = f"/state/scratch/{workspace.home}"
    for folder, place in (
        (f"/state/homes/{workspace.home}", "/home/jovyan"),
        (f"{local}/scratch", "/scratch"),
        (local, "/scratch/.local"),
        ("/state/shared/lab", "/shared/lab"),
        ("/state/checkpoints/k3j9x0a1b2c3", "/checkpoints/k3j9x0a1b2c3"),
    ):
        if path == folder or path.startswith(folder + "/"):
            return place + path.removeprefix(folder)
    return path


def test_both_have_the_same_variables(workspace: Workspace) -> None:
    machine = Machine(cores=8, memory_bytes=2**40, gpus=0, images=frozenset())
    process = build_process(workspace, STATE, Path("/images"), machine, {"LANG": "C.UTF-8"})
    local = {
        name: in_a_pod(value, workspace)
        for name, value in process.environment.items()
        if name not in OF_A_PROCESS
    }

    assert local == build_environment(workspace)
    assert (
        in_a_pod(str(process.home), workspace)
        == build_pod_fields(workspace)["spec"]["containers"][0]["workingDir"]
    )


def test_both_have_the_same_size(workspace: Workspace) -> None:
    machine = Machine(cores=8, memory_bytes=2**40, gpus=0, images=frozenset())
    process = build_process(workspace, STATE, Path("/images"), machine, {})
    (container,) = build_pod_fields(workspace)["spec"]["containers"]
    limits = container["resources"]["limits"]

    assert limits["cpu"] == str(process.cores)
    assert limits["memory"] == quantity(process.memory_bytes)


def test_every_folder_of_a_process_is_a_mount_of_a_pod_or_below_one(workspace: Workspace) -> None:
    machine = Machine(cores=8, memory_bytes=2**40, gpus=0, images=frozenset())
    process = build_process(workspace, STATE, Path("/images"), machine, {})
    (container,) = build_pod_fields(workspace)["spec"]["containers"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}

    for folder in process.folders:
        place = Path(in_a_pod(str(folder), workspace))
        assert mounts & {str(part) for part in (place, *place.parents)}, place


@pytest.mark.parametrize("kind", Kind)
def test_buckets_are_read_in_a_pod_and_are_no_folder_of_a_process(kind: Kind) -> None:
    group = make_group(buckets=("reads", "atlas"), shared_folder=True)
    workspace = make_workspace(kind, make_catalogue(groups=[group]))
    machine = Machine(cores=8, memory_bytes=2**40, gpus=0, images=frozenset())

    spec = build_pod_fields(workspace)["spec"]
    claims = {
        each["name"]: each["persistentVolumeClaim"].get("readOnly", False)
        for each in spec["volumes"]
        if "persistentVolumeClaim" in each
    }
    (container,) = spec["containers"]
    mounts = {
        mount["mountPath"]: (mount.get("readOnly", False), claims[mount["name"]])
        for mount in container["volumeMounts"]
        if mount["name"] in claims
    }
    process = build_process(workspace, STATE, Path("/images"), machine, {})

    assert mounts == {
        "/home/jovyan": (False, False),
        "/shared/lab": (False, False),
        "/data/reads": (True, True),
        "/data/atlas": (True, True),
    }
    assert not [folder for folder in process.folders if {"reads", "atlas"} & set(folder.parts)]


def test_both_tell_a_runner_the_same() -> None:
    workspace = replace(make_workspace(Kind.JOB), memory_bytes=123 * 2**20)
    launch = Launch(
        object_name="job-k3j9x0a1b2c3-2",
        specification=Specification(
            job="k3j9x0a1b2c3",
            attempt=2,
            request=Request(name="Markers", path="markers.ipynb"),
            notebook={},
            output="offline-jobs/markers/1",
        ),
        workspace=workspace,
        url="http://service/internal/v1/runs/k3j9x0a1b2c3/2",
        token="secret",
    )
    machine = Machine(cores=8, memory_bytes=2**40, gpus=0, images=frozenset())
    process = build_process(workspace, STATE, Path("/images"), machine, {})
    folder = AttemptFolder(STATE / "jobs" / launch.object_name, "k3j9x0a1b2c3", 2)
    local = {
        name: in_a_pod(value, workspace)
        for name, value in _build_environment(
            launch, process, folder, STATE / "checkpoints" / "k3j9x0a1b2c3"
        ).items()
        if name not in OF_A_PROCESS | OF_A_LOCAL_RUN
    }

    (container,) = build_template(launch)["spec"]["containers"]
    pod = {each["name"]: each["value"] for each in container["env"]}

    assert pod.pop(wire.ENV_PATIENCE) == "600"
    # On one machine the service sees the checkpoints, and clears them away itself.
    assert pod.pop(wire.ENV_CHECKPOINTS) == "/checkpoints"
    assert local == pod
