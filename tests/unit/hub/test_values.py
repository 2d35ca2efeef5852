"""The chart's values as settings, and what they make of a blank configuration of JupyterHub."""

import copy
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import sqlalchemy
import yaml
from jupyterhub.utils import subdomain_hook_idna
from oauthenticator import oauth2
from traitlets.config import Config

from cluster.driver import settings as installation
from cluster.driver.charts import build_hub_values
from hub_config.access import build_services
from hub_config.apply import apply
from hub_config.logins.demonstration import DemonstrationAuthenticator
from hub_config.logins.github import GitHubLogin
from hub_config.platform.errors import ConfigurationError
from hub_config.settings import Cluster, Settings
from hub_config.spawners.kubernetes import KubernetesSpawner
from hub_config.unused import UNUSED, Unused
from hub_config.values import load_settings, parse_values, read_values
from tests.factories import make_catalogue
from tests.platform_fixture import ROOT
from tests.skips import require
from tests.unit.hub.idleness import IDLE_SECONDS, assert_used_sessions_stay

VALUES = ROOT / "helm-values" / "jupyterhub.yaml"
SCHEMA = ROOT.parent / "shared" / "data" / "z2jh-4.4.0.values.schema.json"
SECRETS = {
    "hub.config.ConfigurableHTTPProxy.auth_token": "proxy",
    "hub.config.JupyterHub.cookie_secret": "ab" * 32,
    "hub.config.CryptKeeper.keys": "cd" * 32,
    "hub.services.offline-jobs.apiToken": "jobs",
}
AUTHENTICATOR = "hub.config.JupyterHub.authenticator_class"


@pytest.fixture
def shipped() -> dict[str, Any]:
    """Both files merged, as helm does."""
    merged: dict[str, Any] = yaml.safe_load(VALUES.read_text())
    catalogue = yaml.safe_load((ROOT / "helm-values" / "catalogue.yaml").read_text())
    merged["custom"] = {**merged.get("custom", {}), **catalogue["custom"]}
    return merged


@pytest.fixture
def values(shipped: dict[str, Any]) -> dict[str, Any]:
    """What the chart mounts where an administrator has said who may sign in."""
    put(shipped, "hub.config.JupyterHub.public_url", "https://hub.example.org")
    put(shipped, "hub.config.OAuthenticator.client_secret", "secret")
    shipped["custom"]["login"] = {
        "provider": "github",
        "client_id": "notebook-hpc",
        "groups": {"spatial-lab": ["Lab:Spatial"]},
        "administrators": ["lab:platform"],
    }
    return shipped


@pytest.fixture
def settings(values: dict[str, Any]) -> Settings:
    return parse(values)


def parse(values: dict[str, Any]) -> Settings:
    return parse_values(values, secrets=SECRETS, namespace="jupyterhub")


def put(values: dict[str, Any], key: str, value: object) -> None:
    """Set a dotted key."""
    *above, last = key.split(".")
    for part in above:
        values = values.setdefault(part, {})
    values[last] = value


def find_mistakes(values: dict[str, Any]) -> list[str]:
    """What the refusal says, a mistake each."""
    with pytest.raises(ConfigurationError) as refused:
        parse(values)
    return str(refused.value).split("\n- ")[1:]


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


@pytest.mark.parametrize(
    "ingress", [installation.Ingress("alb", "arn:x"), installation.Ingress("nginx", "tls"), None]
)
def test_what_a_deployment_computes_is_valid_for_the_chart(
    values: dict[str, Any], ingress: installation.Ingress | None
) -> None:
    if not SCHEMA.exists():
        require("shared")
    settings = installation.Settings(
        address="https://hub.example.org",
        subdomains=True,
        catalogue_file=Path("catalogue.yaml"),
        catalogue=make_catalogue(),
        registry="registry.example",
        digests={"hub": f"sha256:{'a' * 64}"},
        ingress=ingress,
        storage_class="gp3",
        volumes={},
        values={},
        charts={},
    )

    computed = build_hub_values(settings, values)

    jsonschema.validate(computed, without_required(json.loads(SCHEMA.read_text())))
    assert ("ingress" in computed) is bool(ingress)


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
    assert settings.culler is not None
    assert "--timeout=3600" in settings.culler["command"]


