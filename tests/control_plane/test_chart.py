"""What our charts make of their values; admission, rights and network: beside it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.bed.bed import Bed
from tests.bed.client import Object
from tests.bed.overlay import CATALOGUE
from tests.control_plane.chart import find, render, render_platform

KEY = "run-token-key"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def get_signing_secret(chart: list[Object]) -> str:
    """Name of the Secret whose key the service signs with."""
    (secrets,) = [
        each["projected"]["sources"]
        for each in find(chart, "Deployment")["spec"]["template"]["spec"]["volumes"]
        if "projected" in each
    ]
    (name,) = [
        each["secret"]["name"]
        for each in secrets
        if KEY in [item["key"] for item in each["secret"]["items"]]
    ]
    return str(name)


def test_the_chart_makes_the_key_that_signs_runs(bed: Bed) -> None:
    chart = render(bed, "jobs-here")
    secret = find(chart, "Secret")

    assert get_signing_secret(chart) == secret["metadata"]["name"]
    assert secret["data"][KEY]


def test_a_secret_that_is_there_is_used_and_nothing_rendered_changes(bed: Bed) -> None:
    """Whoever only renders the chart would else bring another key each time."""
    values = {"existingSecret": "ours"}
    chart = render(bed, "jobs-here", values)

    assert get_signing_secret(chart) == "ours"
    assert "Secret" not in {each["kind"] for each in chart}
    assert render(bed, "jobs-here", values) == chart


def test_an_address_of_a_database_comes_as_a_file_of_a_secret(bed: Bed) -> None:
    values = {"database": {"existingSecret": "jobs-database", "key": "address"}}
    pod = find(render(bed, "jobs-here", values), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {each["name"]: each.get("value") for each in container["env"]}
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "secrets"]
    (sources,) = [each["projected"]["sources"] for each in pod["volumes"] if "projected" in each]

    file = environment["OFFLINE_JOBS_DATABASE_URL_FILE"]
    assert file == f"{mount['mountPath']}/database-url"
    assert {
        "name": "jobs-database",
        "items": [{"key": "address", "path": "database-url"}],
    } in [each["secret"] for each in sources]
    without = find(render(bed, "jobs-here"), "Deployment")["spec"]["template"]["spec"]
    assert "DATABASE" not in str(without)


def test_a_start_may_take_ten_minutes(bed: Bed) -> None:
    """A large database is brought to its newest form before anything answers."""
    (container,) = find(render(bed, "jobs-here"), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    probe: dict[str, Any] = container["startupProbe"]

    assert probe["httpGet"] == container["readinessProbe"]["httpGet"]
    # Dead is what is stuck, and not what cannot reach a database.
    assert container["livenessProbe"]["httpGet"] == {"path": "/live", "port": "http"}
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


def get_pod(bed: Bed, values: Mapping[str, object]) -> dict[str, Any]:
    """The service's pod, its environment as a mapping."""
    deployment = find(render(bed, "jobs-here", values), "Deployment")
    pod: dict[str, Any] = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["env"] = {each["name"]: each.get("value") for each in container["env"]}
    return pod


def test_objects_are_in_a_bucket_where_one_is_named(bed: Bed) -> None:
    assert not [name for name in get_pod(bed, {})["containers"][0]["env"] if "OBJECTS" in name]

    values = {
        "objects.bucket": "s3://lab/results",
        "objects.endpoint": "https://s3.example",
        "objects.credentialsSecret": "objects",
        "serviceAccount.annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
    }
    pod = get_pod(bed, values)
    (container,) = pod["containers"]
    account = find(render(bed, "jobs-here", values), "ServiceAccount")

    assert container["env"]["OFFLINE_JOBS_OBJECTS"] == "s3://lab/results"
    assert container["env"]["OFFLINE_JOBS_OBJECTS_ENDPOINT"] == "https://s3.example"
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "objects"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "objects"]
    # A file, which no other process of the machine can read as it can an environment.
    assert container["env"]["AWS_SHARED_CREDENTIALS_FILE"] == f"{mount['mountPath']}/credentials"
    assert volume["secret"]["secretName"] == "objects"
    assert account["metadata"]["annotations"] == values["serviceAccount.annotations"]


