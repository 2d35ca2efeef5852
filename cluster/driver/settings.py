"""What an administrator says of one installation: ``settings.yaml`` → :class:`Settings`.

The form of the file is shown by ``cluster/settings.yaml``. Every mistake is refused with file,
line, key and what is allowed, all of them at once, as the catalogue's are. Pure but for files that
:func:`load_settings` reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cluster.driver.aws_settings import STORAGE_CLASS, Aws, read_aws
from cluster.driver.digests import (
    check_pushed,
    read_charts,
    read_content,
    read_digests,
    read_mirror,
)
from cluster.driver.instance_types import load_types
from cluster.driver.limits import find_impossible
from cluster.driver.volumes import Volume, build_volumes, read_volumes
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.entry import Entry, Report
from hub_config.platform.errors import CatalogueError, Mistake
from hub_config.platform.located import read_text
from hub_config.platform.login import read_login

#: Whose values may be laid over ours.
RELEASES = ("volcano", "platform", "jupyterhub", "offline-jobs")
LOOPBACK = ("127.0.0.1", "localhost")
#: Values of the platform's chart that nobody else may say.
_COMPUTED = {"jobsNamespace", "accounts", "claims", "queues"}
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*)(?::[0-9]{{1,5}})?")
_NUMBERS = re.compile(r"[0-9.]+")
_SAY_INGRESS = (
    "what leads from the address to the proxy? Name its class and certificate, or class: none where"
    " something else does, to Service proxy-public in namespace jupyterhub"
)
#: The hub's own keys for a login of another kind.
_OTHER_LOGINS = ("custom.login", "hub.config.JupyterHub.authenticator_class")


@dataclass(frozen=True)
class Ingress:
    """How browsers get from the address to the proxy.

    Attributes:
        kind: class of the Ingress, such as ``alb`` or ``nginx``.
        certificate: an ARN for ``alb``, else the name of a Secret.
        annotations: over those that the class needs.
    """

    kind: str
    certificate: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """One installation.

    Attributes:
        address: where browsers find the platform, without a slash at the end.
        subdomains: whether each user has a host of their own below it.
        catalogue_file: the catalogue's file, which charts get as it is.
        catalogue: what is in it.
        registry: what it puts before the images' repositories.
        digests: of :data:`.digests.PLATFORM_IMAGES`, by name, each perhaps with its tag before it
            and ``@``; empty in a demonstration.
        ingress: ``None`` where something else leads to the proxy.
        storage_class: of the claims of hub and jobs service; empty for the cluster's default.
        volumes: by the name of the claim; those that AWS has yet to make lack their handle.
        values: over the other values of a chart, by release.
        charts: where a chart is that is not to come from its repository, by release: a path, or
            version and digest of a copy in the registry.
        mirror: images of others in the registry, by the names of ``helm-values/mirror.yaml``, each
            with tag and digest; empty where the charts' own are meant.
        login: who may sign in, as it is written; empty where the values of the hub say so.
        aws: the cluster on AWS; ``None`` where it is there already, or elsewhere.
        database: host of the PostgreSQL server that AWS makes; empty before it has told it.
    """

    address: str
    subdomains: bool
    catalogue_file: Path
    catalogue: Catalogue
    registry: str
    digests: Mapping[str, str]
    ingress: Ingress | None
    storage_class: str
    volumes: Mapping[str, Volume]
    values: Mapping[str, Mapping[str, Any]]
    charts: Mapping[str, str]
    mirror: Mapping[str, str] = field(default_factory=dict)
    login: Mapping[str, Any] = field(default_factory=dict)
    aws: Aws | None = None
    database: str = ""

    @property
    def host(self) -> str:
        """The host name of the address."""
        return urlsplit(self.address).hostname or ""

    @property
    def is_demonstration(self) -> bool:
        """Whether it is reached without TLS, from one machine."""
        return self.address.startswith("http://")


def load_settings(path: Path, *, are_pushed: bool = True) -> Settings:
    """The settings of a file; paths in it start at its folder.

    Args:
        path: the file.
        are_pushed: whether images have to be in a registry, each with its digest.

    Raises:
        CatalogueError: settings or catalogue cannot be read, or have mistakes; all are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise CatalogueError([Mistake("(file)", f"cannot be read: {reason}")], str(path)) from error
    tree, mistakes = read_text(text)
    report = Report(mistakes)
    settings = None
    if not mistakes or tree.value is not None:
        settings = _read(Entry("", tree, report), path.parent, are_pushed=are_pushed)
    if report.mistakes or settings is None:
        raise CatalogueError(sorted(report.mistakes, key=lambda each: each.line), str(path))
    return settings


