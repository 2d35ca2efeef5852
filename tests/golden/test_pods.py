"""Whole pods as literals: KubeSpawner's session pod and the job's pod template of one choice.

The session's goes through KubeSpawner itself, without a cluster. Where a literal changes on
purpose, ``NOTEBOOK_HPC_WRITE_GOLDEN=1`` writes it anew; read the difference before it is committed.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient
from kubernetes_asyncio.config import kube_config
from kubespawner import KubeSpawner
from kubespawner.spawner import MockObject

from hub_config.catalogue import GIB, GPU_RESOURCE, Catalogue, Queue
from hub_config.catalogue_file import load_catalogue
from hub_config.choices import Choice, Offer
from hub_config.errors import Refused
from hub_config.people import Person
from hub_config.pods import build_pod_fields
from hub_config.profiles import (
    build_profiles,
    build_user_options,
    choose_profile,
    profile_slug,
)
from hub_config.workspace import Kind, build_workspace
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


def session_pod(
    options: Mapping[str, str], profiles: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The pod that KubeSpawner makes of user options, as JSON."""

    async def make() -> dict[str, Any]:
        user = MockObject()
        user.name, user.id, user.url = ADA.name, 7, "/user/ada/"
        spawner = KubeSpawner(
            _mock=True,
            user=user,
            profile_list=profiles or build_profiles(CATALOGUE, make_offer(CATALOGUE, ADA), ADA),
            cpu_limit=0.1,
            mem_limit="256M",
            image="registry.example/nothing-chosen:1",
        )
        spawner.user_options = dict(options)
        await spawner.load_user_options()
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
    return choose_profile(make_offer(CATALOGUE, ADA), options)


def job_template(name: str, *, interruptible: bool = False) -> dict[str, Any]:
    workspace = build_workspace(
        CATALOGUE, ADA, choose_strictly(CHOICES[name]), Kind.JOB, interruptible=interruptible
    )
    return build_pod_fields(workspace)


