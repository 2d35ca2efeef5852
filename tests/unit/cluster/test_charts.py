"""Values of the charts, as they follow from settings and catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.charts import (
    build_hub_values,
    build_platform_values,
    build_service_values,
    build_volcano_values,
)
from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.queues import build_queues
from cluster.driver.renderer import leave_out
from cluster.driver.settings import Ingress, Settings
from cluster.driver.tools import Tools
from cluster.driver.versions import FOLDER, read_mirror_tags, read_versions
from cluster.driver.volumes import Volume
from hub_config.platform.catalogue import GIB
from images._tool.mirror import PREFIX
from tests.factories import make_catalogue, make_group, make_image

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
SHIPPED = {"hub": {"image": {"name": "notebook-hpc/hub", "tag": "0.1.0"}}}


@pytest.fixture
def settings() -> Settings:
    catalogue = make_catalogue(
        images=(make_image(repository="registry.example/lab/notebook", tag="7", digest=DIGEST),),
        groups=(
            make_group("lab", service_account="lab", buckets=("raw",), shared_folder=True),
            make_group("class"),
        ),
    )
    nfs = {"nfs": {"server": "files.invalid", "path": "/"}}
    return Settings(
        address="https://hub.example.org",
        subdomains=True,
        catalogue_file=Path("catalogue.yaml"),
        catalogue=catalogue,
        registry="registry.example/lab",
        digests={"hub": DIGEST, "jobs-service": DIGEST},
        ingress=Ingress("nginx", "hub-tls"),
        storage_class="gp3",
        volumes={
            "homes": Volume(nfs, 3 * GIB, ("hard",)),
            "shared": Volume(nfs, GIB),
            "data-raw": Volume({"csi": {"driver": "s3.csi.aws.com"}}, GIB),
        },
        values={"volcano": {}, "platform": {}, "jupyterhub": {"hub": {"x": 1}}, "offline-jobs": {}},
        charts={},
    )


def test_what_people_work_on_is_writable_and_stays_and_buckets_are_read(
    settings: Settings,
) -> None:
    homes, shared, bucket = build_platform_values(settings)["claims"]

    assert homes == {
        "name": "homes",
        "mode": "ReadWriteMany",
        "size": "3Gi",
        "source": {"nfs": {"server": "files.invalid", "path": "/"}},
        "mountOptions": ["hard"],
        "keep": True,
    }
    assert (shared["mode"], shared["keep"]) == ("ReadWriteMany", True)
    assert (bucket["mode"], bucket["keep"]) == ("ReadOnlyMany", False)


def test_each_group_has_its_queue_and_account(settings: Settings) -> None:
    values = build_platform_values(settings)

    assert values["accounts"] == ["lab"]
    assert [each["name"] for each in values["queues"]] == ["lab", "class"]
    assert [each["spec"] for each in values["queues"]] == [
        each["spec"] for each in build_queues(settings.catalogue)
    ]


def test_images_go_by_registry_and_digest(settings: Settings) -> None:
    hub = build_hub_values(settings, SHIPPED)
    service = build_service_values(settings)

    assert hub["hub"]["image"] == {
        "name": "registry.example/lab/notebook-hpc/hub",
        "tag": f"0.1.0@{DIGEST}",
    }
    assert hub["singleuser"]["image"] == {
        "name": "registry.example/lab/notebook",
        "tag": f"7@{DIGEST}",
    }
    assert service["image"] == {"digest": DIGEST}


def test_charts_that_are_copied_are_those_that_are_installed() -> None:
    listed = yaml.safe_load((FOLDER / "mirror.yaml").read_text(encoding="utf-8"))["charts"]
    found = {each["slug"]: (each["source"], each["version"]) for each in listed}
    pins = read_versions()

    assert found == {
        name: (step.repository, pins[step.version])
        for name, step in STEPS.items()
        if step.repository
    }


def test_what_was_pushed_may_have_a_tag_of_its_own(settings: Settings) -> None:
    pushed = {"hub": f"0.1.1@{DIGEST}", "jobs-service": f"0.1.2@{DIGEST}"}
    other = replace(settings, digests=pushed)

    assert build_hub_values(other, SHIPPED)["hub"]["image"]["tag"] == f"0.1.1@{DIGEST}"
    assert build_service_values(other)["image"] == {"tag": "0.1.2", "digest": DIGEST}


def test_others_images_are_of_ones_own_registry_where_they_were_copied(settings: Settings) -> None:
    assert build_volcano_values(settings) == {}
    assert "image" not in build_hub_values(settings, SHIPPED)["proxy"]["chp"]
    mirror = {slug: f"{tag}@{DIGEST}" for slug, tag in read_mirror_tags().items()}
    other = replace(settings, mirror=mirror)

    own = f"registry.example/lab/{PREFIX}"
    assert build_volcano_values(other) == {"basic": {"image_registry": own}}
    proxy = build_hub_values(other, SHIPPED)["proxy"]["chp"]
    assert proxy == {
        "extraCommandLineFlags": ["--host-routing"],
        "image": {
            "name": f"{own}/jupyterhub/configurable-http-proxy",
            "tag": mirror["configurable-http-proxy"],
        },
    }


def test_a_demonstration_has_the_images_of_this_machine(settings: Settings) -> None:
    here = replace(settings, address="http://127.0.0.1:8000", registry="", digests={})

    assert build_hub_values(here, SHIPPED)["hub"]["image"] == SHIPPED["hub"]["image"]
    assert build_service_values(here)["image"] == {"digest": ""}
    assert build_service_values(here)["demonstration"]
    assert not build_service_values(settings)["demonstration"]


def test_hub_and_service_know_the_address_that_browsers_know(settings: Settings) -> None:
    hub = build_hub_values(settings, SHIPPED)["hub"]

    assert hub["config"]["JupyterHub"]["public_url"] == "https://hub.example.org"
    assert build_service_values(settings)["hub"]["publicUrl"] == "https://hub.example.org/"


def test_users_have_hosts_of_their_own(settings: Settings) -> None:
    """Else the pages of one user's server act with the cookies of whoever opens them."""
    hub = build_hub_values(settings, SHIPPED)

    assert hub["hub"]["config"]["JupyterHub"]["subdomain_host"] == "https://hub.example.org"
    assert hub["proxy"]["chp"]["extraCommandLineFlags"] == ["--host-routing"]
    assert hub["ingress"]["hosts"] == ["hub.example.org", "*.hub.example.org"]
    assert hub["ingress"]["tls"][0]["hosts"] == hub["ingress"]["hosts"]
    assert build_service_values(settings)["publicUrl"] == (
        "https://offline-jobs--service.hub.example.org/services/offline-jobs/"
    )


