"""One workspace for sessions and jobs, and what a local process makes of it."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from hub_config.platform.catalogue import GIB
from hub_config.platform.processes import build_process
from hub_config.platform.workspace import Kind, Mount, Workspace, build_workspace
from tests.factories import (
    make_catalogue,
    make_choice,
    make_class,
    make_group,
    make_machine,
    make_person,
    make_placement,
    make_pool,
    make_workspace,
)

CAPACITY = "karpenter.sh/capacity-type"
MIXED = make_pool("jobs", "job", capacity_types=("on-demand", "spot"))


def test_session_and_job_differ_in_kind_placement_and_time_only() -> None:
    session, job = make_workspace(Kind.SESSION), make_workspace(Kind.JOB)

    different = {
        f.name for f in fields(Workspace) if getattr(session, f.name) != getattr(job, f.name)
    }

    assert different == {"kind", "placement", "longest_seconds"}
    assert session.placement.node_pool == "sessions"
    assert job.placement.node_pool == "jobs"


def test_amounts_are_the_classes() -> None:
    catalogue = make_catalogue(classes=(make_class(cores=8, memory_bytes=32 * GIB, gpus=1),))

    workspace = make_workspace(catalogue=catalogue)

    assert (workspace.cores, workspace.memory_bytes, workspace.gpus) == (8, 32 * GIB, 1)
    assert workspace.scratch_bytes == 50 * GIB
    assert workspace.shared_memory_bytes == GIB
    assert workspace.image_reference == "registry.example/notebook:1.0"


def test_home_is_the_persons_slug() -> None:
    workspace = make_workspace(person=make_person("Ada L."))

    assert workspace.user == "Ada L."
    assert workspace.mounts == (Mount("home", workspace.home, "/home/jovyan"),)
    assert workspace.home.startswith("ada-l---")


def test_group_decides_shared_folder_data_and_account() -> None:
    group = make_group(shared_folder=True, buckets=("reads", "atlas"), service_account="lab-reader")

    workspace = make_workspace(catalogue=make_catalogue(groups=(group,)))

    assert workspace.mounts[1:] == (
        Mount("shared", "lab", "/shared/lab"),
        Mount("data", "reads", "/data/reads", read_only=True),
        Mount("data", "atlas", "/data/atlas", read_only=True),
    )
    assert workspace.service_account == "lab-reader"
    assert workspace.environment["SHARED"] == "/shared/lab"


def test_environment_says_what_was_chosen_and_bounds_threads() -> None:
    assert make_workspace().environment == {
        "OFFLINE_JOBS_GROUP": "lab",
        "OFFLINE_JOBS_IMAGE": "notebook",
        "OFFLINE_JOBS_CLASS": "standard",
        "SCRATCH": "/scratch",
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
        "NUMEXPR_MAX_THREADS": "2",
    }


@pytest.mark.parametrize(
    ("class_allows", "submitter_accepts", "capacity"),
    [
        (True, True, "spot"),
        (True, False, "on-demand"),
        (False, True, "on-demand"),
        (False, False, "on-demand"),
    ],
)
def test_spot_takes_both_the_class_and_the_submitter(
    class_allows: bool, submitter_accepts: bool, capacity: str
) -> None:
    catalogue = make_catalogue(
        node_pools=(make_pool(), MIXED),
        classes=(make_class(job=make_placement(MIXED, spot=class_allows)),),
    )

    job = build_workspace(
        catalogue,
        make_person(),
        make_choice(catalogue),
        Kind.JOB,
        interruptible=submitter_accepts,
    )

    assert job.placement.selector == {"example/pool": "jobs", CAPACITY: capacity}
    assert job.placement.spot == (capacity == "spot")


def test_session_never_goes_to_spot() -> None:
    workspace = build_workspace(
        make_catalogue(), make_person(), make_choice(), Kind.SESSION, interruptible=True
    )

    assert not workspace.placement.spot
    assert CAPACITY not in workspace.placement.selector


# ---- as a local process

STATE, ENVIRONMENTS = Path("/state"), Path("/environments")


def test_process_runs_the_images_python_in_the_home() -> None:
    process = build_process(make_workspace(), STATE, ENVIRONMENTS, make_machine(), {})

    assert process.python == Path("/environments/notebook/bin/python")
    assert process.home == Path("/state/homes/ada")
    assert process.environment["HOME"] == "/state/homes/ada"
    assert process.environment["PATH"].split(":")[0] == "/environments/notebook/bin"
    assert process.environment["OFFLINE_JOBS_CLASS"] == "standard"
    assert process.memory_bytes == 4 * GIB


def test_process_inherits_no_secret() -> None:
    base = {
        "PATH": "/opt/bin",
        "LANG": "C.UTF-8",
        "JUPYTERHUB_API_TOKEN": "secret",
        "CONFIGPROXY_AUTH_TOKEN": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "PYTHONPATH": "/hub",
        "VIRTUAL_ENV": "/hub",
    }

    environment = build_process(
        make_workspace(), STATE, ENVIRONMENTS, make_machine(), base
    ).environment

    assert "secret" not in environment.values()
    assert "PYTHONPATH" not in environment
    assert environment["VIRTUAL_ENV"] == "/environments/notebook"
    assert environment["LANG"] == "C.UTF-8"
    assert environment["PATH"].endswith(":/opt/bin")


@pytest.mark.parametrize(
    ("wanted", "there", "given"), [(16, 2, 2), (2, 8, 2), (0.5, 2, 1), (1.2, 2, 1), (1.7, 2, 2)]
)
def test_cores_are_capped_and_threads_follow(wanted: float, there: int, given: int) -> None:
    workspace = replace(make_workspace(), cores=wanted)

    process = build_process(workspace, STATE, ENVIRONMENTS, make_machine(cores=there), {})

    assert process.cores == given
    assert process.environment["OMP_NUM_THREADS"] == str(given)


def test_every_folder_of_the_environment_is_under_the_state_and_named() -> None:
    group = make_group(shared_folder=True, buckets=("reads",), service_account="reader")
    workspace = make_workspace(catalogue=make_catalogue(groups=(group,)))

    process = build_process(workspace, STATE, ENVIRONMENTS, make_machine(), {})

    assert process.environment["SHARED"] == "/state/shared/lab"
    for name in ("HOME", "SCRATCH", "SHARED", "JUPYTER_RUNTIME_DIR", "XDG_CACHE_HOME"):
        assert Path(process.environment[name]) in process.folders, name
    assert all(folder.is_relative_to(STATE) for folder in process.folders)


def test_two_users_share_no_folder() -> None:
    first, second = (
        set(
            build_process(
                make_workspace(person=make_person(name)), STATE, ENVIRONMENTS, make_machine(), {}
            ).folders
        )
        for name in ("ada", "ben")
    )

    assert not first & second
