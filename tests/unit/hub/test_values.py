"""The chart's values as settings, and what they make of a blank configuration of JupyterHub."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from traitlets.config import Config

from hub_config.apply import apply
from hub_config.errors import CatalogueError, ConfigurationError
from hub_config.settings import Cluster, Settings
from hub_config.spawners.kubernetes import KubernetesSpawner
from hub_config.values import load_settings, parse_values
from tests.platform_fixture import ROOT
from tests.skips import require

VALUES = ROOT / "helm-values" / "jupyterhub.yaml"
SCHEMA = ROOT.parent / "shared" / "data" / "z2jh-4.4.0.values.schema.json"
SECRETS = {
    "hub.config.ConfigurableHTTPProxy.auth_token": "proxy",
    "hub.config.JupyterHub.cookie_secret": "ab" * 32,
    "hub.services.offline-jobs.apiToken": "jobs",
}


@pytest.fixture
def values() -> dict[str, Any]:
    """What the chart mounts: both files merged, as helm does."""
    merged: dict[str, Any] = yaml.safe_load(VALUES.read_text())
    catalogue = yaml.safe_load((ROOT / "helm-values" / "catalogue.yaml").read_text())
    merged["custom"] = {**merged.get("custom", {}), **catalogue["custom"]}
    return merged


@pytest.fixture
def settings(values: dict[str, Any]) -> Settings:
    return parse_values(values, secrets=SECRETS, namespace="jupyterhub")


def without_required(schema: Any) -> Any:
    """The schema for a part of the values: the chart's defaults have what it requires."""
    if isinstance(schema, Mapping):
        return {
            key: without_required(value)
            for key, value in schema.items()
            if not (key == "required" and isinstance(value, list))
        }
    return [without_required(each) for each in schema] if isinstance(schema, list) else schema


def test_the_values_are_valid_for_the_chart(values: dict[str, Any]) -> None:
    if not SCHEMA.exists():
        require("shared")
    schema = without_required(json.loads(SCHEMA.read_text()))

    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**values, "singleUser": {}}, schema)


def test_the_values_hold_no_code(values: dict[str, Any]) -> None:
    hub = values["hub"]

    assert not hub.keys() & {"extraConfig", "extraFiles"}
    assert not values["singleuser"].get("profileList")


def test_settings_come_from_the_chart_s_own_keys(settings: Settings) -> None:
    assert settings.sessions == Cluster(
        "jupyterhub", start_seconds=1200, pull_policy="IfNotPresent"
    )
    assert (settings.proxy_token, settings.jobs_token) == ("proxy", "jobs")
    assert settings.cookie_secret == bytes.fromhex("ab" * 32)
    assert settings.proxy_command == ()
    assert settings.demonstration_host is None
    assert "--timeout=3600" in settings.culler["command"]


def test_everything_that_is_missing_is_named(values: dict[str, Any]) -> None:
    del values["hub"]["services"]["offline-jobs"]["url"]
    values["singleuser"]["startTimeout"] = "long"
    values["custom"]["login"] = "nobody"

    with pytest.raises(ConfigurationError) as refused:
        parse_values(values, secrets={"hub.config.JupyterHub.cookie_secret": "ab"}, namespace="x")

    for mistake in (
        "hub.services.offline-jobs.url is missing",
        "singleuser.startTimeout must be a int, not 'long'",
        "custom.login must be demonstration",
        "the Secret has no hub.config.ConfigurableHTTPProxy.auth_token",
        "the Secret has no hub.services.offline-jobs.apiToken",
    ):
        assert mistake in str(refused.value)


def test_a_catalogue_with_mistakes_stops_the_hub(values: dict[str, Any]) -> None:
    values["custom"]["catalogue"]["images"] = []

    with pytest.raises(CatalogueError):
        parse_values(values, secrets=SECRETS, namespace="jupyterhub")


def test_they_are_read_where_the_chart_mounts_them(
    values: dict[str, Any], settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    for name, text in SECRETS.items():
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "namespace").write_text("jupyterhub")

    assert load_settings(tmp_path, namespace_file=tmp_path / "namespace") == settings


@pytest.mark.parametrize("text", ["{", "", "[1]"])
def test_values_that_cannot_be_read_stop_the_hub(tmp_path: Path, text: str) -> None:
    (tmp_path / "values.yaml").write_text(text)
    (tmp_path / "namespace").write_text("jupyterhub")

    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, namespace_file=tmp_path / "namespace")


def test_applying_twice_changes_nothing(settings: Settings) -> None:
    once, twice = Config(), Config()
    apply(once, settings)
    apply(twice, settings)
    apply(twice, settings)

    assert once == twice
    assert once.JupyterHub.spawner_class is KubernetesSpawner
    assert once.ConfigurableHTTPProxy.should_start is False
    assert once.JupyterHub.cleanup_servers is False
    assert once.Spawner.environment["OFFLINE_JOBS_URL"] == (
        "http://offline-jobs:8080/services/offline-jobs"
    )


def test_nothing_of_the_chart_s_own_shows_through_a_profile(settings: Settings) -> None:
    # What the chart's configuration has set before ours is read.
    chart = {
        "extra_labels": {"chart": "z2jh"},
        "node_selector": {"a": "b"},
        "extra_annotations": {"c": "d"},
        "node_affinity_preferred": [{"weight": 100}],
        "fs_gid": 100,
        "scheduler_name": "user-scheduler",
        "storage_pvc_ensure": True,
        "cmd": ["jupyterhub-singleuser"],
    }
    c, blank = Config(), Config()
    c.KubeSpawner = Config(copy.deepcopy(chart))
    apply(c, settings)
    apply(blank, settings)

    assert c == blank


def test_the_demonstration_login_is_for_loopback_here_too(values: dict[str, Any]) -> None:
    values["custom"]["login"] = "demonstration"
    for url, allowed in (
        ("http://127.0.0.1:8000", True),
        ("https://hub.example", False),
        ("", False),
    ):
        values["hub"]["config"] = {"JupyterHub": {"public_url": url}}
        settings = parse_values(values, secrets=SECRETS, namespace="jupyterhub")
        if allowed:
            apply(Config(), settings)
        else:
            with pytest.raises(ConfigurationError, match="loopback"):
                apply(Config(), settings)
    apply(Config(), dataclasses.replace(settings, demonstration_host=None))