def test_where_they_are_not_wanted_all_are_on_one(settings: Settings) -> None:
    one = replace(settings, subdomains=False)
    hub = build_hub_values(one, SHIPPED)

    assert "subdomain_host" not in hub["hub"]["config"]["JupyterHub"]
    assert "proxy" not in hub
    assert hub["ingress"]["hosts"] == ["hub.example.org"]
    assert build_service_values(one)["publicUrl"] == ""


def test_disks_have_a_storage_class_where_one_is_named(settings: Settings) -> None:
    """An empty one would mean: of no class, and nobody provisions that."""
    unnamed = replace(settings, storage_class="")

    named = build_hub_values(settings, SHIPPED)["hub"]["db"]
    assert named == {"pvc": {"storageClassName": "gp3"}}
    assert "db" not in build_hub_values(unnamed, SHIPPED)["hub"]
    assert build_service_values(settings)["storage"]["className"] == "gp3"


def test_an_ingress_has_tls_and_its_class_gets_what_notebooks_need(settings: Settings) -> None:
    ingress = build_hub_values(settings, SHIPPED)["ingress"]

    assert ingress["ingressClassName"] == "nginx"
    assert [each["secretName"] for each in ingress["tls"]] == ["hub-tls"]
    # Without it an upload of more than a megabyte is refused.
    assert ingress["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"
    for what in ("read", "send"):
        assert ingress["annotations"][f"nginx.ingress.kubernetes.io/proxy-{what}-timeout"] == "4000"


def test_a_load_balancer_looks_at_the_proxy_and_waits_long(settings: Settings) -> None:
    prefix = "alb.ingress.kubernetes.io"
    own = {f"{prefix}/scheme": "internal"}
    alb = replace(settings, ingress=Ingress("alb", "arn:aws:acm:x", own))

    values = build_hub_values(alb, SHIPPED)["ingress"]

    assert "tls" not in values
    annotations = values["annotations"]
    assert annotations[f"{prefix}/certificate-arn"] == "arn:aws:acm:x"
    assert annotations[f"{prefix}/healthcheck-path"] == "/_chp_healthz"
    assert "idle_timeout.timeout_seconds=4000" in annotations[f"{prefix}/load-balancer-attributes"]
    assert annotations[f"{prefix}/ssl-redirect"] == "443"
    # The proxy's Service has no port on the machines, which the default needs.
    assert annotations[f"{prefix}/target-type"] == "ip"
    # The administrator's word wins.
    assert annotations[f"{prefix}/scheme"] == "internal"


def test_without_an_ingress_the_chart_makes_none(settings: Settings) -> None:
    assert "ingress" not in build_hub_values(replace(settings, ingress=None), SHIPPED)


def test_later_files_win_and_only_their_owner_reads_them(
    settings: Settings, tmp_path: Path
) -> None:
    deployment = Deployment(settings, Tools(), tmp_path / "values", lambda line: None)

    files = deployment.list_values("jupyterhub")

    assert [each.name for each in files] == [
        "jupyterhub.yaml",
        "catalogue.yaml",
        "jupyterhub.ours.yaml",
        "jupyterhub.yours.yaml",
    ]
    # JSON: other readers of YAML would take some texts for numbers.
    assert json.loads(files[-1].read_text()) == {"hub": {"x": 1}}
    assert {each.stat().st_mode & 0o777 for each in files[-2:]} == {0o600}
    # The platform's own chart has no catalogue, only what follows from it.
    assert [each.name for each in deployment.list_values("platform")] == ["platform.ours.yaml"]


def test_definitions_are_left_out_of_a_release() -> None:
    """A release that is uninstalled takes with it all that it has."""
    definition: dict[str, Any] = {"kind": "CustomResourceDefinition"}
    service = {"kind": "Service"}

    assert leave_out([definition, service]) == [service]


def test_what_goes_through_stays_what_it_is() -> None:
    """Numbers in quotes are texts, for whoever reads them next."""
    words = [sys.executable, "-m", "cluster.driver.renderer"]
    text = "kind: Secret\ndata: {account: '0123', token: '1e3', on: 'yes'}\n---\n---\nkind: A\n"
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=True)

    first, second = [json.loads(each) for each in done.stdout.split("---\n") if each]
    assert first["data"]["account"] == "0123"
    assert first["data"]["token"] == "1e3"
    assert second == {"kind": "A"}