def test_everything_that_is_wrong_is_named_at_once(values: dict[str, Any]) -> None:
    del values["hub"]["services"]["offline-jobs"]["url"]
    values["singleuser"]["startTimeout"] = "long"
    values["custom"]["login"] = "nobody"
    put(values, AUTHENTICATOR, "github")
    values["custom"]["catalogue"]["groups"] = []
    values["cull"] = True

    with pytest.raises(ConfigurationError) as refused:
        parse_values(values, secrets={"hub.config.JupyterHub.cookie_secret": "xyz"}, namespace="x")

    for mistake in (
        "hub.services.offline-jobs.url is missing; it is http://offline-jobs:8081 as a rule.",
        "singleuser.startTimeout must be a whole number, not 'long'.",
        "custom.login must be keys with values, demonstration or absent, not 'nobody'.",
        "hub.config.JupyterHub.authenticator_class puts nobody into a group",
        "cull must be a mapping.",
        "custom.catalogue: groups: ",
        "hub.config.ConfigurableHTTPProxy.auth_token is missing in the chart's Secret.",
        "hub.config.JupyterHub.cookie_secret must be hexadecimal in the chart's Secret.",
        "hub.services.offline-jobs.apiToken is missing in the chart's Secret.",
    ):
        assert str(refused.value).count(f"\n- {mistake}") == 1


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hub.baseUrl", "/notebooks/", "must be /: give the platform a host name of its own"),
        ("hub.baseUrl", 1, "must be text, not 1"),
        ("hub.services.offline-jobs.url", "offline-jobs", "as in http://offline-jobs:8081"),
        ("hub.services.offline-jobs.url", "offline-jobs:8081", "must be scheme, host and port"),
        ("hub.services.offline-jobs.url", "ftp://offline-jobs", "must be scheme, host and port"),
        ("hub.services.offline-jobs.url", "http://jobs:port", "must be scheme, host and port"),
        ("hub.services.offline-jobs.url", "http://jobs:8081/x", "must be scheme, host and port"),
        ("hub.services.offline-jobs.display", False, "is not used: url and apiToken are"),
        ("hub.services.announcements", {"url": "http://a"}, "is not used: add services in hub.ext"),
        ("singleuser.image.pullPolicy", ["a secret"], "must be text."),
        ("singleuser.image.pullPolicy", "Sometimes", "must be IfNotPresent, Always or Never"),
        ("singleuser.startTimeout", 0, "must be at least 1, not 0"),
        ("singleuser.startTimeout", True, "must be a whole number, not True"),
        ("hub.db.type", "oracle", "must be sqlite-pvc, sqlite-memory or postgres"),
        ("hub.db.url", "postgresql://x:secret@y/z", "is not used: hub.db.type sqlite-pvc has its"),
        ("cull.timeout", 0, "must be at least 1, not 0"),
        ("cull.every", -1, "must be at least 1, not -1"),
        ("cull.concurrency", 0, "must be at least 1, not 0"),
        ("cull.maxAge", -5, "must be at least 0, not -5"),
        ("cull.enabled", "no", "must be true or false, not 'no'"),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(
    values: dict[str, Any], key: str, value: object, words: str
) -> None:
    put(values, key, value)

    (mistake,) = find_mistakes(values)

    assert mistake.startswith(f"{key} {words}" if words.startswith(("must", "is")) else key)
    assert words in mistake
    assert "secret" not in mistake


@pytest.mark.parametrize("kind", ["mysql", "other"])
def test_a_database_for_which_the_image_has_no_driver_is_refused(
    values: dict[str, Any], kind: str
) -> None:
    values["hub"]["db"] = {"type": kind, "url": "mysql://hub@database/hub"}

    assert "hub.db.type" in find_mistakes(values)[0]


