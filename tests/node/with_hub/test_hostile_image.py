"""A user's image takes no part in what sees everybody's homes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.driver.charts import JOBS_NAMESPACE
from hub_config.platform.choices import Choice
from hub_config.platform.people import build_person
from hub_config.platform.pods import build_pod_fields
from hub_config.platform.workspace import Kind, build_workspace
from tests.bed import archive, nodes
from tests.bed.client import POD
from tests.node.pods import Pods
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")
IMAGE = "localhost/hostile:test"
#: Where a shell-less command is looked for.
PLACES = ("bin/mkdir", "usr/bin/mkdir", "usr/local/bin/mkdir", "probe")


def build_hostile(site: PodSite, person: str) -> dict[str, Any]:
    """The pod of a job with an image that has a program of its own for `mkdir`."""
    catalogue = site.hub.catalogue
    choice = Choice(
        group=catalogue.groups["spatial-lab"],
        image=catalogue.images["notebook"],
        instance_class=catalogue.classes["small"],
    )
    member = build_person(person, ["spatial-lab"], admin=False)
    pod = build_pod_fields(build_workspace(catalogue, member, choice, Kind.JOB))
    (container,) = pod["spec"]["containers"]
    container |= {"name": "hostile", "image": IMAGE, "args": ["message", "ran", "0"]}
    pod["metadata"]["name"] = f"hostile-{person}"
    return {"apiVersion": POD.api_version, "kind": POD.kind, **pod}


def test_its_mkdir_never_runs_and_the_folders_are_the_platforms_work(
    site: PodSite, tmp_path: Path
) -> None:
    probe = site.hub.bed.programs.path("probe")
    saved = tmp_path / "hostile.tar"
    archive.write_image(saved, IMAGE, dict.fromkeys(PLACES, probe), entrypoint=["/probe"])
    nodes.load_image(site.hub.bed, nodes.JOBS, saved)
    pods = Pods(site.client, JOBS_NAMESPACE)

    name = site.client.create(build_hostile(site, "mallory"), JOBS_NAMESPACE)["metadata"]["name"]
    end = pods.wait_for_end(name)

    # As `mkdir` the probe would have ended badly.
    assert (end["exitCode"], end["message"]) == (0, "ran")
    home = site.homes / "mallory"
    assert (home.stat().st_mode & 0o777, home.stat().st_uid) == (0o770, 1000)
    site.client.delete(*POD, name, JOBS_NAMESPACE)