def test_waits_are_handed_on_where_they_are_said(bed: Bed) -> None:
    name = "OFFLINE_JOBS_LONGEST_WAITS"
    values = {"jobs.longestWait": {"machine": "2 h", "image": "20 min"}}

    assert get_pod(bed, values)["containers"][0]["env"][name] == "image=20 min, machine=2 h"
    # What is not said is the service's to know.
    assert name not in get_pod(bed, {})["containers"][0]["env"]


@pytest.mark.parametrize("bucket", ["/var/objects", "lab", "s3://Lab", "s3://lab/../x"])
def test_what_cannot_be_a_bucket_is_refused(bed: Bed, bucket: str) -> None:
    assert "bucket" in say_refusal(bed, {"objects.bucket": bucket})


def test_only_named_peers_reach_the_metrics(bed: Bed) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    for chosen, expected in (([], []), (peers, [peers])):
        chart = render(bed, "jobs-here", {"metrics.from": chosen})
        (policy,) = [
            each
            for each in chart
            if each["kind"] == "NetworkPolicy"
            and each["metadata"]["name"] == "offline-jobs"
            and "namespace" not in each["metadata"]
        ]
        rules = policy["spec"]["ingress"]
        ports = [[port["port"] for port in rule["ports"]] for rule in rules]
        assert ports[:2] == [[8081], [8080]]
        assert [rule["from"] for rule in rules[2:]] == expected
        assert ports[2:] == [[8082] for _ in expected]
    without = get_pod(bed, {"metrics.enabled": False})
    assert "metrics" not in str(without)


@pytest.fixture
def pushed() -> dict[str, object]:
    """Values of an installation whose images were pushed."""
    catalogue: dict[str, Any] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["custom"][
        "catalogue"
    ]
    images = [{**each, "digest": DIGEST} for each in catalogue["images"]]
    folders = {**catalogue["folders_image"], "digest": DIGEST}
    return {
        "demonstration": False,
        "hub.publicUrl": "https://hub.example/",
        "image.digest": DIGEST,
        "custom.catalogue": {**catalogue, "images": images, "folders_image": folders},
    }


def test_with_a_server_and_a_bucket_there_is_no_disk(bed: Bed) -> None:
    """One would tie the service to a zone, for nothing."""
    elsewhere = {"database.existingSecret": "jobs-database", "objects.bucket": "s3://jobs"}

    for values, has_disk in (
        (elsewhere, False),
        ({"database.existingSecret": "jobs-database"}, True),
        ({"objects.bucket": "s3://jobs"}, True),
    ):
        objects = render(bed, "jobs-here", values)
        pod = find(objects, "Deployment")["spec"]["template"]["spec"]
        (state,) = (each for each in pod["volumes"] if each["name"] == "state")
        assert bool(find_all(objects, "PersistentVolumeClaim")) is has_disk
        assert ("persistentVolumeClaim" in state) is has_disk


def say_refusal(bed: Bed, values: Mapping[str, object]) -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render(bed, "jobs-here", values)
    return str(refused.value.stderr)


def test_what_was_pushed_is_installed_by_its_digest(bed: Bed, pushed: dict[str, object]) -> None:
    (container,) = find(render(bed, "jobs-here", pushed), "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]

    assert container["image"].endswith(f"/notebook-hpc/jobs-service:0.1.0@{DIGEST}")


@pytest.mark.parametrize("address", ["", "/", "http://hub.example/"])
def test_without_tls_it_is_a_demonstration_or_not_installed(
    bed: Bed, pushed: dict[str, object], address: str
) -> None:
    said = say_refusal(bed, {**pushed, "hub.publicUrl": address})

    assert "hub.publicUrl" in said
    assert "https://HOST/" in said
    assert render(bed, "jobs-here", {"hub.publicUrl": address, "demonstration": True})


def test_images_without_a_digest_are_named_all_at_once(bed: Bed, pushed: dict[str, object]) -> None:
    """Of a tag nobody knows what is pulled."""
    shipped = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["custom"]["catalogue"]

    said = say_refusal(bed, {**pushed, "image.digest": "", "custom.catalogue": shipped})

    assert "image.digest is empty" in said
    for slug in ("folders_image", *(each["slug"] for each in shipped["images"])):
        assert f"image {slug} has no digest" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"imagePullPolicy": "Always"}, "imagePullPolicy"),
        ({"jobs.quota": {}}, "quota"),
        ({"image.digest": "sha256:abc"}, "/image/digest"),
        ({"custom.catalogue": {}}, "/custom/catalogue"),
        ({"jobs.openPerUser": "many"}, "/jobs/openPerUser"),
        ({"jobs.longestWait": {"gpu": "1 h"}}, "gpu"),
        ({"jobs.longestWait": {"machine": "soon"}}, "/jobs/longestWait/machine"),
    ],
)
def test_values_that_mean_nothing_are_refused(
    bed: Bed, values: dict[str, object], said: str
) -> None:
    assert said in say_refusal(bed, values)


