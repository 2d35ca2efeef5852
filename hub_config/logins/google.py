"""Logins at Google Workspace: the groups are asked of its directory, with a service account.

Source: https://developers.google.com/workspace/admin/directory/reference/rest/v1/groups/list
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from oauthenticator.google import GoogleOAuthenticator
from tornado.httpclient import HTTPClientError
from tornado.httputil import url_concat

from hub_config.logins.failures import Denied, ProviderAway
from hub_config.logins.membership import AuthModel, AuthState, GroupLogin

DIRECTORY = "https://admin.googleapis.com/admin/directory/v1/groups"
#: Beside GoogleOAuthenticator's own, which have lost their domains.
_GROUPS = "directory_groups"


class GoogleLogin(GroupLogin, GoogleOAuthenticator):  # type: ignore[misc]  # it has no types
    """Signs in people of one domain."""

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """The whole address.

        Raises:
            Denied: it is of another domain, or nobody has verified it.
        """
        # Whoever made the account said the address; the domain of the account is Google's word.
        if user_info.get("hd") != self.login.domain:
            raise Denied(
                f"This hub is for accounts of {self.login.domain}. Sign in at Google with yours."
            )
        if user_info.get("verified_email") is not True:
            raise Denied(
                "Google has not verified that the address of your account is yours. Confirm it"
                " there, then sign in again."
            )
        name: str = super().user_info_to_username(user_info)
        # What GoogleOAuthenticator adds and reads.
        user_info["domain"] = self.login.domain
        return name

    async def update_auth_model(self, auth_model: AuthModel) -> AuthModel:
        """Ask the directory for the groups."""
        user_info = auth_model["auth_state"][self.user_auth_state_key]
        user_info[_GROUPS] = await self._fetch_groups(user_info["email"])
        return await super().update_auth_model(auth_model)

    def list_group_names(self, auth_state: AuthState) -> set[str]:
        """The groups' addresses: another domain may have a group with the same first half."""
        return set(auth_state[self.user_auth_state_key][_GROUPS])

    def find_account(self, user_info: Mapping[str, Any]) -> str:
        """The number of the account: an address may be given to somebody else."""
        return str(user_info["id"])

    async def _fetch_groups(self, address: str) -> list[str]:
        """Addresses of the groups that somebody is in, in lower case.

        Raises:
            ProviderAway: the directory does not tell; that says nothing of the person.
        """
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415  (only Google needs it)

        groups: list[str] = []
        page: dict[str, str] = {}
        try:
            # It may wait for Google, and the hub must not.
            credentials = await asyncio.to_thread(self._get_service_credentials, self.login.domain)
            headers = {"Authorization": f"Bearer {credentials[self.login.domain].token}"}
            while True:
                url = url_concat(DIRECTORY, {"userKey": address, **page})
                told = await self.httpfetch(url, "groups of Google's directory", headers=headers)
                groups += [each["email"].lower() for each in told.get("groups", ())]
                if not told.get("nextPageToken"):
                    return groups
                page = {"pageToken": told["nextPageToken"]}
        except (GoogleAuthError, HTTPClientError) as error:
            self.log.error("Google's directory does not tell groups: %s", type(error).__name__)
            raise ProviderAway(self.login.title) from error
