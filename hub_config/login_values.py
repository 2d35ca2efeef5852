"""Who may sign in, from the chart's values: ``custom.login``, or an authenticator of another kind.

Used by :mod:`hub_config.values`. No default is safe, so whoever says nothing gets no hub, and
neither does who lets in people whom the login puts into no group: nobody could start anything.
"""

from collections.abc import Mapping
from typing import Any

from hub_config.chart import ChartValues, split_url
from hub_config.logins.demonstration import is_loopback
from hub_config.logins.providers import GOOGLE_KEY
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.entry import Entry, Report
from hub_config.platform.located import wrap
from hub_config.platform.login import GOOGLE, Login, read_login

CRYPT_KEYS = "hub.config.CryptKeeper.keys"
PUBLIC_URL = "hub.config.JupyterHub.public_url"
_LOGIN = "custom.login"
_AUTHENTICATOR = "hub.config.JupyterHub.authenticator_class"
_CLIENT_SECRET = "hub.config.OAuthenticator.client_secret"  # noqa: S105  (a key's name)

#: Authenticators for which nobody has to prove who they are, or nobody can: name, or end of it.
_NO_LOGINS = {
    "dummy": "lets anyone in as anyone",
    "dummyauthenticator": "lets anyone in as anyone",
    "shared-password": "lets anyone who knows one password in as anyone",
    "sharedpasswordauthenticator": "lets anyone who knows one password in as anyone",
    "null": "lets nobody in",
    "nullauthenticator": "lets nobody in",
}
_LOGIN_MEND = (
    "say in custom.login where people sign in and which of the provider's groups count"
    " (docs/logins.md), or for a trial on this machine: demonstration"
)
_PLACE_OF_SECRETS = "it belongs into the Secret that hub.existingSecret names (docs/logins.md)"
#: Of any authenticator: it lets in whom nobody put into a group.
_OPEN = ("allow_all", "allow_existing_users")


def find_login(read: ChartValues, catalogue: Catalogue, secrets: Mapping[str, str]) -> Login | None:
    """The provider where people sign in, if the values name one."""
    written = read.find(_LOGIN)
    if not isinstance(written, Mapping):
        return None
    report = Report()
    login = read_login(Entry(_LOGIN, wrap(written), report), catalogue.groups or None)
    for mistake in report.mistakes:
        read.refuse(mistake.key, mistake.message)
    # The chart's default, which stays where nobody chose, is no choice.
    if read.get(_AUTHENTICATOR, "") not in ("", "dummy"):
        read.refuse(_AUTHENTICATOR, f"is not used with {_LOGIN}; keep one")
    if split_url(read.get(PUBLIC_URL, "")) is None:
        read.refuse(PUBLIC_URL, "must be where browsers find the hub, as in https://HOST")
    if not read.get(_CLIENT_SECRET, ""):
        read.refuse(_CLIENT_SECRET, f"is missing: {_PLACE_OF_SECRETS}")
    if not secrets.get(CRYPT_KEYS):
        read.refuse(CRYPT_KEYS, "is missing in the chart's Secret, which makes one itself")
    if login.provider == GOOGLE and not secrets.get(GOOGLE_KEY):
        read.refuse(
            _LOGIN, f"needs the service account's key, as {GOOGLE_KEY}: {_PLACE_OF_SECRETS}"
        )
    return None if report.mistakes else login


def find_demonstration_host(read: ChartValues) -> str | None:
    """Where the demonstration login is reached, if the values ask for it."""
    if isinstance(read.find(_LOGIN), Mapping):
        return None
    login = read.get(_LOGIN, "")
    authenticator = read.get(_AUTHENTICATOR, "")
    if login == "demonstration":
        # The chart's default, which stays where nobody chose, is no choice.
        if authenticator not in ("", "dummy"):
            read.refuse(
                _AUTHENTICATOR, "is not used with custom.login: demonstration; keep one of them"
            )
        url = split_url(read.get(PUBLIC_URL, ""))
        if url is None or not is_loopback(url.hostname or ""):
            read.refuse(
                PUBLIC_URL,
                "must be where a browser on this machine, and no other, finds the hub, for example"
                " http://127.0.0.1:8000: custom.login: demonstration has one password that"
                " everybody knows",
            )
            return ""
        return url.hostname
    if login:
        read.refuse(_LOGIN, f"must be keys with values, demonstration or absent, not {login!r}")
    if not authenticator:
        read.refuse(_LOGIN, f"is missing: {_LOGIN_MEND}")
        return None
    for name, effect in _NO_LOGINS.items():
        # JupyterHub takes its short names in any case; one of a class may have a module before it.
        if authenticator.lower() == name or (
            name.endswith("authenticator") and authenticator.lower().endswith(name)
        ):
            read.refuse(_AUTHENTICATOR, f"{authenticator} {effect}: {_LOGIN_MEND}")
            return None
    _check_groups(read)
    return None


def _check_groups(read: ChartValues) -> None:
    """Note an authenticator that puts nobody into groups, or lets in everybody that it knows."""
    config: Mapping[str, Any] = read.get("hub.config", {})
    sections = {
        name: section
        for name, section in config.items()
        if name.endswith("Authenticator") and isinstance(section, Mapping)
    }
    for name, section in sections.items():
        for trait in _OPEN:
            if section.get(trait):
                read.refuse(
                    f"hub.config.{name}.{trait}",
                    "lets in people whoever they are: let in groups, allowed_groups, or use"
                    " custom.login (docs/logins.md)",
                )
    manages = any(section.get("manage_groups") is True for section in sections.values())
    if not manages and not read.find("hub.config.JupyterHub.load_groups"):
        read.refuse(
            _AUTHENTICATOR,
            "puts nobody into a group, and without one nobody can start anything: use custom.login"
            " (docs/logins.md), or set manage_groups of the authenticator to true and have it tell"
            " groups by the slugs of custom.catalogue.groups, or list people in"
            " hub.config.JupyterHub.load_groups",
        )
