"""A login at a provider that knows people's groups: the ground of all but the demonstration.

What every provider has in common, over OAuthenticator's classes: the provider's groups become
those of the catalogue, and whoever is in none is refused; a name stays with the account that had it
first; and looking again, minutes later, neither logs everybody out when the provider is away nor
lets somebody stay who is in no group any more. Subclasses say what a provider is asked and how.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from oauthenticator.oauth2 import OAuthenticator
from tornado.httpclient import AsyncHTTPClient
from tornado.web import RequestHandler
from traitlets import Instance, default

from hub_config.logins.failures import Denied, LoginNeeded, ProviderAway, asking
from hub_config.platform.login import Login

#: Where the account is remembered, in what the hub keeps (encrypted) of a user's login.
ACCOUNT = "notebook_hpc_account"
#: How long a provider may take to answer, seconds: somebody waits for their page, and the jobs
#: service, which asks the hub who they are, for 10 s.
PATIENCE = 4.0

AuthState = Mapping[str, Any]
AuthModel = dict[str, Any]


class GroupLogin(OAuthenticator):  # type: ignore[misc]  # OAuthenticator has no types
    """Signs in people whom the provider has in one of the groups that count."""

    login = Instance(Login, help="The provider, and which of its groups count.").tag(config=True)

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self._turns: dict[str, asyncio.Lock] = {}
        self._looks: dict[str, int] = {}

    @default("http_client")
    def _default_http_client(self) -> AsyncHTTPClient:
        patience = {"connect_timeout": PATIENCE, "request_timeout": PATIENCE}
        return AsyncHTTPClient(force_instance=True, defaults=patience)

    @abstractmethod
    def list_group_names(self, auth_state: AuthState) -> set[str]:
        """Names of the groups that somebody has at the provider."""

    @abstractmethod
    def find_account(self, user_info: Mapping[str, Any]) -> str:
        """What the provider gives to one account and never to another."""

    async def authenticate(
        self, handler: RequestHandler, data: Any = None, **words: Any
    ) -> AuthModel:
        """Who signs in.

        Raises:
            Denied: they are in no group that counts, or the name is another account's.
            LoginNeeded: the provider refused the code.
            ProviderAway: it did not answer.
        """
        try:
            with asking(self.login.title):
                model: AuthModel = await super().authenticate(handler, data, **words)
        except ProviderAway as away:
            self.log.error("Nobody can sign in: %s", away.__cause__ or "there was no token")
            raise
        self.check_sign_in(handler, model)
        await self._require_own_name(handler, model)
        if not self._may_in(model):
            self.log.warning("%s is in no group that may sign in", model["name"])
            known = handler.find_user(model["name"])  # type: ignore[attr-defined]
            if known:
                await self._put_out(known, handler, model["auth_state"])
            raise Denied(
                f"You are signed in at {self.login.title} as {model['name']}, and none of your"
                " groups there may use this hub. Ask your group's lead or an administrator of the"
                " hub for access, or sign out and come with another account.",
                self.logout_url(handler.hub.base_url),  # type: ignore[attr-defined]
            )
        return model

    def check_sign_in(self, handler: RequestHandler, model: AuthModel) -> None:
        """Refuse tokens that were not made for this browser's sign-in, where that can be told.

        Raises:
            LoginNeeded: they were made for another.
        """

    async def check_allowed(self, username: str, auth_model: AuthModel | None) -> bool:
        """Whether somebody may in; the hub asks after :meth:`authenticate`, which has refused."""
        return auth_model is not None and self._may_in(auth_model)

    async def get_user_groups(self, auth_state: AuthState) -> frozenset[str]:
        """The catalogue's groups of somebody."""
        return self.login.find_groups(self.list_group_names(auth_state))

    async def update_auth_model(self, auth_model: AuthModel) -> AuthModel:
        """Add whether somebody is an administrator, and which account it is."""
        auth_model = await super().update_auth_model(auth_model)
        auth_state = auth_model["auth_state"]
        if not auth_model["admin"]:
            names = self.list_group_names(auth_state)
            auth_model["admin"] = self.login.is_administrator(names)
        account = self.find_account(auth_state[self.user_auth_state_key])
        auth_state[ACCOUNT] = f"{self.login.issuer or self.login.provider} {account}"
        return auth_model

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """The name of somebody.

        Raises:
            Denied: the provider did not tell the claim.
        """
        name = user_info.get(self.username_claim)
        if not isinstance(name, str) or not name.strip():
            self.log.error(
                "%s did not tell %r; it told %s",
                self.login.title,
                self.username_claim,
                ", ".join(sorted(user_info)),
            )
            raise Denied(
                f"{self.login.title} did not tell the hub your user name. Tell an administrator of"
                " the hub; its log says which claim is missing."
            )
        return name

    async def refresh_user(
        self, user: Any, handler: RequestHandler | None = None, **words: Any
    ) -> AuthModel | bool:
        """Look again who somebody is; requests of one user that come at once look once.

        A provider that takes a refresh token for used would else end the login.

        Returns:
            what has changed; true where nothing can be known now; false for "sign in again".
        """
        looks = self._looks.get(user.name, 0)
        async with self._turns.setdefault(user.name, asyncio.Lock()):
            if self._looks.get(user.name, 0) != looks:
                return True
            return await self._look_again(user, handler)

    async def renew(self, auth_state: AuthState) -> AuthModel:
        """Who somebody is now, by their access token, else by their refresh token.

        Raises:
            Denied: they may not in any more.
            LoginNeeded: neither is worth anything.
            ProviderAway: nothing can be known now.
        """
        try:
            return await self.read_person(auth_state["token_response"])
        except LoginNeeded:
            return await self.read_person(await self.renew_tokens(auth_state))

    async def renew_tokens(self, auth_state: AuthState) -> dict[str, Any]:
        """New tokens for a refresh token.

        Raises:
            LoginNeeded: there is none, or the provider refused it.
            ProviderAway: it did not answer.
        """
        refresh_token = auth_state.get("refresh_token")
        if not refresh_token:
            raise LoginNeeded(self.login.title)
        with asking(self.login.title):
            parameters = self.build_refresh_token_request_params(refresh_token)
            tokens: dict[str, Any] = await self.get_token_info(None, parameters)
        # A provider that lets it be used again may leave it out.
        return {"refresh_token": refresh_token, **tokens}

    async def read_person(self, tokens: Mapping[str, Any]) -> AuthModel:
        """Who has these tokens.

        Raises:
            Denied: somebody who may not in, whatever their groups are.
            LoginNeeded: the provider refused the tokens.
            ProviderAway: it did not answer.
        """
        with asking(self.login.title):
            model: AuthModel = await self._token_to_auth_model(tokens)
        return model

    async def _look_again(self, user: Any, handler: Any) -> AuthModel | bool:
        auth_state = await user.get_auth_state() or {}
        if "token_response" not in auth_state or ACCOUNT not in auth_state:
            return False
        try:
            model = await self.renew(auth_state)
            if not self._may_in(model):
                raise Denied("They are in no group any more that may sign in.")
            if not self.check_blocked_users(model["name"], model):
                raise Denied("They are among blocked_users.")
        except ProviderAway as away:
            self.log.warning("%s stays as it was: %s", user.name, away.__cause__ or away)
            # Those who wait for the turn would wait for the provider one after the other.
            self._looks[user.name] = self._looks.get(user.name, 0) + 1
            return True
        except LoginNeeded:
            await self._forget_tokens(user, auth_state)
            return False
        except Denied as denied:
            self.log.warning("%s is put out: %s", user.name, denied.get_message())
            await self._put_out(user, handler, auth_state)
            return False
        if model["name"] != user.name or model["auth_state"][ACCOUNT] != auth_state[ACCOUNT]:
            self.log.warning("%s is called %s now, and has to sign in", user.name, model["name"])
            await self._forget_tokens(user, auth_state)
            return False
        # Saved while nobody else has the turn: a refresh token is often good for one use.
        await user.save_auth_state(model["auth_state"])
        self._looks[user.name] = self._looks.get(user.name, 0) + 1
        return model

    async def _forget_tokens(self, user: Any, auth_state: AuthState) -> None:
        """Ask the provider nothing more with tokens that it has refused, or has replaced."""
        # Meanwhile somebody may have signed in, with other tokens.
        if await user.get_auth_state() == auth_state:
            await user.save_auth_state({ACCOUNT: auth_state[ACCOUNT]})

    async def _put_out(self, user: Any, handler: Any, auth_state: AuthState) -> None:
        """Take all groups from somebody: they are the hub's word to the jobs service, too."""
        nothing = {ACCOUNT: auth_state[ACCOUNT]}
        model = {"name": user.name, "groups": [], "admin": False, "auth_state": nothing}
        await handler.auth_to_user(model, user)

    async def _require_own_name(self, handler: Any, model: AuthModel) -> None:
        """Refuse a name that another account at the provider, or one elsewhere, had before."""
        known = handler.find_user(model["name"])
        before = (await known.get_auth_state() or {}).get(ACCOUNT) if known else None
        if before not in (None, model["auth_state"][ACCOUNT]):
            self.log.error("%s is another account than the one that had this name", model["name"])
            raise Denied(
                f"The name {model['name']} belongs to another account here than yours at"
                f" {self.login.title}. An administrator of the hub can hand it over."
            )

    @staticmethod
    def _may_in(model: AuthModel) -> bool:
        return bool(model["groups"] or model["admin"])
