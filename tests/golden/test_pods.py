"""Whole manifests as literals: our spawner's session pod and the Volcano Job of one choice.

The session's pod goes through KubeSpawner itself, without a cluster. Where a literal changes on
purpose, ``NOTEBOOK_HPC_WRITE_GOLDEN=1`` writes it anew; read the difference before it is committed.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import ApiClient
from kubernetes_asyncio.config import kube_config
from kubespawner import KubeSpawner
from kubespawner.spawner import MockObject
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from hub_config.apply import apply, update_kubernetes_spawner
from hub_config.platform.catalogue import GIB, GPU_RESOURCE, Catalogue, Queue
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.choices import Choice, choose
from hub_config.platform.people import Person
from hub_config.platform.workspace import Kind, build_workspace
from hub_config.profiles import build_profile, build_user_options, profile_slug
from hub_config.settings import Cluster
from hub_config.shown import ShownError
from hub_config.spawners.kubernetes import KubernetesSpawner
from hub_config.values import VALUES, parse_values
from offline_jobs.contract.names import object_name
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import Specification
from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.volcano.build import build_job
from tests.bed.installation import HUB_CONFIGURATION, RANDOM_KEYS, read_hub_values
from tests.factories import (
    make_catalogue,
    make_class,
    make_group,
    make_image,
    make_offer,
    make_person,
    make_placement,
    make_pool,
)

LITERALS = Path(__file__).parent / "pods"
KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
"""

SESSIONS = make_pool()
JOBS = make_pool("jobs", "job", capacity_types=("on-demand", "spot"))
PLACEMENTS = {"session": make_placement(SESSIONS), "job": make_placement(JOBS, spot=True)}
CATALOGUE = make_catalogue(
    images=(make_image("notebook", default=True), make_image("cuda", needs_gpu=True)),
    node_pools=(SESSIONS, JOBS),
    classes=(
        make_class("small", cores=0.5, memory_bytes=1536 * 1024**2, **PLACEMENTS),
        make_class(
            "gpu",
            cores=8,
            memory_bytes=32 * GIB,
            gpus=1,
            gpu_model="T4",
            shared_memory_bytes=8 * GIB,
            groups=("gpu-users",),
            **PLACEMENTS,
        ),
    ),
    groups=(
        make_group("lab"),
        make_group(
            "gpu-users",
            queue=Queue(1, {"cpu": 64, "memory": 512 * GIB, GPU_RESOURCE: 4}),
            service_account="group-gpu-users",
            buckets=("reads.example", "atlas"),
            shared_folder=True,
        ),
    ),
)
ADA = make_person("Ada L.", ["lab", "gpu-users"])
CHOICES = {
    "small": {"group": "lab", "image": "notebook", "class": "small"},
    "gpu": {"group": "gpu-users", "image": "cuda", "class": "gpu"},
}


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))


def make_spawner(
    catalogue: Catalogue = CATALOGUE, person: Person = ADA, config: Config | None = None
) -> KubernetesSpawner:
    """A spawner of ours as the hub makes it, but for the hub and the cluster."""
    user = MockObject()
    user.name, user.id, user.url, user.admin = person.name, 7, "/user/ada/", person.admin
    user.groups = [SimpleNamespace(name=group) for group in sorted(person.groups)]
    if config is None:
        config = Config()
        apply_kubernetes_spawner(config, catalogue)
    return KubernetesSpawner(_mock=True, user=user, config=config)


def apply_kubernetes_spawner(config: Config, catalogue: Catalogue) -> None:
    update_kubernetes_spawner(
        config, catalogue, Cluster("jupyterhub", start_seconds=900, pull_policy="IfNotPresent")
    )
    config.KubernetesSpawner.environment = {
        "OFFLINE_JOBS_URL": "http://offline-jobs:8081/services/x"
    }


def session_pod(
    options: object,
    catalogue: Catalogue = CATALOGUE,
    person: Person = ADA,
    config: Config | None = None,
) -> dict[str, Any]:
    """The pod that our spawner makes of user options, as JSON."""

    async def make() -> dict[str, Any]:
        spawner = make_spawner(catalogue, person, config)
        spawner.user_options = options
        await spawner.load_user_options()
        assert spawner.user_options == options
        async with ApiClient() as client:
            pod: dict[str, Any] = client.sanitize_for_serialization(
                await spawner.get_pod_manifest()
            )
        return pod

    pod = asyncio.run(make())
    annotations = pod["metadata"]["annotations"]
    # A newer library is no change of the pod.
    assert annotations.pop("hub.jupyter.org/kubespawner-version") == version(
        "jupyterhub-kubespawner"
    )
    assert annotations.pop("hub.jupyter.org/jupyterhub-version") == version("jupyterhub")
    return pod


