"""A user is deleted where sessions are pods: a pod moves the home, or the user stays."""

from __future__ import annotations

import os

import pytest

from cluster.driver.charts import NAMESPACE
from hub_config.homes import RETIRED
from hub_config.platform.pods import CHECKPOINTS
from tests.bed.client import POD, wait
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")


def test_a_home_is_moved_before_its_users_name_is_free(site: PodSite) -> None:
    site.sign_in("ben")
    admin = site.sign_in("admin")
    home, retired = site.homes / "ben", site.homes / RETIRED
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    checkpoint = site.homes / CHECKPOINTS / "ben" / "k3j9x0a1b2c3"
    checkpoint.mkdir(parents=True)
    for folder in (home, *list(checkpoint.parents)[:2]):
        os.chown(folder, 1000, 100)

    retired.touch()
    refused = admin.api.delete("/hub/api/users/ben", timeout=180)
    retired.unlink()

    assert refused.status_code == 503
    assert "ben was not deleted: the home cannot be put aside" in refused.json()["message"]
    assert admin.api.get("/hub/api/users/ben").status_code == 200
    assert (home / "thesis.txt").exists()

    answer = admin.api.delete("/hub/api/users/ben", timeout=180)

    assert answer.status_code == 204, answer.text
    moved, checkpoints = sorted(retired.glob("ben-20*"))
    assert (moved / "thesis.txt").read_text() == "mine"
    assert not home.exists()
    assert checkpoints.name == f"{moved.name}{CHECKPOINTS}"
    assert (checkpoints / checkpoint.name).is_dir()
    assert not checkpoint.parent.exists()
    assert retired.stat().st_mode & 0o777 == 0o700
    labels = "notebook-hpc/retires=ben"
    wait("no such pod", lambda: not site.client.list(*POD, NAMESPACE, labels=labels), 60)
