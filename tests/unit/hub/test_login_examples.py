"""The examples of `docs/logins.md` and `cluster/settings.yaml`, as settings and as values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.charts import build_hub_values
from cluster.driver.settings import load_settings
from hub_config.logins.providers import build_traits, choose_class
from hub_config.platform.choices import offer
from hub_config.platform.login import PROVIDERS
from hub_config.platform.people import build_person
from hub_config.values import parse_values
from tests.platform_fixture import ROOT
from tests.unit.hub.test_values import SECRETS, VALUES

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
GUIDE = (ROOT / "docs" / "logins.md").read_text(encoding="utf-8")
SETTINGS = yaml.safe_load((ROOT / "cluster" / "settings.yaml").read_text(encoding="utf-8"))
EXAMPLES = [
    *(
        yaml.safe_load(block)["login"]
        for block in re.findall(r"^```yaml\n(login:.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    ),
    SETTINGS["login"],
]


def test_there_is_one_for_each_provider() -> None:
    assert {each["provider"] for each in EXAMPLES} == set(PROVIDERS)


@pytest.mark.parametrize("written", EXAMPLES, ids=lambda each: each["provider"])
def test_an_example_puts_people_into_groups_that_may_start_something(
    written: dict[str, Any], tmp_path: Path
) -> None:
    catalogue = yaml.safe_load((ROOT / "helm-values" / "catalogue.yaml").read_text())
    inner = catalogue["custom"]["catalogue"]
    inner["registry"] = "registry.example"
    for image in (inner["folders_image"], *inner["images"]):
        image["digest"] = DIGEST
    (tmp_path / "catalogue.yaml").write_text(yaml.safe_dump(catalogue))
    digests = {"hub": DIGEST, "jobs-service": DIGEST}
    settings_file = tmp_path / "settings.yaml"
    settings_file.write_text(
        yaml.safe_dump(
            {**SETTINGS, "catalogue": "catalogue.yaml", "digests": digests, "login": written}
        )
    )
    shipped = yaml.safe_load(VALUES.read_text())
    computed = build_hub_values(load_settings(settings_file), shipped)
    values = {**shipped, "custom": {**catalogue["custom"], **computed["custom"]}}
    values["proxy"]["chp"] |= computed["proxy"]["chp"]
    values["hub"]["config"] = {
        **computed["hub"]["config"],
        "OAuthenticator": {"client_secret": "secret"},
    }
    secrets = {**SECRETS, "google-service-account.json": "{}"}

    settings = parse_values(values, secrets=secrets, namespace="jupyterhub")

    login = settings.login
    assert login is not None
    # It is what JupyterHub takes: each trait is one, and of its type.
    made = choose_class(login)(**build_traits(login, "https://hub.example.org/hub/oauth_callback"))
    assert made.manage_groups
    assert not made.allow_all
    for slug, names in login.groups.items():
        for name in names:
            groups = login.find_groups([name])
            assert slug in groups

            assert offer(settings.catalogue, build_person("ada", groups), None).pairs
    assert login.is_administrator(login.administrators)
    assert login.find_groups(["Spatial", "spatial-lab", ""]) == frozenset()