def choose_strictly(options: Mapping[str, object]) -> Choice:
    return choose(make_offer(CATALOGUE, ADA), options)


def make_launch(name: str, *, interruptible: bool = False) -> Launch:
    job, attempt = "a1b2c3d4e5f6", 2
    workspace = build_workspace(
        CATALOGUE, ADA, choose_strictly(CHOICES[name]), Kind.JOB, interruptible=interruptible
    )
    return Launch(
        object_name=object_name(job, attempt),
        specification=Specification(
            job=job,
            attempt=attempt,
            request=Request(
                name="Markers",
                path="project/markers.ipynb",
                kernel={"name": "python3", "source": "image"},
            ),
            notebook={"nbformat": 4, "cells": []},
            output="offline-jobs/markers/2026-11-24T061500-a1b2c3d4e5f6",
        ),
        workspace=workspace,
        url=f"http://offline-jobs:8080/internal/v1/runs/{job}/{attempt}",
        token="0123456789abcdef",
    )


def volcano_job(name: str, *, interruptible: bool = False) -> dict[str, Any]:
    return build_job(make_launch(name, interruptible=interruptible), "offline-jobs")


def job_template(name: str, *, interruptible: bool = False) -> dict[str, Any]:
    (task,) = volcano_job(name, interruptible=interruptible)["spec"]["tasks"]
    template: dict[str, Any] = task["template"]
    return template


