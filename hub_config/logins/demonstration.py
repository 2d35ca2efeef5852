"""The demonstration login: three known users with one known password.

For one person on one machine. All its users share one operating-system user, so it refuses to
serve anything but loopback: at the start (:func:`require_loopback`) and again at each sign-in, by
the name that the browser asked for, since a foreign page can make its own name resolve to
loopback. Used by :mod:`hub_config.apply`.
"""

import hmac
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.auth import Authenticator
from tornado.web import RequestHandler
from traitlets import default

from hub_config.logins.demonstration_users import PASSWORD, USERS
from hub_config.platform.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, no port) is this machine seen from itself.

    So are all names below ``localhost``: browsers ask nobody for them.

    Source: https://www.rfc-editor.org/rfc/rfc6761#section-6.3
    """
    if f".{host.lower()}".endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_loopback(host: str) -> None:
    """Refuse an address that others can reach.

    Raises:
        ConfigurationError: when ``host`` is not a loopback address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"The demonstration login has one password that everybody knows, so the hub must"
            f" listen on a loopback address such as 127.0.0.1, not on {host!r}."
        )


class DemonstrationAuthenticator(Authenticator):  # type: ignore[misc]  # JupyterHub has no types
    """Signs in the demonstration users; the groups come with the login."""

    @default("manage_groups")
    def _default_manage_groups(self) -> bool:
        return True

    @default("allow_all")
    def _default_allow_all(self) -> bool:
        return True  # whoever passes `authenticate` is one of the known users

    async def authenticate(
        self, handler: RequestHandler, data: dict[str, str]
    ) -> dict[str, Any] | None:
        """The user's name, groups and whether an administrator; ``None`` when refused."""
        host = urlsplit(f"//{handler.request.host}").hostname or ""
        if not is_loopback(host):
            self.log.warning("Demonstration login refused: it was asked for by another name")
            return None
        user = next((user for user in USERS if user.name == data.get("username")), None)
        password = data.get("password", "").encode()
        if user is None or not hmac.compare_digest(password, PASSWORD.encode()):
            return None
        return {"name": user.name, "groups": list(user.groups), "admin": user.admin}
