"""Logins at GitHub: its organizations and teams are the groups.

Source: https://docs.github.com/en/rest (2022-11-28)
"""

from collections.abc import Mapping
from typing import Any

from oauthenticator.github import GitHubOAuthenticator

from hub_config.logins.membership import AuthModel, AuthState, GroupLogin

_ORGANIZATIONS = "organizations"


class GitHubLogin(GroupLogin, GitHubOAuthenticator):  # type: ignore[misc]  # it has no types
    """Signs in members of organizations and teams."""

    async def update_auth_model(self, auth_model: AuthModel) -> AuthModel:
        """Fetch the organizations; the teams are OAuthenticator's to fetch."""
        auth_state = auth_model["auth_state"]
        tokens = auth_state["token_response"]
        found = await self._paginated_fetch(
            f"{self.github_api}/user/orgs?per_page=100",
            tokens["access_token"],
            tokens["token_type"],
        )
        auth_state[_ORGANIZATIONS] = [each["login"] for each in found]
        return await super().update_auth_model(auth_model)

    def list_group_names(self, auth_state: AuthState) -> set[str]:
        """``ORGANIZATION`` and ``ORGANIZATION:TEAM``, in lower case as the settings have them."""
        teams = {f"{each['organization']['login']}:{each['slug']}" for each in auth_state["teams"]}
        return {name.lower() for name in (*teams, *auth_state[_ORGANIZATIONS])}

    def find_account(self, user_info: Mapping[str, Any]) -> str:
        """The number of the account: a name is free again once its owner takes another."""
        return str(user_info["id"])
