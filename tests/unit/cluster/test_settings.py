"""An installation's settings: what is read, and that each mistake is named with its mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.driver.__main__ import main
from cluster.driver.settings import Ingress, Settings, load_settings
from cluster.driver.versions import read_mirror_charts, read_mirror_tags
from cluster.driver.volumes import Volume, list_claims
from hub_config.platform.errors import CatalogueError
from tests.bed.overlay import CATALOGUE

EXAMPLE = CATALOGUE.parents[1] / "cluster" / "settings.yaml"
DIGEST = f"sha256:{'0123456789abcdef' * 4}"

Change = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.fixture
def written() -> dict[str, Any]:
    """The example, after an administrator has pushed our images."""
    settings: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    settings["catalogue"] = "mine.yaml"
    settings["digests"] = {"hub": DIGEST, "jobs-service": DIGEST}
    return settings


@pytest.fixture
def pushed() -> dict[str, Any]:
    """The shipped catalogue, after all images were pushed."""
    file: dict[str, Any] = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    catalogue: dict[str, Any] = file["custom"]["catalogue"]
    catalogue["registry"] = "registry.example/lab"
    for image in (catalogue["folders_image"], *catalogue["images"]):
        image["digest"] = DIGEST
    return catalogue


def load(folder: Path, settings: dict[str, Any], catalogue: dict[str, Any]) -> Settings:
    (folder / "mine.yaml").write_text(yaml.safe_dump({"custom": {"catalogue": catalogue}}))
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return load_settings(folder / "settings.yaml")


def test_the_example_is_complete_but_for_what_was_pushed() -> None:
    """Nothing else is wrong with it, and the shipped catalogue has no registry and no digests."""
    with pytest.raises(CatalogueError) as refused:
        load_settings(EXAMPLE)

    assert {each.key for each in refused.value.mistakes} == {
        "catalogue",
        "digests.hub",
        "digests.jobs-service",
    }


def test_a_deployment_begins_with_what_is_noted_of_the_catalogue(
    tmp_path: Path,
    written: dict[str, Any],
    pushed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    load(tmp_path, written, pushed)
    for tool in ("HELM", "KUBECTL"):
        monkeypatch.setenv(tool, str(tmp_path / "missing"))

    assert main(["deploy", "--settings", str(tmp_path / "settings.yaml")]) == 1

    note, error = capsys.readouterr().out.splitlines()
    assert note.startswith("Note: the shares of spatial-lab, gpu-users, teaching may come to")
    assert "missing" in error


def test_what_is_written_is_read(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    pushed["groups"][0].update(buckets=["raw"], service_account="spatial-lab")
    source = {"csi": {"driver": "s3.csi.aws.com", "volumeAttributes": {"bucketName": "raw"}}}
    written["address"] += "/"
    written["storage"]["class"] = "fast"
    written["storage"]["volumes"]["data-raw"] = {
        "source": source,
        "size": "2 GiB",
        "mount_options": ["read-only"],
    }

    settings = load(tmp_path, written, pushed)

    assert settings.address == "https://hub.example.org"
    assert settings.host == "hub.example.org"
    assert not settings.is_demonstration
    assert settings.subdomains
    assert settings.registry == "registry.example/lab"
    assert settings.digests == {"hub": DIGEST, "jobs-service": DIGEST}
    assert settings.storage_class == "fast"
    assert settings.aws is None
    assert settings.volumes["data-raw"] == Volume(source, 2 << 30, ("read-only",))
    assert settings.volumes["homes"].source == written["storage"]["volumes"]["homes"]["source"]
    assert (
        list(settings.volumes) == list_claims(settings.catalogue) == ["homes", "shared", "data-raw"]
    )
    assert settings.ingress == Ingress("alb", written["ingress"]["certificate"])
    assert settings.values["jupyterhub"] == written["values"]["jupyterhub"]
    assert settings.values["volcano"] == {}
    assert settings.login == written["login"]


def test_folders_that_no_group_has_need_no_volume(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    for group in pushed["groups"]:
        group.pop("shared_folder", None)
    del written["storage"]["volumes"]["shared"]

    assert list(load(tmp_path, written, pushed).volumes) == ["homes"]


@pytest.mark.parametrize(
    "values",
    [
        {"custom": {"login": "demonstration"}},
        {"hub": {"config": {"JupyterHub": {"authenticator_class": "ours"}}}},
    ],
)
def test_a_login_may_be_among_the_hub_s_own_values(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any], values: dict[str, Any]
) -> None:
    del written["login"]
    written["values"]["jupyterhub"] = values

    assert load(tmp_path, written, pushed).login == {}


def test_a_demonstration_has_no_ingress(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    """Of a number there is no host, and the API server would refuse it in the third step."""
    written["address"] = "http://127.0.0.1:8000"

    with pytest.raises(CatalogueError, match="ingress: is not used"):
        load(tmp_path, written, pushed)


def test_a_demonstration_needs_neither_registry_nor_digests_nor_ingress(
    tmp_path: Path, written: dict[str, Any]
) -> None:
    shipped = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))["custom"]["catalogue"]
    written["address"] = "http://127.0.0.1:8000"
    section = yaml.safe_load((EXAMPLE.parent / "aws" / "settings.yaml").read_text())["aws"]
    del written["digests"], written["ingress"], written["subdomains"]

    settings = load(tmp_path, written, shipped)
    assert settings.is_demonstration
    assert not settings.subdomains

    # Machines of AWS have no image but what was pushed.
    with pytest.raises(CatalogueError, match="image notebook has no digest: make push"):
        load(tmp_path, {**written, "aws": section}, shipped)

    written["subdomains"] = True
    with pytest.raises(CatalogueError, match="subdomains: are not for a demonstration"):
        load(tmp_path, written, shipped)


def test_hosts_of_their_own_can_be_done_without(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    written["subdomains"] = False

    assert not load(tmp_path, written, pushed).subdomains


@pytest.mark.parametrize(
    ("change", "key", "said"),
    [
        (lambda s, c: s.update(address="hub.example.org"), "address", "https://HOST"),
        (
            lambda s, c: s.update(address="https://hub.example.org/hub"),
            "address",
            "name without user or path",
        ),
        (lambda s, c: s.update(address="https://[hub"), "address", "https://HOST"),
        (lambda s, c: s.update(address="https://u:p@hub.example.org"), "address", "without user"),
        (lambda s, c: s.update(address="https://hub example"), "address", "https://HOST"),
        (lambda s, c: s.update(address="https://hub:port"), "address", "https://HOST"),
        (lambda s, c: s.update(address="https://10.0.0.1"), "address", "must have a host name"),
        (lambda s, c: s.update(subdomains="no"), "subdomains", "must be true or false"),
        (lambda s, c: s["ingress"].update(certificate="tls"), "ingress.certificate", "ARN"),
        (
            lambda s, c: s["storage"]["volumes"]["homes"].update(source={"nsf": {}}),
            "storage.volumes.homes.source",
            "unknown kind nsf; allowed: csi, nfs",
        ),
        (
            lambda s, c: s["storage"]["volumes"].update(shared=s["storage"]["volumes"]["homes"]),
            "storage.volumes.shared.source",
            "is that of homes",
        ),
        (
            lambda s, c: s["values"].update(platform={"jobsNamespace": "other"}),
            "values.platform.jobsNamespace",
            "follows from catalogue and settings",
        ),
        (lambda s, c: s.update(address="http://hub.example.org"), "address", "in clear"),
        (lambda s, c: s.update(adress="x"), "adress", "unknown key; allowed: address, subdomains"),
        (lambda s, c: s.pop("ingress"), "ingress", "what leads from the address"),
        (
            lambda s, c: s["ingress"].pop("certificate"),
            "ingress.certificate",
            "the certificate's ARN",
        ),
        (
            lambda s, c: s.update(ingress={"class": "nginx"}),
            "ingress.certificate",
            "a Secret with the certificate",
        ),
        (lambda s, c: s["digests"].update(hub="0.1.0"), "digests.hub", "sha256:"),
        (lambda s, c: s["digests"].update(hub="a b@" + DIGEST), "digests.hub", "TAG@DIGEST"),
        (
            lambda s, c: s.update(mirror={"vc-scheduler": f"v0.1@{DIGEST}"}),
            "mirror",
            f"lacks copies of {', '.join(f'{s} {t}' for s, t in read_mirror_tags().items())}:",
        ),
        (lambda s, c: s.update(mirror={"nginx": "1"}), "mirror.nginx", "unknown key"),
        (lambda s, c: s["digests"].pop("hub"), "digests.hub", "is missing"),
        (lambda s, c: s.pop("digests"), "digests.jobs-service", "is missing"),
        (lambda s, c: s["digests"].update(proxy=DIGEST), "digests.proxy", "unknown key"),
        (lambda s, c: s["storage"]["volumes"].pop("homes"), "storage.volumes.homes", "homes are"),
        (
            lambda s, c: c["groups"][1].update(buckets=["raw"], service_account="gpu"),
            "storage.volumes.data-raw",
            "bucket raw of group gpu-users",
        ),
        (
            lambda s, c: s["storage"]["volumes"].update({"data-x": {"source": {"nfs": {}}}}),
            "storage.volumes.data-x",
            "unknown key; allowed: homes, shared",
        ),
        (
            lambda s, c: s["storage"]["volumes"]["homes"].update(source={}),
            "storage.volumes.homes.source",
            "one kind of volume",
        ),
        (
            lambda s, c: s["storage"]["volumes"]["homes"].update(source={"nfs": "here"}),
            "storage.volumes.homes.source",
            "one kind of volume",
        ),
        (lambda s, c: s["values"].update(karpenter={}), "values.karpenter", "unknown key"),
        (lambda s, c: s.update(charts={"offline-jobs": "x"}), "charts.offline-jobs", "unknown key"),
        (
            lambda s, c: s.update(charts={"volcano": f"0.1@{DIGEST}"}),
            "charts.volcano",
            f"is a copy of 0.1, not {read_mirror_charts()['volcano']}: make mirror",
        ),
        (
            lambda s, c: s.update(charts={"volcano": "1.15.1@sha256:12"}),
            "charts.volcano",
            "a path, or VERSION@sha256:",
        ),
        (lambda s, c: s.pop("login"), "login", "say where people sign in"),
        (lambda s, c: s["login"].pop("client_id"), "login.client_id", "is missing"),
        (
            lambda s, c: s["login"]["groups"].update(students=["x"]),
            "login.groups.students",
            "unknown key; allowed: spatial-lab, gpu-users, teaching",
        ),
        (lambda s, c: s.update(login="github"), "login", "must be keys with values"),
        (lambda s, c: s["values"].pop("jupyterhub"), "login", "existingSecret"),
        (lambda s, c: c.update(registry=""), "catalogue", "public registry"),
        (
            lambda s, c: c["images"][1].update(digest=""),
            "catalogue",
            "image stomics has no digest: make push IMAGE=stomics",
        ),
        (
            lambda s, c: c["folders_image"].update(digest=""),
            "catalogue",
            "image folders has no digest: make push IMAGE=folders",
        ),
    ],
)
def test_a_mistake_is_named_with_its_mend(
    tmp_path: Path,
    written: dict[str, Any],
    pushed: dict[str, Any],
    change: Change,
    key: str,
    said: str,
) -> None:
    change(written, pushed)

    with pytest.raises(CatalogueError) as refused:
        load(tmp_path, written, pushed)

    (mistake,) = (
        refused.value.mistakes if key != "digests.jobs-service" else (refused.value.mistakes[-1:])
    )
    assert mistake.key == key
    assert said in mistake.message
    assert mistake.line


def test_mistakes_of_every_part_are_named_at_once(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    """Also those of the catalogue, with its own lines."""
    written.update(address="hub.example.org", unknown=1)
    written["digests"]["hub"] = "new"
    written["storage"]["volumes"]["extra"] = {"source": {}}
    pushed["classes"][0]["cores"] = -1

    with pytest.raises(CatalogueError) as refused:
        load(tmp_path, written, pushed)

    keys = {each.key for each in refused.value.mistakes}
    assert keys >= {"address", "unknown", "digests.hub", "catalogue"}
    assert "classes.small.cores" in str(refused.value)


def test_something_else_may_lead_to_the_proxy(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    written["ingress"] = {"class": "none"}

    assert load(tmp_path, written, pushed).ingress is None


def test_all_mistakes_are_named_at_once_with_their_lines(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    written["digests"]["hub"] = "new"
    written["storage"]["volumes"]["homes"]["size"] = "large"

    with pytest.raises(CatalogueError) as refused:
        load(tmp_path, written, pushed)

    lines = (tmp_path / "settings.yaml").read_text().splitlines()
    assert [lines[each.line - 1].strip() for each in refused.value.mistakes] == [
        "hub: new",
        "size: large",
    ]


def test_a_class_that_its_pool_can_never_have_a_machine_for_is_refused(
    tmp_path: Path, written: dict[str, Any], pushed: dict[str, Any]
) -> None:
    """Together with all other mistakes."""
    (pool,) = (each for each in pushed["node_pools"] if each["slug"] == "jobs-gpu")
    pool["limits"]["memory"] = "30 GiB"
    written["storage"]["volumes"]["homes"]["size"] = "large"

    with pytest.raises(CatalogueError) as refused:
        load(tmp_path, written, pushed)

    assert [each.key for each in refused.value.mistakes] == [
        "catalogue",
        "storage.volumes.homes.size",
    ]
    assert refused.value.mistakes[0].message == (
        f"{tmp_path / 'mine.yaml'}: classes.gpu.job: no job of the class could ever start: it buys"
        " g4dn.2xlarge with 32 GiB, and all of jobs-gpu may have 30 GiB: raise"
        " node_pools.jobs-gpu.limits, make the class smaller, or name families with a smaller"
        " machine"
    )


@pytest.mark.parametrize("text", ["", "address: [", "- a list", "\tno: yaml"])
def test_a_file_that_is_no_settings_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)

    with pytest.raises(CatalogueError, match=r"settings\.yaml"):
        load_settings(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.yaml")