def test_a_database_of_its_own_needs_its_address(values: dict[str, Any]) -> None:
    values["hub"]["db"] = {"type": "postgres", "url": None}
    assert find_mistakes(values) == ["hub.db.url is missing: hub.db.type postgres needs it."]

    values["hub"]["db"]["url"] = "postgresql+psycopg2://hub@database/hub"
    assert parse(values).database_url == "postgresql+psycopg2://hub@database/hub"


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2"])
def test_postgresql_is_spoken_with_by_the_driver_that_the_image_has(
    values: dict[str, Any], scheme: str
) -> None:
    values["hub"]["db"] = {"type": "postgres", "url": f"{scheme}://hub@database:5432/hub"}
    url = sqlalchemy.make_url(parse(values).database_url)
    assert url.get_dialect().driver == "psycopg2"
    assert (url.username, url.host, url.port, url.database) == ("hub", "database", 5432, "hub")


@pytest.mark.parametrize("url", ["postgres://hub:secret@database/hub", "mysql://secret", "secret"])
def test_another_address_than_postgresql_s_is_refused_without_its_password(
    values: dict[str, Any], url: str
) -> None:
    values["hub"]["db"] = {"type": "postgres", "url": url}
    assert find_mistakes(values) == ["hub.db.url must be postgresql://USER@HOST:5432/DATABASE."]


def test_the_chart_s_own_databases_are_where_the_chart_has_them(values: dict[str, Any]) -> None:
    assert parse(values).database_url == "sqlite:///jupyterhub.sqlite"

    values["hub"]["db"]["type"] = "sqlite-memory"
    assert parse(values).database_url == "sqlite://"


@pytest.mark.parametrize("each", UNUSED, ids=lambda each: each.key)
def test_a_key_without_effect_is_refused(values: dict[str, Any], each: Unused) -> None:
    for harmless in (None, *each.harmless):
        put(values, each.key, harmless)
        assert parse(values)

    put(values, each.key, {"some": "thing"})
    assert find_mistakes(values) == [f"{each.key} is not used: {each.instead}."]


def test_the_chart_s_privileged_container_is_refused(values: dict[str, Any]) -> None:
    values["singleuser"]["cloudMetadata"]["blockWithIptables"] = True

    (mistake,) = find_mistakes(values)

    assert mistake.startswith("singleuser.cloudMetadata.blockWithIptables is not used: set it to f")


@pytest.mark.parametrize(
    "key",
    [
        "KubeSpawner.http_timeout",
        "KubeSpawner.environment",
        "KubeSpawner.image",
        "KubeSpawner.extra_labels",
        "Spawner.default_url",
        "KubernetesSpawner.start_timeout",
        "JupyterHub.tornado_settings",
        "JupyterHub.db_url",
        "JupyterHub.template_vars",
        "ConfigurableHTTPProxy.api_url",
    ],
)
def test_a_trait_that_the_platform_sets_is_refused(values: dict[str, Any], key: str) -> None:
    put(values, f"hub.config.{key}", {"a": "b"})

    (mistake,) = find_mistakes(values)

    assert mistake == (
        f"hub.config.{key} is not used: the platform sets it; change it in hub.extraConfig, which"
        " runs after the platform's own configuration."
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("JupyterHub.admin_access", False),
        ("KubeSpawner.k8s_api_request_timeout", 10),
        ("KubeSpawner.environment", {}),
        ("OAuthenticator.http_request_kwargs", {"proxy_host": "proxy.example.org"}),
        ("GitHubOAuthenticator.github_url", "https://github.example.org"),
        ("Authenticator.admin_users", ["ada"]),
        ("Authenticator.blocked_users", ["eve"]),
    ],
)
def test_a_trait_that_has_an_effect_is_not(values: dict[str, Any], key: str, value: object) -> None:
    put(values, f"hub.config.{key}", value)
    parse(values)


