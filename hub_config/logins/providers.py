"""Which authenticator a login is, and what is set of it.

Only :mod:`hub_config.apply`, which writes it, and :mod:`hub_config.values`, which refuses what
would be overruled, import this.
"""

from pathlib import Path
from typing import Any

from hub_config.logins.github import GitHubLogin
from hub_config.logins.google import GoogleLogin
from hub_config.logins.membership import GroupLogin
from hub_config.logins.openid import OpenIDLogin
from hub_config.platform.login import GITHUB, GOOGLE, Login

#: The key of the administrator's Secret with the service account's key; the chart mounts it there.
GOOGLE_KEY = "google-service-account.json"
_GOOGLE_KEY_FILE = Path("/usr/local/etc/jupyterhub/existing-secret") / GOOGLE_KEY
#: How old what is known of somebody may be, seconds, before their next request asks again.
REFRESH_SECONDS = 300


def choose_class(login: Login) -> type[GroupLogin]:
    """The authenticator's class."""
    return {GITHUB: GitHubLogin, GOOGLE: GoogleLogin}.get(login.provider, OpenIDLogin)


def build_traits(login: Login, callback_url: str) -> dict[str, Any]:
    """The traits of the authenticator; its client's secret comes from the chart's configuration.

    Args:
        login: what the administrator says.
        callback_url: of the hub, as it is registered at the provider.
    """
    traits: dict[str, Any] = {
        "login": login,
        "login_service": login.title,
        "client_id": login.client_id,
        "oauth_callback_url": callback_url,
        "enable_pkce": True,
        # What is known of people comes from the provider alone, and comes again.
        "manage_groups": True,
        "enable_auth_state": True,
        "auth_refresh_age": REFRESH_SECONDS,
        "refresh_pre_spawn": True,
        # Nobody may in but by their groups, or as one of JupyterHub's `admin_users`.
        "any_allow_config": True,
        "allow_all": False,
        "allow_existing_users": False,
        "allowed_users": set(),
        # Other ways to say the same, which are set so that nobody else's word waits for an effect.
        "allowed_groups": set(),
        "admin_groups": set(),
        "allowed_scopes": [],
        "auth_state_groups_key": "",
        "refresh_user_hook": None,
    }
    if login.provider == GITHUB:
        # Organizations and teams that are not public.
        traits |= {
            "scope": ["read:org"],
            "populate_teams_in_auth_state": True,
            "allowed_organizations": set(),
        }
    elif login.provider == GOOGLE:
        traits |= {
            "username_claim": "email",
            # Names stay when a second domain comes.
            "strip_domain": False,
            "hosted_domain": [login.domain],
            "google_service_account_keys": {login.domain: str(_GOOGLE_KEY_FILE)},
            "gsuite_administrator": {login.domain: login.directory_administrator.split("@")[0]},
            # Google gives a refresh token to whoever asks for access while nobody is there.
            "extra_authorize_params": {"access_type": "offline", "hd": login.domain},
            "allowed_google_groups": {},
            "admin_google_groups": {},
        }
    else:
        traits["username_claim"] = login.username
        # The provider tells these itself.
        traits |= {"authorize_url": "", "token_url": "", "userdata_url": "", "scope": []}
        traits["userdata_from_id_token"] = False
    return traits