def assert_literal(name: str, found: dict[str, Any]) -> None:
    path = LITERALS / f"{name}.json"
    if os.environ.get("NOTEBOOK_HPC_WRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())


@pytest.mark.parametrize("name", CHOICES)
def test_session_pod(name: str) -> None:
    assert_literal(f"session-{name}", session_pod(CHOICES[name]))


def test_what_the_chart_has_set_before_changes_no_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = read_hub_values(tmp_path, "http://127.0.0.1:8000")
    (tmp_path / VALUES).write_text(yaml.safe_dump(values))
    (tmp_path / "hub.config.CryptKeeper.keys").write_text("ab" * 32)
    monkeypatch.setattr("hub_config.values.MOUNT", tmp_path)
    # For the whole process, and with a library of the hub's image.
    monkeypatch.setattr("tornado.httpclient.AsyncHTTPClient.configure", lambda implementation: None)
    settings = parse_values(
        values, secrets=dict.fromkeys(RANDOM_KEYS, "ab" * 32), namespace="jupyterhub"
    )
    chart, blank = PyFileConfigLoader(str(HUB_CONFIGURATION)).load_config(), Config()
    assert chart.KubeSpawner.fs_gid == 100
    apply(chart, settings)
    apply(blank, settings)

    one, other = (
        session_pod(
            {"group": "spatial-lab", "image": "notebook", "class": "small"},
            settings.catalogue,
            make_person("ada", ["spatial-lab"]),
            config,
        )
        for config in (chart, blank)
    )

    # What all objects of a release are labelled with is the chart's own business.
    assert chart.KubeSpawner.common_labels.items() <= one["metadata"].pop("labels").items()
    labels = other["metadata"].pop("labels")
    assert one == other
    # Without it the chart's network policy keeps a session from the hub.
    assert labels["hub.jupyter.org/network-access-hub"] == "true"
    assert read_variables(one)["OFFLINE_JOBS_URL"] == (
        "http://offline-jobs:8081/services/offline-jobs"
    )


@pytest.mark.parametrize("name", CHOICES)
def test_volcano_job(name: str) -> None:
    assert_literal(f"job-{name}", volcano_job(name))


def test_interruptible_job_goes_to_spot_where_karpenter_may_drain_it() -> None:
    on_demand, spot = job_template("gpu"), job_template("gpu", interruptible=True)
    capacity = "karpenter.sh/capacity-type"

    assert on_demand["spec"]["nodeSelector"].pop(capacity) == "on-demand"
    assert spot["spec"]["nodeSelector"].pop(capacity) == "spot"
    # With it Karpenter would leave the pod out, until its machine is gone.
    assert on_demand["metadata"]["annotations"].pop("karpenter.sh/do-not-disrupt") == "true"
    assert on_demand == spot


# ---- one workspace for both

#: Where the two may differ, and why.
ALLOWED_DIFFERENCES = {
    "apiVersion": "a template has none",
    "kind": "a template has none",
    "metadata.annotations.hub.jupyter.org/username": "the hub's",
    "metadata.labels": "the hub's and the job's, beside ours",
    "metadata.name": "Volcano names the job's",
    "spec.containers.0.args": "a session runs the image's own command",
    "spec.containers.0.env": "the hub's and the run's, beside ours",
    "spec.containers.0.imagePullPolicy": "the session's is the hub's, and what Kubernetes takes",
    "spec.containers.0.lifecycle": "empty",
    "spec.containers.0.ports": "a session is served",
    "spec.containers.0.volumeMounts": "a job has checkpoints, beside what both have",
    "spec.imagePullSecrets": "empty",
    "spec.initContainers.0.command": "a job's checkpoints are made, too",
    "spec.nodeSelector": "other pools",
    "spec.restartPolicy": "a session's server comes back, a job's runner must not",
    "spec.terminationGracePeriodSeconds": "the hub gives a session's when it deletes the pod",
    "spec.tolerations": "other pools",
}
#: Variables and labels that only one of the two has, and only these.
SESSION_VARIABLES = {
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_IMAGE",
    "JUPYTER_IMAGE_SPEC",
    "JPY_API_TOKEN",
    "CPU_GUARANTEE",
    "CPU_LIMIT",
    "MEM_GUARANTEE",
    "MEM_LIMIT",
    "OFFLINE_JOBS_LONGEST_SESSION_SECONDS",
    "OFFLINE_JOBS_URL",
}
JOB_VARIABLES = {
    "CHECKPOINT_DIR",
    "OFFLINE_JOB_ATTEMPT",
    "OFFLINE_JOB_CHECKPOINTS",
    "OFFLINE_JOB_ID",
    "OFFLINE_JOB_MEMORY_BYTES",
    "OFFLINE_JOB_PATIENCE_SECONDS",
    "OFFLINE_JOB_TOKEN",
    "OFFLINE_JOB_URL",
}
JOB_LABELS = {"notebook-hpc/job-id", "notebook-hpc/attempt"}


def differences(one: Any, other: Any, place: str = "") -> set[str]:
    """Places at which two JSON values differ."""
    if place in ALLOWED_DIFFERENCES or one == other:
        return {place} if one != other else set()
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return {place}
    found: set[str] = set()
    for key in one.keys() | other.keys():
        below = f"{place}.{key}" if place else str(key)
        found |= differences(one.get(key), other.get(key), below)
    return found


@pytest.mark.parametrize("name", CHOICES)
def test_session_and_job_differ_where_they_may_only(name: str) -> None:
    session = session_pod(CHOICES[name])
    job = job_template(name)

    assert differences(session, job) <= ALLOWED_DIFFERENCES.keys()
    labels = session["metadata"]["labels"]
    ours_in_job = {
        name: value for name, value in job["metadata"]["labels"].items() if name not in JOB_LABELS
    }
    assert ours_in_job == {
        name: value for name, value in labels.items() if name.startswith("notebook-hpc/")
    }
    ours, theirs = read_variables(session), read_variables(job)
    assert theirs.keys() - ours.keys() == JOB_VARIABLES
    assert {
        name for name in ours.keys() - theirs.keys() if not name.startswith("JUPYTERHUB_")
    } == SESSION_VARIABLES
    assert all(theirs[name] == ours[name] for name in ours.keys() & theirs.keys())
    mounts = [pod["spec"]["containers"][0]["volumeMounts"] for pod in (session, job)]
    assert mounts[0] == mounts[1][:-1]
    folders = [pod["spec"]["initContainers"][0]["command"] for pod in (session, job)]
    assert folders[0] == folders[1][:-1]


def read_variables(pod: Mapping[str, Any]) -> dict[str, str]:
    variables = pod["spec"]["containers"][0]["env"]
    assert len({each["name"] for each in variables}) == len(variables)
    return {each["name"]: each["value"] for each in variables}


@pytest.mark.parametrize("name", CHOICES)
def test_both_satisfy_the_restricted_standard(name: str) -> None:
    session = session_pod(CHOICES[name])
    for pod in (session, job_template(name)):
        spec = pod["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        kinds = {key for volume in spec["volumes"] for key in volume} - {"name"}
        assert kinds <= {"persistentVolumeClaim", "emptyDir"}
        for container in (*spec["initContainers"], *spec["containers"]):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["privileged"] is False
            assert (security["runAsUser"], security["runAsGroup"]) == (1000, 100)
            assert security["runAsNonRoot"] is True


# ---- options that KubeSpawner would let through

SMUGGLED: dict[str, object] = {
    "nothing": {},
    "no object": ["small"],
    "an image without profile": {"img--unlisted-choice": "evil/image:1"},
    "an option without profile": {"res--unlisted-choice": "x"},
    "a profile": {"profile": "notebook--small--lab"},
    "an empty profile and an image": {"profile": "", "image": "evil/image:1"},
    "a class of another group": {"group": "lab", "image": "cuda", "class": "gpu"},
    "a pair that cannot work": {"group": "lab", "image": "cuda", "class": "small"},
    "a choice and a profile": {**CHOICES["small"], "profile": "cuda--gpu--gpu-users"},
    "a choice and a limit": {**CHOICES["small"], "mem_limit": "1T"},
    "a choice and an image": {**CHOICES["small"], "image--unlisted-choice": "evil/image:1"},
    "an unknown choice": {**CHOICES["small"], "class": "huge"},
    "a template": {**CHOICES["small"], "image": "{user.name}"},
}


@pytest.mark.parametrize("options", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_smuggled_options_are_refused_when_submitted_and_when_the_pod_is_made(
    options: object,
) -> None:
    async def submit() -> None:
        await make_spawner()._run_apply_user_options(options)

    for attempt in (lambda: session_pod(options), lambda: asyncio.run(submit())):
        with pytest.raises(ShownError) as refused:
            attempt()
        assert refused.value.status_code == 400


def test_a_form_is_checked_when_it_is_submitted() -> None:
    fields = {name: [slug] for name, slug in CHOICES["gpu"].items()}

    async def submit(**changes: list[str]) -> object:
        options: object = make_spawner().options_from_form({**fields, **changes})
        return options

    assert asyncio.run(submit()) == CHOICES["gpu"]
    for wrong in (["huge"], ["gpu", "small"]):
        with pytest.raises(ShownError):
            asyncio.run(submit(**{"class": wrong}))


def test_the_check_is_needed() -> None:
    # KubeSpawner alone runs an image that nobody offered, when ``profile`` is left out.
    open_list = [
        {
            "slug": "lab",
            "display_name": "Lab",
            "profile_options": {
                "img": {
                    "display_name": "Image",
                    "choices": {"a": {"kubespawner_override": {"image": "good/image:1"}}},
                    "unlisted_choice": {
                        "enabled": True,
                        "validation_regex": r"^good/.*\Z",
                        "kubespawner_override": {"image": "{value}"},
                    },
                }
            },
        }
    ]

    async def load() -> str:
        spawner = KubeSpawner(_mock=True, profile_list=open_list)
        spawner.user_options = {"img--unlisted-choice": "evil/image:1"}
        await spawner.load_user_options()
        image: str = spawner.image
        return image

    assert asyncio.run(load()) == "evil/image:1"


def test_a_name_with_braces_is_no_template() -> None:
    # KubeSpawner expands templates in values of the environment.
    person = make_person("{unescaped_username}x", ["lab"])

    variables = read_variables(session_pod(CHOICES["small"], person=person))

    assert variables["USER"] == "{unescaped_username}x"


def test_every_choice_of_the_shipped_catalogue_makes_a_pod(shipped: Catalogue) -> None:
    person = make_person("ada", shipped.groups)
    offered = make_offer(shipped, person)
    made = set()
    for group in offered.groups:
        for image, size in offered.pairs:
            options = {"group": group.slug, "image": image, "class": size}
            if group.slug not in shipped.classes[size].groups:
                continue
            choice = choose(offered, options)
            pod = session_pod(options, shipped, person)
            assert build_user_options(choice) == {
                "profile": build_profile(shipped, person, choice)["slug"]
            }
            made.add(profile_slug(choice))
            assert pod["spec"]["containers"][0]["image"] == choice.image.reference
            assert pod["metadata"]["labels"]["notebook-hpc/class"] == size
    assert len(made) > 10


@pytest.fixture
def shipped() -> Catalogue:
    return load_catalogue(Path(__file__).parents[2] / "helm-values" / "catalogue.yaml")
