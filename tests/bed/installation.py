"""The platform on a bed's real nodes, installed as on any cluster: `cluster.driver` does it.

What an administrator would write into the settings is written here: where the bed's volumes and
charts are. What a cluster has and the bed has not, a provisioner of disks, is replaced by volumes
for the two claims that want one. Used by :mod:`tests.bed.bed` and :mod:`tests.bed.hub.stand_in`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cluster.driver.charts import NAMESPACE
from cluster.driver.deployment import Deployment
from cluster.driver.settings import Settings, load_settings
from cluster.driver.tools import Tools
from cluster.driver.volumes import list_claims
from tests.bed import nodes, pins, volcano_images
from tests.bed.claims import VOLUME, build_volume, name_volume
from tests.bed.client import Object
from tests.bed.control_plane import SCHEDULE_PERIOD
from tests.bed.overlay import lay_over, load_catalogue, load_values

if TYPE_CHECKING:
    from tests.bed.bed import Bed

HUB_CHART = Path(__file__).parent / "hub" / "chart"
HUB_CONFIGURATION = HUB_CHART / "files" / "jupyterhub_config.py"
SERVICE_CLAIM, HUB_CLAIM = "offline-jobs", "hub-db-dir"
#: Keys of the hub's Secret that its chart fills with random texts, in hexadecimal.
RANDOM_KEYS = (
    "hub.config.ConfigurableHTTPProxy.auth_token",
    "hub.config.JupyterHub.cookie_secret",
    "hub.services.offline-jobs.apiToken",
)
PROXY_IMAGE = {"name": "localhost/notebook-hpc/proxy", "tag": "stand-in"}
#: Before anybody has asked for a port.
_NOWHERE = "http://127.0.0.1:8000"
_HERE = {"kubernetes.io/hostname": nodes.SESSIONS}
#: Sessions are on the same machine here: programs of the cluster, which go before everybody, would
#: put them out when two of each are there during an upgrade.
_LITTLE = {"requests": {"cpu": "10m", "memory": "32Mi"}}
_VOLCANO = ("scheduler", "controller", "admission")
_USER, _GROUP = 1000, 100


def load_deployment(
    bed: Bed,
    *,
    address: str = _NOWHERE,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Deployment:
    """What installs the platform on a bed.

    Args:
        bed: which has real nodes.
        address: where a browser finds the platform.
        values: over those of charts, by release.
        say: told what happens, a line at a time.
    """
    folder, programs = bed.folder / "deployment", bed.programs
    written = build_settings(get_folder(bed), programs.data / "volcano", address)
    written["values"] = lay_over(written["values"], dict(values or {}))
    settings = write_settings(folder, written)
    own = {name: str(bed.folder / "helm") for name in ("HELM_CACHE_HOME", "HELM_CONFIG_HOME")}
    # As with the bed's daemons: a chart's upgrade spends a fifth of its time on collecting garbage.
    own["GOGC"] = "400"
    tools = Tools(
        str(bed.kubeconfig), str(programs.path("helm")), str(programs.path("kubectl")), own
    )
    return Deployment(settings, tools, folder / "values", say)


def write_settings(
    folder: Path, written: Mapping[str, Any], values: Mapping[str, Any] | None = None
) -> Settings:
    """Write settings and a catalogue into a folder, and read them as everybody does.

    Args:
        folder: made if it is not there.
        written: the settings.
        values: with the catalogue; the bed's if nobody says.
    """
    folder.mkdir(exist_ok=True)
    catalogue, settings = folder / "catalogue.yaml", folder / "settings.yaml"
    content = dict(values or load_values(real=True))
    catalogue.write_text(yaml.safe_dump(content), encoding="utf-8")
    settings.write_text(yaml.safe_dump(dict(written), sort_keys=False), encoding="utf-8")
    return load_settings(settings)


def build_settings(volumes: Path, volcano: Path, address: str) -> dict[str, Any]:
    """What an administrator would write into the settings of a bed.

    Args:
        volumes: folder with a folder for each claim.
        volcano: folder of Volcano's chart.
        address: where a browser finds the platform.
    """
    claims = list_claims(load_catalogue(real=True))
    return {
        "address": address,
        "catalogue": "catalogue.yaml",
        "storage": {
            "volumes": {
                claim: {
                    "source": {"hostPath": {"path": str(volumes / claim), "type": "Directory"}},
                    "size": "100 GiB",
                }
                for claim in claims
            }
        },
        "values": {
            "volcano": {
                "basic": {"image_registry": volcano_images.REGISTRY},
                "custom": {
                    "default_ns": _HERE,
                    "scheduler_schedule_period": SCHEDULE_PERIOD,
                    **{f"{each}_resources": _LITTLE for each in _VOLCANO},
                },
            },
            "jupyterhub": {
                "custom": {"login": "demonstration"},
                # Volumes wait for the claims by name, and nobody provisions any.
                "hub": {
                    "nodeSelector": _HERE,
                    "db": {"pvc": {"storageClassName": ""}},
                    "resources": _LITTLE,
                },
                "proxy": {
                    "chp": {"image": PROXY_IMAGE, "nodeSelector": _HERE, "resources": _LITTLE}
                },
            },
            "offline-jobs": {"nodeSelector": _HERE, "resources": _LITTLE},
        },
        "charts": {"volcano": str(volcano), "jupyterhub": str(HUB_CHART)},
    }


def read_hub_values(folder: Path, address: str) -> dict[str, Any]:
    """What the hub's chart gets on a bed, as helm merges it; without any cluster."""
    settings = write_settings(folder, build_settings(folder, folder, address))
    deployment = Deployment(settings, Tools(), folder / "values", lambda line: None)
    merged: dict[str, Any] = {}
    for path in deployment.list_values("jupyterhub"):
        merged = lay_over(merged, yaml.safe_load(path.read_text(encoding="utf-8")))
    return merged


def prepare(bed: Bed) -> None:
    """Put Volcano's images into the node, and make what a cluster has before any of this."""
    version = f"v{pins.get_version(_get_family())}"
    archives = volcano_images.get_archives(bed.programs, version)
    for path in archives:
        nodes.load_kept_image(bed, nodes.SESSIONS, path)
    nodes.keep_images(bed, archives)
    folder = get_folder(bed)
    own = (SERVICE_CLAIM, HUB_CLAIM)
    for name in (*list_claims(load_catalogue(real=True)), *own):
        (folder / name).mkdir(parents=True, exist_ok=True)
        # As a file system that enforces this user would.
        os.chown(folder / name, _USER, _GROUP)
    for name in own:
        # A disk goes with its claim and comes anew; a volume of ours remembers the last claim.
        there = bed.client.find(*VOLUME, name_volume(name, NAMESPACE))
        if there and there["status"].get("phase") == "Released":
            bed.client.delete(*VOLUME, there["metadata"]["name"])
    bed.client.apply_all(_build_disk(name, folder / name) for name in own)


def get_folder(bed: Bed) -> Path:
    """Where the volumes of a bed are."""
    return bed.folder / "volumes"


def _build_disk(claim: str, folder: Path) -> Object:
    return build_volume(claim, NAMESPACE, folder, mode="ReadWriteOnce")


def _get_family() -> pins.Family:
    return next(each for each in pins.FAMILIES if each.name == "volcano-images")