def test_other_names_of_the_chart_s_objects_are_refused(values: dict[str, Any]) -> None:
    values["fullnameOverride"] = "ours"
    (mistake,) = find_mistakes(values)
    assert mistake.startswith("fullnameOverride is not used: the platform knows hub and proxy")


def test_every_key_without_effect_is_one_of_the_chart_s() -> None:
    if not SCHEMA.exists():
        require("shared")
    for each in UNUSED:
        schema = json.loads(SCHEMA.read_text())
        for part in each.key.split("."):
            schema = schema["properties"][part]


def test_sessions_may_outlive_idleness(values: dict[str, Any]) -> None:
    values["cull"] = {"enabled": False}

    settings = parse(values)

    assert settings.culler is None
    services = build_services(
        jobs_url=settings.jobs_url, jobs_token=settings.jobs_token, culler=settings.culler
    )
    assert [each["name"] for each in services] == ["offline-jobs"]


def test_prometheus_has_a_role_where_the_chart_made_its_token(values: dict[str, Any]) -> None:
    c = Config()
    apply(c, parse_values(values, secrets=SECRETS, namespace="jupyterhub"))
    assert "prometheus" not in str(c.JupyterHub.load_roles)

    secrets = {**SECRETS, "hub.services.prometheus.apiToken": "scrapes"}
    apply(c, parse_values(values, secrets=secrets, namespace="jupyterhub"))

    assert c.JupyterHub.services[-1]["api_token"] == "scrapes"
    assert c.JupyterHub.load_roles[-1]["services"] == ["prometheus"]


@pytest.mark.parametrize("idle_seconds", IDLE_SECONDS)
def test_a_used_pod_is_not_taken_for_an_idle_one(values: dict[str, Any], idle_seconds: int) -> None:
    set_idle(values, None)
    put(values, "cull.timeout", idle_seconds)
    settings = parse(values)
    c = Config()
    apply(c, settings)
    assert settings.culler is not None
    assert_used_sessions_stay(c, c.KubernetesSpawner, settings.culler["command"])


def set_idle(values: dict[str, Any], text: str | None) -> None:
    """Have the class with a GPU stop sessions that nobody uses after some time, or never."""
    (gpu,) = [each for each in values["custom"]["catalogue"]["classes"] if each["slug"] == "gpu"]
    gpu["idle_session"] = text


@pytest.mark.parametrize(
    ("idle", "interval"), [("12 min", "180"), ("30 min", "300"), (None, "300")]
)
def test_servers_report_often_enough_for_the_shortest_idle_time(
    values: dict[str, Any], idle: str | None, interval: str
) -> None:
    set_idle(values, idle)
    c = Config()
    apply(c, parse(values))

    assert c.KubernetesSpawner.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == interval


def test_an_idle_time_that_the_culler_does_not_wait_for_is_refused(values: dict[str, Any]) -> None:
    set_idle(values, "2 h")

    (mistake,) = find_mistakes(values)
    assert mistake.startswith(
        "custom.catalogue.classes.gpu.idle_session is longer than cull.timeout"
    )
    put(values, "cull.timeout", 7200)
    assert parse(values)
    put(values, "cull", {"enabled": False, "timeout": 60})
    assert parse(values)


