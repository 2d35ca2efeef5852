"""The stand-in for the hub's chart makes what the chart itself makes, but for listed differences.

Compared with what the real chart made of our values on 2026-11-28; that rendering is beside the
project and not part of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
import yaml

from cluster.driver.versions import read_versions
from images._tool.mirror import load_list
from tests.bed import volcano_chart
from tests.bed.bed import ROOT, Bed
from tests.bed.client import Object
from tests.bed.installation import HUB_CHART
from tests.bed.overlay import CATALOGUE
from tests.control_plane.chart import run_helm
from tests.skips import require

REAL = ROOT.parent / "shared" / "data" / "z2jh-4.4.0.rendered.yaml"
HUB_VALUES = ROOT / "helm-values" / "jupyterhub.yaml"
#: The labels with the chart's version: what was rendered was built from its sources.
VERSIONS = ("chart", "helm.sh/chart")
#: Where the two may differ, and why; in metadata's labels VERSIONS besides.
ALLOWED = {
    "ConfigMap hub: data": "names that the chart's own file reads, and that file; ours is shorter",
    "Secret hub: data": "left out of the rendering, but for the keys",
    "Deployment hub: spec.template.metadata.annotations.checksum/config-map": "of another file",
    "Deployment hub: spec.template.metadata.annotations.checksum/secret": "of other values",
    "Deployment hub: spec.template.spec.containers.0.volumeMounts": "of a part of the ConfigMap",
    "Deployment proxy: spec.strategy.rollingUpdate": "null, which is none",
    "Deployment proxy: spec.template.metadata.annotations": "checksums of the proxy's secrets",
    # What our values say since then.
    "Deployment hub: spec.template.metadata.labels.notebook-hpc/error-pages": "is newer",
    "Deployment proxy: spec.template.spec.containers.0.command.5": "the error target is newer",
    "Deployment hub: spec.template.spec.containers.0.resources": "requests are newer",
    "Deployment proxy: spec.template.spec.containers.0.resources": "requests are newer",
    "NetworkPolicy singleuser: spec.egress.5.ports.0.port": "the jobs service has another port",
    "NetworkPolicy hub: spec.egress": "no machine's credentials, and the jobs service by its pod",
    "NetworkPolicy proxy: spec.egress": "no machine's credentials, and the jobs service by its pod",
}


@pytest.fixture(scope="module")
def made(bed: Bed) -> dict[str, Object]:
    return by_name(run_helm(bed, "hub", HUB_CHART, [HUB_VALUES, CATALOGUE], {}))


def list_images(objects: Iterable[Object]) -> set[str]:
    """Images of the pods that objects make."""
    found = set()
    for each in objects:
        spec = each.get("spec", {}).get("template", {}).get("spec", {})
        for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
            found.add(container["image"])
    return found


@pytest.fixture(scope="module")
def real() -> dict[str, Object]:
    if not REAL.exists():
        require("shared")
    return by_name(list(yaml.safe_load_all(REAL.read_text(encoding="utf-8"))))


def by_name(objects: list[Object]) -> dict[str, Object]:
    for each in objects:
        for label in VERSIONS:
            each["metadata"]["labels"].pop(label)
    return {f"{each['kind']} {each['metadata']['name']}": each for each in objects}


def find_differences(one: Any, other: Any, place: str = "") -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        pairs = [
            (key, one.get(key, "nothing"), other.get(key, "nothing")) for key in {**one, **other}
        ]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(number), *pair) for number, pair in enumerate(zip(one, other, strict=True))]
    else:
        if one != other:
            yield place
        return
    for key, left, right in pairs:
        yield from find_differences(left, right, f"{place}.{key}" if place else key)


def test_it_makes_the_chart_s_objects_and_no_others(
    made: dict[str, Object], real: dict[str, Object]
) -> None:
    assert made.keys() == real.keys()


def test_they_are_equal_but_for_what_is_listed(
    made: dict[str, Object], real: dict[str, Object]
) -> None:
    found = {
        f"{name}: {place}"
        for name, each in real.items()
        for place in find_differences(each, made[name])
    }

    assert {_shorten(each) for each in found} == ALLOWED.keys()


def _shorten(place: str) -> str:
    """The allowed place that a difference lies in; itself if there is none."""
    return next((each for each in ALLOWED if f"{place}.".startswith(f"{each}.")), place)


def test_the_secret_has_the_chart_s_keys(made: dict[str, Object], real: dict[str, Object]) -> None:
    assert made["Secret hub"]["data"].keys() == real["Secret hub"]["data"].keys()


def test_mounts_are_the_chart_s_but_for_parts_of_its_configuration(
    made: dict[str, Object], real: dict[str, Object]
) -> None:
    def get_mounts(objects: dict[str, Object]) -> list[dict[str, str]]:
        (container,) = objects["Deployment hub"]["spec"]["template"]["spec"]["containers"]
        mounts: list[dict[str, str]] = container["volumeMounts"]
        return mounts

    ours, theirs = get_mounts(made), get_mounts(real)

    assert [each for each in theirs if each not in ours] == [
        {
            "mountPath": "/usr/local/etc/jupyterhub/z2jh.py",
            "subPath": "z2jh.py",
            "name": "config",
        },
        {"mountPath": "/usr/local/etc/jupyterhub/config/", "name": "config"},
    ]
    assert [each for each in ours if each not in theirs] == []


def test_egress_is_the_chart_s_without_the_machines_credentials_and_with_the_jobs_service(
    made: dict[str, Object], real: dict[str, Object]
) -> None:
    credentials = {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}
    jobs = copy.deepcopy(real["NetworkPolicy singleuser"]["spec"]["egress"][-1])
    jobs["ports"][0]["port"] = 8081
    assert jobs == made["NetworkPolicy singleuser"]["spec"]["egress"][-1]
    for name in ("NetworkPolicy hub", "NetworkPolicy proxy"):
        theirs = real[name]["spec"]["egress"]
        assert credentials in theirs
        assert made[name]["spec"]["egress"] == [
            *(each for each in theirs if each != credentials),
            jobs,
        ]


def test_with_a_database_on_a_server_there_is_no_disk_and_no_upgrade_unasked(bed: Bed) -> None:
    """So it is in the real chart, which upgrades by itself only what it keeps itself.

    Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/blob/4.4.0/jupyterhub/templates/hub/deployment.yaml
    """
    own = {"hub.db.type": "postgres", "hub.db.url": "postgresql://hub@records.example.org/hub"}
    upgrades = []
    for more in ({}, {"hub.db.upgrade": True}):
        values: dict[str, object] = {**own, **more}
        objects = by_name(run_helm(bed, "hub", HUB_CHART, [HUB_VALUES, CATALOGUE], values))
        assert "PersistentVolumeClaim hub-db-dir" not in objects
        spec = objects["Deployment hub"]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert "pvc" not in {each["name"] for each in spec["volumes"]}
        assert "pvc" not in {each["name"] for each in container["volumeMounts"]}
        upgrades.append("--upgrade-db" in container["args"])

    assert upgrades == [False, True]


def test_a_secret_of_the_administrators_is_mounted_and_has_the_proxys_token(bed: Bed) -> None:
    """So it is in the real chart, by its ConfigMap `hub-existing-secret-or-default`."""
    values = {"hub.existingSecret": "ours"}
    objects = by_name(run_helm(bed, "hub", HUB_CHART, [HUB_VALUES, CATALOGUE], values))
    spec = objects["Deployment hub"]["spec"]["template"]["spec"]

    assert {"name": "existing-secret", "secret": {"secretName": "ours"}} in spec["volumes"]
    for name in ("Deployment hub", "Deployment proxy"):
        (container,) = objects[name]["spec"]["template"]["spec"]["containers"]
        (token,) = [each for each in container["env"] if each["name"] == "CONFIGPROXY_AUTH_TOKEN"]
        assert token["valueFrom"]["secretKeyRef"]["name"] == "ours"


def test_what_is_copied_is_what_the_charts_name(bed: Bed, real: dict[str, Object]) -> None:
    volcano = list_images(volcano_chart.render(bed.programs))
    hub = {each for each in list_images(real.values()) if not each.startswith("notebook-hpc/")}
    listed = {f"{each.host}/{each.repository}:{each.tag}" for each in load_list(ROOT)}

    assert listed == volcano | hub
    # In one's own registry Volcano's keep their names, for only its registry is a value.
    assert {each.rpartition(":")[2] for each in volcano} == {
        f"v{read_versions()['VOLCANO_VERSION']}"
    }