def _read(top: Entry, folder: Path, *, are_pushed: bool) -> Settings | None:
    address = top.text("address").rstrip("/")
    subdomains = top.flag("subdomains") if top.has("subdomains") else None
    catalogue_file = folder / top.text("catalogue")
    digests = top.entry("digests", required=False)
    ingress = top.entry("ingress", required=False)
    storage = top.entry("storage")
    values = top.entry("values", required=False)
    charts = top.entry("charts", required=False)
    mirror = top.entry("mirror", required=False)
    login = top.entry("login", required=False)
    aws = top.entry("aws", required=False)
    top.close()
    is_demonstration = _check_address(top, address)
    catalogue = _load_catalogue(top, catalogue_file)
    found = read_digests(digests) if digests else {}
    overlays = {each: values.plain(each) for each in RELEASES} if values else {}
    if values:
        values.close()
    for key in sorted(_COMPUTED & overlays.get("platform", {}).keys()):
        top.add(f"values.platform.{key}", "follows from catalogue and settings: say it there")
    _check_login(top, login, catalogue, overlays.get("jupyterhub", {}))
    read_ingress = _read_ingress(ingress) if ingress else None
    cluster = _read_cluster(aws, catalogue, ingress, read_ingress)
    given = _give_volumes(aws, cluster, catalogue)
    storage_class, volumes = read_volumes(storage, catalogue, given) if storage else ("", {})
    if aws and storage_class not in ("", STORAGE_CLASS):
        top.add(
            "storage.class",
            f"no step makes {storage_class}, and disks would wait for it: a cluster of section aws"
            f" has {STORAGE_CLASS}; write that, or leave it out",
        )
    content = read_content(catalogue_file) if catalogue else None
    if is_demonstration and subdomains:
        top.add("subdomains", "are not for a demonstration, which is one person's; take it out")
    if is_demonstration and ingress:
        top.add("ingress", "is not used: a demonstration is reached from one machine; take it out")
    if not is_demonstration and not ingress:
        top.add("ingress", f"is missing: {_SAY_INGRESS}")
    # Not even a demonstration's come to machines of AWS by themselves.
    if content and are_pushed and (aws or not is_demonstration):
        check_pushed(top, content, catalogue_file, found)
    if catalogue is None or content is None:
        return None
    return Settings(
        address,
        not is_demonstration if subdomains is None else subdomains,
        catalogue_file,
        catalogue,
        content.text("registry", "").rstrip("/"),
        found,
        read_ingress,
        storage_class,
        volumes,
        overlays,
        read_charts(charts) if charts else {},
        read_mirror(mirror) if mirror else {},
        top.plain("login") if login and login.sound else {},
        cluster,
    )


def _check_login(
    top: Entry, login: Entry | None, catalogue: Catalogue | None, values: Mapping[str, Any]
) -> None:
    """Note what is wrong with the login; without one the hub would not start."""
    if login:
        read_login(login, catalogue.groups if catalogue else None)
        if not _find(values, "hub.existingSecret"):
            top.add(
                "login",
                "lacks its client's secret: name the Secret that has it, values: {jupyterhub:"
                " {hub: {existingSecret: NAME}}} (docs/logins.md)",
            )
    elif not any(_find(values, key) for key in _OTHER_LOGINS):
        top.add("login", "is missing: say where people sign in (docs/logins.md)")


def _find(values: Mapping[str, Any], key: str) -> object:
    """The value of a dotted key, if there is one."""
    found: Any = values
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _load_catalogue(top: Entry, path: Path) -> Catalogue | None:
    """The catalogue; its mistakes are noted with those of the settings."""
    if not path.name or path.is_dir():
        return None
    try:
        catalogue = load_catalogue(path)
    except CatalogueError as error:
        for line in error.lines():
            top.add("catalogue", line)
        return None
    for key, sentence in find_impossible(catalogue, load_types()):
        top.add("catalogue", f"{path}: {key}: {sentence}")
    return catalogue


def _check_address(top: Entry, address: str) -> bool:
    """Note what is wrong with the address; return whether it is a demonstration's."""
    if not address:
        return False
    found = _ADDRESS.fullmatch(address)
    if not found:
        top.add("address", f"must be https://HOST, a name without user or path, not {address!r}")
        return False
    scheme, host = found["scheme"], found["host"]
    if scheme == "http" and host not in LOOPBACK:
        top.add(
            "address",
            f"must begin with https://: cookies and tokens would cross the network to {host} in"
            " clear; http:// is for a demonstration on 127.0.0.1",
        )
    if scheme == "https" and _NUMBERS.fullmatch(host):
        top.add("address", f"must have a host name, for which there is a certificate, not {host}")
    return scheme == "http" and host in LOOPBACK


def _read_ingress(entry: Entry) -> Ingress | None:
    """How browsers get here; ``None`` where the class is ``none``: something else leads here."""
    kind = entry.text("class")
    certificate = entry.text("certificate", "")
    ingress = Ingress(kind, certificate, entry.plain("annotations"))
    entry.close()
    if kind == "none":
        return None
    if not certificate and kind:
        what = "the certificate's ARN" if kind == "alb" else "a Secret with the certificate"
        entry.add("certificate", f"is missing: name {what}")
    elif kind == "alb" and not certificate.startswith("arn:"):
        entry.add("certificate", f"must be the certificate's ARN for class alb, not {certificate}")
    return ingress


def _read_cluster(
    entry: Entry | None, catalogue: Catalogue | None, ingress: Entry | None, read: Ingress | None
) -> Aws | None:
    """The cluster on AWS, if one is to be; the certificate has to be of its account."""
    if entry is None:
        return None
    certificate = None
    if ingress and read and read.certificate.startswith("arn:"):
        certificate = ingress, "certificate", read.certificate
    return read_aws(entry, catalogue, certificate)


def _give_volumes(
    entry: Entry | None, aws: Aws | None, catalogue: Catalogue | None
) -> dict[str, Volume] | None:
    """Volumes that need not be written; ``None`` where mistakes hide which these are."""
    if aws and catalogue:
        return build_volumes(aws, catalogue)
    return None if entry and entry.has("storage") else {}
