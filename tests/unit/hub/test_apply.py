"""Settings, and what they make of a blank configuration of JupyterHub."""

import dataclasses
from pathlib import Path

import pytest
from jupyterhub.scopes import scope_definitions
from traitlets.config import Config

from hub_config.access import build_roles, build_server_scopes, build_services
from hub_config.apply import apply
from hub_config.embedded.machine import Found
from hub_config.embedded.state import prepare_state
from hub_config.embedded.supervisor import PORTS, Order, build_programs
from hub_config.logins.demonstration import is_loopback
from hub_config.platform.catalogue import GIB
from hub_config.platform.errors import CatalogueError, ConfigurationError
from hub_config.settings import Settings, parse_settings
from tests.platform_fixture import ROOT
from tests.unit.hub.idleness import IDLE_SECONDS, assert_used_sessions_stay


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    state = tmp_path / "a state"
    prepare_state(state)
    values = {
        "CATALOGUE": str(ROOT / "helm-values" / "catalogue.yaml"),
        "STATE": str(state),
        "ENVIRONMENTS": str(ROOT / "build" / "environments"),
        "CORES": "2",
        "MEMORY_BYTES": "1024",
        "GPUS": "0",
        "PORT": "8000",
        "HUB_PORT": "8081",
        "PROXY_API_PORT": "8001",
        "SERVICE_PORT": "8082",
        "PROXY_COMMAND": "/a folder/proxy",
    }
    return {f"NOTEBOOK_HPC_{name}": value for name, value in values.items()}


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return parse_settings(environment)


def test_settings_are_parsed_once(settings: Settings) -> None:
    assert settings.hub_bind_url == "http://127.0.0.1:8081"
    assert settings.proxy_command == ("/a folder/proxy",)
    assert settings.demonstration_host == "127.0.0.1"
    assert settings.culler is not None
    tokens = {settings.proxy_token, settings.jobs_token, settings.culler["api_token"]}
    assert len(tokens) == 3


def test_every_missing_setting_is_named(environment: dict[str, str]) -> None:
    del environment["NOTEBOOK_HPC_CORES"]
    environment["NOTEBOOK_HPC_STATE"] = ""

    with pytest.raises(ConfigurationError, match="NOTEBOOK_HPC_STATE, NOTEBOOK_HPC_CORES"):
        parse_settings(environment)


def test_a_number_must_be_one(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="NOTEBOOK_HPC_GPUS must be a whole number"):
        parse_settings({**environment, "NOTEBOOK_HPC_GPUS": "many"})


def test_a_missing_or_empty_secret_is_named(environment: dict[str, str]) -> None:
    secret = Path(environment["NOTEBOOK_HPC_STATE"]) / "secrets" / "proxy-token"
    secret.write_text("\n")
    with pytest.raises(ConfigurationError, match="proxy-token is empty"):
        parse_settings(environment)
    secret.unlink()
    with pytest.raises(ConfigurationError, match="proxy-token cannot be read: No such file"):
        parse_settings(environment)


def test_applying_twice_changes_nothing(settings: Settings) -> None:
    once, twice = Config(), Config()
    apply(once, settings)
    apply(twice, settings)
    apply(twice, settings)

    assert once == twice


@pytest.mark.parametrize("idle_seconds", IDLE_SECONDS)
def test_a_used_session_is_not_taken_for_an_idle_one(
    environment: dict[str, str], idle_seconds: int
) -> None:
    state = Path(environment["NOTEBOOK_HPC_STATE"])
    order = Order(root=ROOT, state=state, port=8000, idle_seconds=idle_seconds)
    ports = dict(zip(PORTS, range(8001, 8005), strict=True))
    _, hub, culler = build_programs(order, ports, Found(2, 4 * GIB, 0), {})
    c = Config()
    apply(c, parse_settings(hub.environment))

    assert_used_sessions_stay(c, c.LocalSpawner, culler.command)


def test_everything_listens_on_loopback(settings: Settings) -> None:
    c = Config()
    apply(c, settings)

    assert c.JupyterHub.bind_url == "http://127.0.0.1:8000"
    assert c.JupyterHub.hub_bind_url == "http://127.0.0.1:8081"
    assert c.ConfigurableHTTPProxy.api_url == "http://127.0.0.1:8001"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "hub.example", "127.0.0.1.x"])  # noqa: S104
def test_the_demonstration_login_is_refused_elsewhere(settings: Settings, host: str) -> None:
    with pytest.raises(ConfigurationError, match="must listen on a loopback address"):
        apply(Config(), dataclasses.replace(settings, demonstration_host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.1.2.3"])
def test_loopback_has_many_names(host: str) -> None:
    assert is_loopback(host)


def test_a_catalogue_with_mistakes_stops_the_hub(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "catalogue.yaml").write_text("custom:\n  catalogue:\n    images: []\n")

    with pytest.raises(CatalogueError):
        parse_settings(environment | {"NOTEBOOK_HPC_CATALOGUE": str(tmp_path / "catalogue.yaml")})


def test_services_and_roles_name_each_other() -> None:
    services = build_services("http://127.0.0.1:1", "one", {"api_token": "two"})
    names = {service["name"] for service in services}

    assert all(set(role.get("services", [])) <= names for role in build_roles())
    assert services[0]["oauth_client_id"] == "service-offline-jobs"
    assert not any("command" in service for service in services)  # none dies with the hub


def test_without_a_culler_there_is_no_role_for_one() -> None:
    services = build_services("http://127.0.0.1:1", "one", None)
    names = {service["name"] for service in services}

    assert names == {"offline-jobs"}
    assert all(set(role.get("services", [])) <= names for role in build_roles(culls=False))


def test_prometheus_reads_what_is_counted_and_nothing_else() -> None:
    services = build_services("http://127.0.0.1:1", "one", None, "three")
    roles = build_roles(culls=False, is_scraped=True)

    assert services[-1] == {"name": "prometheus", "display": False, "api_token": "three"}
    (role,) = (each for each in roles if "prometheus" in each.get("services", []))
    assert role["scopes"] == ["read:metrics"]
    assert "read:metrics" in scope_definitions


def test_nobody_gets_more_than_they_need() -> None:
    scopes = {role["name"]: role["scopes"] for role in build_roles()}

    assert scopes["user"] == ["self", "access:services!service=offline-jobs"]
    assert not [s for s in scopes["offline-jobs"] if not s.startswith(("read:", "list:"))]
    assert "access:services!service=offline-jobs" in build_server_scopes()
    assert "users:activity!user" in build_server_scopes()