# ---- the platform's own objects


def find_all(objects: list[Object], kind: str) -> dict[tuple[str, str], Object]:
    """Objects of a kind by namespace and name."""
    return {
        (each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in objects
        if each["kind"] == kind
    }


def test_sessions_and_jobs_see_the_same_files_by_volumes_of_their_own(bed: Bed) -> None:
    handle = {"csi": {"driver": "files.example", "volumeHandle": "ours"}}
    bucket = {"csi": {"driver": "buckets.example", "volumeAttributes": {"bucketName": "raw"}}}
    claims = [
        {
            "name": "homes",
            "mode": "ReadWriteMany",
            "size": "1Gi",
            "keep": True,
            "source": handle,
            "mountOptions": ["hard", "nconnect=4"],
        },
        {"name": "data-my.raw", "mode": "ReadOnlyMany", "size": "1Gi", "source": bucket},
    ]

    objects = render_platform(bed, "jobs-here", {"claims": claims})

    volumes = find_all(objects, "PersistentVolume")
    assert volumes.keys() == {
        ("", f"{namespace}-{name}")
        for namespace in ("jupyterhub", "jobs-here")
        for name in ("homes", "data-my.raw")
    }
    for namespace in ("jupyterhub", "jobs-here"):
        homes = volumes["", f"{namespace}-homes"]
        assert homes["spec"]["csi"] == handle["csi"]
        assert homes["spec"]["mountOptions"] == ["hard", "nconnect=4"]
        assert homes["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        # A machine that mounts two volumes of one handle mounts one of them.
        raw = volumes["", f"{namespace}-data-my.raw"]
        assert raw["spec"]["csi"] == {**bucket["csi"], "volumeHandle": f"{namespace}-data-my.raw"}
        claim = find_all(objects, "PersistentVolumeClaim")[namespace, "homes"]
        assert claim["spec"]["volumeName"] == f"{namespace}-homes"
        assert homes["spec"]["claimRef"]["name"] == "homes"
        assert homes["spec"]["claimRef"]["namespace"] == namespace
        keep = {"helm.sh/resource-policy": "keep"}
        assert claim["metadata"]["annotations"] == homes["metadata"]["annotations"] == keep
        assert "annotations" not in raw["metadata"]


def test_both_namespaces_admit_restricted_pods_only_and_stay(bed: Bed) -> None:
    namespaces = find_all(render_platform(bed, "jobs-here"), "Namespace")

    assert namespaces.keys() == {("", "jupyterhub"), ("", "jobs-here")}
    for each in namespaces.values():
        assert each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_accounts_are_in_both_namespaces_and_have_no_token(bed: Bed) -> None:
    accounts = find_all(render_platform(bed, "jobs-here"), "ServiceAccount")

    assert accounts.keys() == {("jupyterhub", "spatial-lab"), ("jobs-here", "spatial-lab")}
    assert not any(each["automountServiceAccountToken"] for each in accounts.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"claims": []}, "/claims"),
        ({"claims": [{"name": "homes", "mode": "ReadWriteMany", "size": "1Gi"}]}, "source"),
        ({"queues": []}, "/queues"),
        ({"quotas": {"jobs": {"pods": 7}}}, "/quotas/jobs/pods"),
        ({"accounts": ["Not a name"]}, "/accounts/0"),
        ({"networkPolicies": {}}, "networkPolicies"),
    ],
)
def test_values_of_the_platform_that_mean_nothing_are_refused(
    bed: Bed, values: dict[str, object], said: str
) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        render_platform(bed, "jobs-here", values)
    assert said in refused.value.stderr