def assert_literal(name: str, found: dict[str, Any]) -> None:
    path = LITERALS / f"{name}.json"
    if os.environ.get("NOTEBOOK_HPC_WRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())


@pytest.mark.parametrize("name", CHOICES)
def test_session_pod(name: str) -> None:
    options = build_user_options(choose_strictly(CHOICES[name]))

    assert_literal(f"session-{name}", session_pod(options))


@pytest.mark.parametrize("name", CHOICES)
def test_job_template(name: str) -> None:
    assert_literal(f"job-{name}", job_template(name))


def test_interruptible_job_goes_to_spot_and_nothing_else_changes() -> None:
    on_demand, spot = job_template("gpu"), job_template("gpu", interruptible=True)
    capacity = "karpenter.sh/capacity-type"

    assert on_demand["spec"]["nodeSelector"].pop(capacity) == "on-demand"
    assert spot["spec"]["nodeSelector"].pop(capacity) == "spot"
    assert on_demand == spot


# ---- one workspace for both

#: Where the two may differ, and why.
ALLOWED_DIFFERENCES = {
    "apiVersion": "a template has none",
    "kind": "a template has none",
    "metadata.annotations.hub.jupyter.org/username": "the hub's",
    "metadata.labels": "the hub's, beside ours",
    "metadata.name": "given by whoever makes the object",
    "spec.containers.0.env": "the hub's, beside ours",
    "spec.containers.0.lifecycle": "empty",
    "spec.containers.0.name": "given by whoever runs something in it",
    "spec.containers.0.ports": "a session is served",
    "spec.containers.0.workingDir": "a job works in its notebook's folder",
    "spec.imagePullSecrets": "empty",
    "spec.nodeSelector": "other pools",
    "spec.restartPolicy": "a session's server comes back, a job's runner must not",
    "spec.tolerations": "other pools",
}


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
    session = session_pod(build_user_options(choose_strictly(CHOICES[name])))
    job = job_template(name)

    assert differences(session, job) <= ALLOWED_DIFFERENCES.keys()
    assert job["metadata"]["labels"].items() <= session["metadata"]["labels"].items()
    variables = session["spec"]["containers"][0]["env"]
    assert all(variable in variables for variable in job["spec"]["containers"][0]["env"])


@pytest.mark.parametrize("name", CHOICES)
def test_both_satisfy_the_restricted_standard(name: str) -> None:
    session = session_pod(build_user_options(choose_strictly(CHOICES[name])))
    for pod in (session, job_template(name)):
        spec = pod["spec"]
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        kinds = {key for volume in spec["volumes"] for key in volume} - {"name"}
        assert kinds <= {"persistentVolumeClaim", "emptyDir"}
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["privileged"] is False
        assert (security["runAsUser"], security["runAsGroup"]) == (1000, 100)


# ---- options that KubeSpawner would let through

SMUGGLED: dict[str, Mapping[str, object]] = {
    "nothing": {},
    "an image without profile": {"img--unlisted-choice": "evil/image:1"},
    "an option without profile": {"res--unlisted-choice": "x"},
    "an empty profile": {"profile": ""},
    "an empty profile and an image": {"profile": "", "image": "evil/image:1"},
    "no text as profile": {"profile": ["notebook--small--lab"]},
    "an unknown profile": {"profile": "notebook--huge--lab"},
    "a profile of another group": {"profile": "cuda--gpu--lab"},
    "a pair that cannot work": {"profile": "cuda--small--lab"},
    "a profile and an image": {
        "profile": "notebook--small--lab",
        "image--unlisted-choice": "evil/image:1",
    },
    "a profile and a choice": {"profile": "notebook--small--lab", "class": "gpu"},
    "a choice and a limit": {**CHOICES["small"], "mem_limit": "1T"},
    "an unknown choice": {**CHOICES["small"], "class": "huge"},
    "a template": {**CHOICES["small"], "image": "{user.name}"},
}


@pytest.mark.parametrize("options", SMUGGLED.values(), ids=SMUGGLED.keys())
def test_smuggled_options_are_refused(options: Mapping[str, object]) -> None:
    with pytest.raises(Refused):
        choose_strictly(options)


def test_the_check_is_needed() -> None:
    # KubeSpawner alone runs an image that nobody offered, and without ``profile`` its default.
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

    smuggled = session_pod({"img--unlisted-choice": "evil/image:1"}, open_list)
    ours = session_pod({"img--unlisted-choice": "evil/image:1"})

    assert smuggled["spec"]["containers"][0]["image"] == "evil/image:1"
    # Our profiles have no options, so nothing foreign gets in even there; the check refuses it.
    assert ours["spec"]["containers"][0]["image"] == "registry.example/notebook:1.0"


@pytest.mark.parametrize("name", CHOICES)
def test_a_profile_is_the_same_choice_as_the_form(name: str) -> None:
    choice = choose_strictly(CHOICES[name])

    assert choose_strictly(build_user_options(choice)) == choice


def test_profiles_are_exactly_what_may_be_had() -> None:
    profiles = build_profiles(CATALOGUE, make_offer(CATALOGUE, ADA), ADA)

    assert [profile["slug"] for profile in profiles] == [
        "notebook--small--lab",
        "notebook--gpu--gpu-users",
        "cuda--gpu--gpu-users",
    ]
    assert [profile["slug"] for profile in profiles if profile["default"]] == [
        "notebook--small--lab"
    ]
    assert profiles[2]["display_name"] == "Cuda on Gpu (Gpu-users)"
    assert profiles[2]["description"] == "8 cores, 32 GiB and 1 GPU (T4)"


def test_every_profile_of_the_shipped_catalogue_makes_a_pod(shipped: Catalogue) -> None:
    person: Person = make_person("ada", shipped.groups)
    offered: Offer = make_offer(shipped, person)
    profiles = build_profiles(shipped, offered, person)

    assert len(profiles) == len({profile["slug"] for profile in profiles}) > 10
    for profile in profiles:
        pod = session_pod({"profile": profile["slug"]}, profiles)
        choice = choose_profile(offered, {"profile": profile["slug"]})
        assert profile_slug(choice) == profile["slug"]
        assert pod["spec"]["containers"][0]["image"] == choice.image.reference


@pytest.fixture
def shipped() -> Catalogue:
    return load_catalogue(Path(__file__).parents[2] / "helm-values" / "catalogue.yaml")
