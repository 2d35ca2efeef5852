"""Who may sign in: what an administrator says of the provider that knows the people.

``login`` of an installation's settings becomes ``custom.login`` of the hub's values; both are read
here, so both refuse the same mistakes. :mod:`hub_config.logins` makes an authenticator of it. Pure.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from hub_config.platform.entry import Entry

GITHUB, GOOGLE, COGNITO, ENTRA, OIDC = PROVIDERS = ("github", "google", "cognito", "entra", "oidc")

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
#: Source: https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc
_ENTRA_ISSUER = "https://login.microsoftonline.com/{}/v2.0"
_TENANT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SAY_TENANT = (
    "write the directory's id, as in 00000000-0000-0000-0000-000000000000; with a word such as"
    " common people of any directory could sign in"
)
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_ADDRESS = re.compile(r"[^\s@]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.IGNORECASE)
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?::[A-Za-z0-9_.-]+)?")
#: Provider → what one of its groups looks like, in a clause; where anything may be one, nothing.
_GROUP_RULES: Mapping[str, tuple[re.Pattern[str], str]] = {
    GITHUB: (
        _TEAM,
        "write ORGANIZATION or ORGANIZATION:TEAM, as they stand in the addresses of their pages",
    ),
    GOOGLE: (_ADDRESS, "write the group's e-mail address"),
}
#: Of which people may take any, or several the same.
_DISPLAY_NAMES = ("name", "given_name", "family_name", "middle_name", "nickname", "profile")


@dataclass(frozen=True)
class Login:
    """A provider, and which of its groups count.

    Attributes:
        provider: one of :data:`PROVIDERS`.
        client_id: the hub's, as it is registered there.
        groups: a group of the catalogue → names of the provider's groups whose people are in it.
        administrators: names of the provider's groups whose people administer the hub.
        issuer: of tokens, for OpenID Connect.
        username: the claim with a person's name, for OpenID Connect.
        groups_claim: the claim with the names of a person's groups, for OpenID Connect.
        domain: of the people, at Google.
        directory_administrator: whom the hub asks Google's directory as, an e-mail address.
    """

    provider: str
    client_id: str
    groups: Mapping[str, tuple[str, ...]]
    administrators: tuple[str, ...] = ()
    issuer: str = ""
    username: str = ""
    groups_claim: str = ""
    domain: str = ""
    directory_administrator: str = ""

    @property
    def title(self) -> str:
        """What people are told that they sign in with."""
        titles = {GITHUB: "GitHub", GOOGLE: "Google", COGNITO: "Cognito", ENTRA: "Microsoft"}
        return titles.get(self.provider) or urlsplit(self.issuer).hostname or "OpenID Connect"

    def find_groups(self, names: Collection[str]) -> frozenset[str]:
        """The groups of the catalogue that somebody is in.

        Args:
            names: of their groups at the provider.
        """
        return frozenset(slug for slug, wanted in self.groups.items() if set(wanted) & set(names))

    def is_administrator(self, names: Collection[str]) -> bool:
        """Whether somebody with these groups at the provider administers the hub."""
        return bool(set(self.administrators) & set(names))


def read_login(entry: Entry, slugs: Collection[str] | None) -> Login:
    """The login that is written; every mistake is noted at its key.

    Args:
        entry: the mapping.
        slugs: of the catalogue's groups; ``None`` where the catalogue cannot be read.
    """
    provider = entry.text("provider", allowed=PROVIDERS)
    client_id = entry.text("client_id")
    below = entry.entry("groups")
    groups = _read_groups(below, provider, slugs) if below else {}
    administrators = _read_names(entry, "administrators", provider, required=False)
    issuer = username = groups_claim = domain = directory_administrator = ""
    match provider:
        case "oidc":
            issuer = _read_issuer(entry)
            username = _read_username(entry, "preferred_username")
            groups_claim = entry.text("groups_claim", "") or "groups"
        case "cognito":
            issuer = _read_issuer(entry)
            # Which Cognito never changes, unlike what people may sign in with.
            username = _read_username(entry, "cognito:username")
            groups_claim = "cognito:groups"
        case "entra":
            issuer = _ENTRA_ISSUER.format(entry.text("tenant", None, _TENANT, _SAY_TENANT))
            username, groups_claim = "preferred_username", "groups"
        case "google":
            domain = entry.text("domain", None, _DOMAIN, "write it as in lab.example.org")
            directory_administrator = entry.text(
                "directory_administrator", None, _ADDRESS, "write the e-mail address"
            )
    # Of an unknown provider nobody knows the keys.
    if provider in PROVIDERS:
        entry.close()
    return Login(
        provider,
        client_id,
        groups,
        administrators,
        issuer,
        username,
        groups_claim,
        domain,
        directory_administrator,
    )


def _read_groups(
    entry: Entry, provider: str, slugs: Collection[str] | None
) -> dict[str, tuple[str, ...]]:
    if slugs is None:
        return {}
    groups = {slug: _read_names(entry, slug, provider) for slug in slugs if entry.has(slug)}
    entry.close()
    if not groups and entry.sound:
        entry.report.add(
            entry.place,
            "is empty, and nobody could start anything: say which of the provider's groups"
            f" {', '.join(slugs)} are",
        )
    return groups


def _read_names(entry: Entry, key: str, provider: str, *, required: bool = True) -> tuple[str, ...]:
    pattern, rule = _GROUP_RULES.get(provider, (None, ""))
    names = entry.texts(key, None if required else (), pattern, rule)
    # Neither organizations nor addresses differ by case, and GitHub and Google tell them in any.
    return tuple(name.lower() for name in names) if pattern else names


def _read_username(entry: Entry, default: str) -> str:
    username = entry.text("username", "") or default
    if username in _DISPLAY_NAMES:
        entry.add(
            "username",
            f"{username} is what people are shown as, and two may have the same: name a claim that"
            f" only one account has, such as {default} or sub",
        )
    return username


def _read_issuer(entry: Entry) -> str:
    issuer = entry.text("issuer")
    try:
        url = urlsplit(issuer)
        host = url.hostname
    except ValueError:
        url, host = urlsplit(""), None
    is_sound = host and not (url.query or url.fragment or url.username)
    if issuer and not (is_sound and url.scheme in ("https", "http")):
        entry.add("issuer", f"must be an address as in https://login.example.org, not {issuer!r}")
    elif issuer and url.scheme == "http" and host not in _LOOPBACK:
        entry.add("issuer", "must begin with https://: whoever is in between could be anybody")
    return issuer