def test_the_culler_takes_the_chart_s_options(values: dict[str, Any]) -> None:
    set_idle(values, None)
    values["cull"] = {
        "enabled": True,
        "timeout": 100,
        "every": 10,
        "concurrency": 3,
        "maxAge": 86400,
        "removeNamedServers": True,
        "users": False,
        "adminUsers": True,
    }
    culler = parse(values).culler
    assert culler is not None
    options = culler["command"][4:]

    assert options == [
        "--timeout=100",
        "--cull-every=10",
        "--concurrency=3",
        "--max-age=86400",
        "--remove-named-servers=True",
    ]
    # The program itself understands them; it does not start, it only says what it was told.
    told = subprocess.run(
        [*culler["command"], "--IdleCuller.show_config_json=True"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (
        json.loads(told.stdout)["IdleCuller"].items()
        >= {
            "timeout": 100,
            "cull_every": 10,
            "concurrency": 3,
            "max_age": 86400,
            "remove_named_servers": True,
        }.items()
    )


def test_as_shipped_nobody_has_been_let_in(shipped: dict[str, Any]) -> None:
    (mistake,) = find_mistakes(shipped)

    assert mistake.startswith("custom.login is missing: say in custom.login where people sign in")
    assert "docs/logins.md" in mistake
    assert "for a trial on this machine: demonstration" in mistake


@pytest.mark.parametrize(
    ("authenticator", "effect"),
    [
        ("dummy", "lets anyone in as anyone"),
        ("Dummy", "lets anyone in as anyone"),
        ("jupyterhub.auth.DummyAuthenticator", "lets anyone in as anyone"),
        ("site.OurDummyAuthenticator", "lets anyone in as anyone"),
        ("shared-password", "lets anyone who knows one password in as anyone"),
        ("null", "lets nobody in"),
        ("jupyterhub.auth.NullAuthenticator", "lets nobody in"),
    ],
)
def test_a_login_that_asks_for_no_proof_is_refused(
    shipped: dict[str, Any], authenticator: str, effect: str
) -> None:
    put(shipped, "hub.config.JupyterHub.authenticator_class", authenticator)

    (mistake,) = find_mistakes(shipped)

    assert mistake.startswith(
        f"hub.config.JupyterHub.authenticator_class {authenticator} {effect}: say in custom.login"
    )


@pytest.mark.parametrize(
    "authenticator", ["github", "generic-oauth", "oauthenticator.github.GitHubOAuthenticator"]
)
def test_any_other_login_is_the_administrator_s_choice(
    shipped: dict[str, Any], authenticator: str
) -> None:
    put(shipped, AUTHENTICATOR, authenticator)
    put(shipped, "hub.config.GitHubOAuthenticator.manage_groups", True)

    settings = parse(shipped)

    assert settings.demonstration_host is None
    assert settings.login is None


def test_a_login_becomes_an_authenticator(values: dict[str, Any]) -> None:
    c = Config()
    # What the chart's own configuration makes of the Secret.
    c.OAuthenticator.client_secret = "secret"
    apply(c, parse(values))

    made = c.JupyterHub.authenticator_class(config=c)

    assert isinstance(made, GitHubLogin)
    assert made.login.groups == {"spatial-lab": ("lab:spatial",)}
    assert made.oauth_callback_url == "https://hub.example.org/hub/oauth_callback"
    assert made.client_secret == "secret"
    assert (made.manage_groups, made.enable_auth_state, made.refresh_pre_spawn) == (True,) * 3
    assert not made.allow_all


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("custom.login.client_id", None, "custom.login.client_id is missing"),
        ("custom.login.groups", {"students": ["a:b"]}, "custom.login.groups.students unknown key"),
        ("hub.config.OAuthenticator.client_secret", "", "the Secret that hub.existingSecret names"),
        ("hub.config.JupyterHub.public_url", "", "must be where browsers find the hub"),
        ("hub.config.Authenticator.allow_all", True, "is not used: the platform sets it"),
        ("hub.config.OAuthenticator.allowed_users", ["eve"], "is not used"),
        ("hub.config.GitHubOAuthenticator.scope", ["repo"], "is not used"),
        ("hub.config.GitHubOAuthenticator.allowed_organizations", ["lab"], "is not used"),
        ("hub.config.OAuthenticator.admin_groups", ["root"], "is not used"),
        ("hub.config.GitHubLogin.auth_refresh_age", 0, "is not used: the platform sets it"),
    ],
)
def test_a_login_that_cannot_work_is_refused_by_its_key(
    values: dict[str, Any], key: str, value: object, words: str
) -> None:
    put(values, key, value)

    (mistake,) = find_mistakes(values)

    assert words in mistake


