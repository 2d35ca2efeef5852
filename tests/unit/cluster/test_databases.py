"""Whose database is on the server that AWS makes, and the values that lead there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.driver.aws_storage import Database, Storage
from cluster.driver.charts import build_hub_values, build_service_values
from cluster.driver.databases import build_url
from cluster.driver.deployment import Deployment
from cluster.driver.settings import Settings
from cluster.driver.tools import ToolFailed, Tools
from tests.unit.cluster.test_charts import SHIPPED
from tests.unit.cluster_aws.accounts import make_aws, make_storing

HOST = "lab.abc.eu-central-1.rds.amazonaws.com"


def make_settings(**changes: Any) -> Settings:
    """Settings with a database of AWS, which has told where it is unless told otherwise."""
    aws = make_aws(storage=Storage(database=Database()))
    changes = {"storage_class": "gp3", "database": HOST, **changes}
    return replace(make_storing(aws), **changes)


def read_hub(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = build_hub_values(settings, SHIPPED)["hub"]
    return {key: values[key] for key in ("db", "extraEnv") if key in values}


def test_hub_and_service_are_led_there_by_their_own_secrets() -> None:
    settings = make_settings()
    secret = {"name": "jupyterhub-postgresql", "key": "password"}

    assert read_hub(settings) == {
        "db": {"type": "postgres", "url": f"postgresql://hub@{HOST}:5432/hub?sslmode=require"},
        "extraEnv": {"PGPASSWORD": {"valueFrom": {"secretKeyRef": secret}}},
    }
    assert build_service_values(settings)["database"] == {
        "existingSecret": "offline-jobs-postgresql"
    }


def test_an_address_takes_any_password() -> None:
    assert build_url("jobs", "h:1", "a/b:c@d") == (
        "postgresql://jobs:a%2Fb%3Ac%40d@h:1/jobs?sslmode=require"
    )


@pytest.mark.parametrize(
    ("values", "hub", "service"),
    [
        ({"jupyterhub": {"hub": {"db": {"type": "sqlite-pvc"}}}}, "gp3", True),
        ({"offline-jobs": {"database": {"existingSecret": "mine"}}}, "postgres", False),
        ({"jupyterhub": {"hub": {"labels": {}}}, "offline-jobs": {}}, "postgres", True),
    ],
)
def test_whose_values_name_another_keeps_that(
    values: dict[str, Any], hub: str, service: bool
) -> None:
    settings = make_settings(values=values)

    assert hub in str(read_hub(settings)["db"])
    assert ("extraEnv" in read_hub(settings)) == (hub == "postgres")
    assert ("database" in build_service_values(settings)) == service


def test_where_none_is_asked_for_nothing_leads_anywhere() -> None:
    for storage in (None, Storage()):
        settings = make_settings(aws=make_aws(storage=storage))
        assert "extraEnv" not in read_hub(settings)
        assert "database" not in build_service_values(settings)


@pytest.mark.parametrize("release", ["jupyterhub", "offline-jobs"])
def test_nothing_that_needs_it_is_installed_before_it_is_there(
    tmp_path: Path, release: str
) -> None:
    """With a file on a disk for a while, records would be lost."""
    settings = make_settings(database="")
    deployment = Deployment(settings, Tools(), tmp_path, lambda line: None)

    with pytest.raises(ToolFailed, match="make cluster-up STEP=50-platform` goes on from there"):
        deployment.deploy(release)
    assert "known-after-40-storage.invalid" in read_hub(settings)["db"]["url"]