def test_a_login_needs_what_encrypts_its_tokens(values: dict[str, Any]) -> None:
    without = {key: text for key, text in SECRETS.items() if "CryptKeeper" not in key}

    with pytest.raises(ConfigurationError, match=r"hub\.config\.CryptKeeper\.keys is missing"):
        parse_values(values, secrets=without, namespace="jupyterhub")


def test_google_needs_the_key_of_its_service_account(values: dict[str, Any]) -> None:
    values["custom"]["login"] = {
        "provider": "google",
        "client_id": "notebook-hpc",
        "domain": "lab.example.org",
        "directory_administrator": "hub@lab.example.org",
        "groups": {"spatial-lab": ["spatial@lab.example.org"]},
    }

    (mistake,) = find_mistakes(values)
    assert "needs the service account's key, as google-service-account.json" in mistake


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "puts nobody into a group"),
        ({"GitHubOAuthenticator": {"manage_groups": False}}, "puts nobody into a group"),
        ({"Authenticator": {"manage_groups": True, "allow_all": True}}, "lets in people whoever"),
        (
            {"OAuthenticator": {"manage_groups": True, "allow_existing_users": True}},
            "lets in people whoever they are",
        ),
        ({"Authenticator": {"manage_groups": True}}, ""),
        ({"JupyterHub": {"load_groups": {"teaching": {"users": ["ada"]}}}}, ""),
    ],
)
def test_another_login_puts_people_into_groups_or_is_refused(
    shipped: dict[str, Any], config: dict[str, Any], words: str
) -> None:
    shipped["hub"]["config"] = config
    put(shipped, AUTHENTICATOR, "github")

    if words:
        (mistake,) = find_mistakes(shipped)
        assert words in mistake
    else:
        parse(shipped)


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
    assert once.KubernetesSpawner.environment["OFFLINE_JOBS_URL"] == (
        "http://offline-jobs:8081/services/offline-jobs"
    )


def test_nothing_of_the_chart_s_own_shows_through_a_profile(settings: Settings) -> None:
    # What the chart's configuration has set before ours is read.
    chart = {
        "extra_labels": {"chart": "z2jh"},
        "environment": {"FROM": "the chart"},
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

    # Of two classes' sections the one of the class itself decides, that of its base does not.
    assert chart.keys() <= c.KubernetesSpawner.keys()
    assert c.KubernetesSpawner == blank.KubernetesSpawner


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000/"])
def test_the_demonstration_login_is_for_this_machine(shipped: dict[str, Any], url: str) -> None:
    shipped["custom"]["login"] = "demonstration"
    # The chart's own default is there, too.
    shipped["hub"]["config"] = {"JupyterHub": {"public_url": url, "authenticator_class": "dummy"}}
    c = Config()
    apply(c, parse(shipped))

    assert issubclass(c.JupyterHub.authenticator_class, DemonstrationAuthenticator)


@pytest.mark.parametrize("url", [None, "", "https://hub.example", "127.0.0.1:8000", "http://["])
def test_the_demonstration_login_is_refused_elsewhere(
    shipped: dict[str, Any], url: str | None
) -> None:
    shipped["custom"]["login"] = "demonstration"
    shipped["hub"]["config"] = {"JupyterHub": {"public_url": url}}

    (mistake,) = find_mistakes(shipped)

    assert mistake.startswith("hub.config.JupyterHub.public_url must be where a browser on this")
    assert "http://127.0.0.1:8000" in mistake


def test_there_is_one_login(values: dict[str, Any]) -> None:
    put(values, AUTHENTICATOR, "github")
    assert find_mistakes(values) == [f"{AUTHENTICATOR} is not used with custom.login; keep one."]

    values["custom"]["login"] = "demonstration"
    put(values, "hub.config.JupyterHub.public_url", "http://127.0.0.1:8000")
    assert find_mistakes(values) == [
        "hub.config.JupyterHub.authenticator_class is not used with custom.login: demonstration;"
        " keep one of them."
    ]


def put_subdomains(values: dict[str, Any]) -> None:
    put(values, "hub.config.JupyterHub.public_url", "https://hub.example/")
    put(values, "hub.config.JupyterHub.subdomain_host", "https://hub.example")
    put(values, "proxy.chp.extraCommandLineFlags", ["--host-routing"])


@pytest.fixture
def state_cookie(monkeypatch: pytest.MonkeyPatch) -> str:
    """What OAuthenticator calls the cookie of a sign-in, in a process that applied nothing yet."""
    name = "oauthenticator-state"
    monkeypatch.setattr(oauth2, "STATE_COOKIE_NAME", name)
    return name


def test_users_have_hosts_of_their_own_and_the_service_too(
    values: dict[str, Any], state_cookie: str
) -> None:
    put_subdomains(values)
    c = Config()
    apply(c, parse(values))

    # No page of a user's server can begin a sign-in in another's browser.
    assert f"__Host-{state_cookie}" == oauth2.STATE_COOKIE_NAME
    assert c.JupyterHub.subdomain_host == "https://hub.example"
    assert c.JupyterHub.template_vars["home"] == "https://hub.example/hub/home"
    assert c.JupyterHub.cookie_host_prefix_enabled
    ((pattern, _, there),) = c.JupyterHub.extra_handlers
    assert re.findall(pattern, "/services/offline-jobs/jobs/x") == ["jobs/x"]
    host = subdomain_hook_idna("offline-jobs", "hub.example", kind="service")
    assert there["url"] == f"https://{host}/services/offline-jobs/{{0}}"


def test_on_one_host_a_cookie_is_not_for_all_of_it(
    values: dict[str, Any], state_cookie: str
) -> None:
    c = Config()
    apply(c, parse(values))

    assert state_cookie == oauth2.STATE_COOKIE_NAME
    assert not c.JupyterHub.cookie_host_prefix_enabled
    assert c.JupyterHub.extra_handlers == []
    assert c.JupyterHub.template_vars["home"] == "/hub/home"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("hub.config.JupyterHub.subdomain_host", "https://other.example", "'https://hub.example'"),
        ("proxy.chp.extraCommandLineFlags", [], "lack --host-routing"),
        ("hub.config.JupyterHub.subdomain_host", "", "have --host-routing"),
    ],
)
@pytest.mark.usefixtures("state_cookie")
def test_subdomains_that_nobody_could_reach_are_refused(
    values: dict[str, Any], key: str, value: object, said: str
) -> None:
    put_subdomains(values)
    put(values, key, value)

    (mistake,) = find_mistakes(values)

    assert said in mistake


def test_a_secret_of_the_administrators_goes_over_the_charts(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    """What is secret in a login is there, and not in a file of values."""
    del values["hub"]["config"]["OAuthenticator"]
    mount, own = tmp_path / "secret", tmp_path / "existing-secret"
    namespace = tmp_path / "namespace"
    namespace.write_text("jupyterhub")
    for folder, whole in (
        (mount, values),
        (own, {"hub": {"config": {"OAuthenticator": {"client_secret": "s"}}}}),
    ):
        folder.mkdir()
        (folder / "values.yaml").write_text(yaml.safe_dump(whole))
    for key, text in SECRETS.items():
        (mount / key).write_text(text)
    (own / "hub.config.ConfigurableHTTPProxy.auth_token").write_text("another")
    (mount / "hub.services.prometheus.apiToken").write_text("scrapes")

    settings = load_settings(mount, namespace_file=namespace)

    assert settings.proxy_token == "another"
    assert settings.metrics_token == "scrapes"
    assert settings.jobs_token == SECRETS["hub.services.offline-jobs.apiToken"]
    assert read_values(mount)["hub"]["config"] == {
        "JupyterHub": {"public_url": "https://hub.example.org"},
        "OAuthenticator": {"client_secret": "s"},
    }


def test_values_of_the_chart_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "existing-secret").mkdir()
    (tmp_path / "existing-secret" / "values.yaml").write_text("{}")

    with pytest.raises(ConfigurationError, match=r"secret/values\.yaml cannot be read"):
        read_values(tmp_path / "secret")
