"""Logins by OpenID Connect: any certified provider, Cognito's user pools, Entra ID.

All that is written of the provider is its issuer; the rest it tells itself. Claims are taken from
the ID token and the userinfo endpoint together, since providers differ in where they have groups.
Looking again goes by the refresh token first: an ID token tells what was true when it was made, and
one that is over says nothing at all.

Sources: https://openid.net/specs/openid-connect-core-1_0.html,
https://openid.net/specs/openid-connect-discovery-1_0.html,
https://openid.net/specs/openid-connect-rpinitiated-1_0.html
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import jwt
from oauthenticator.oauth2 import (
    OAuthCallbackHandler,
    OAuthLoginHandler,
    OAuthLogoutHandler,
    _deserialize_state,
)
from tornado.httputil import url_concat

from hub_config.logins.failures import Denied, LoginNeeded, ProviderAway, asking
from hub_config.logins.membership import AuthModel, AuthState, GroupLogin
from hub_config.platform.login import COGNITO, ENTRA

#: What is asked for, and what else where the provider has it: a refresh token; groups.
_SCOPE = ("openid", "profile", "email")
_FURTHER_SCOPE = ("offline_access", "groups")
_FURTHER_ENDPOINTS = ("userinfo_endpoint", "end_session_endpoint")
#: How far the provider's clock may be from ours, seconds.
_LEEWAY = 60


class OpenIDLoginHandler(OAuthLoginHandler):  # type: ignore[misc]  # OAuthenticator has no types
    """Sends the browser to the provider."""

    async def get(self) -> None:
        """Find out where that is first."""
        await self.authenticator.discover()
        super().get()

    def authorize_redirect(self, *, extra_params: dict[str, str], **words: Any) -> None:
        """Ask for an ID token that belongs to this browser's sign-in.

        The challenge is a hash of what only this browser's cookie has, which is all that a nonce
        has to be.
        """
        extra_params["nonce"] = extra_params["code_challenge"]
        super().authorize_redirect(extra_params=extra_params, **words)


class OpenIDLogoutHandler(OAuthLogoutHandler):  # type: ignore[misc]
    """Ends the sign-in at the provider as well, or the next person here would be the last one."""

    async def render_logout_page(self) -> None:
        """Send the browser to the provider's own page for that, where it has one."""
        login: OpenIDLogin = self.authenticator
        with suppress(ProviderAway):
            await login.discover()
        if not login.end_session_url:
            await super().render_logout_page()
            return
        back = urljoin(login.oauth_callback_url, "login")
        asked = {"client_id": login.client_id, "post_logout_redirect_uri": back}
        if login.login.provider == COGNITO:
            asked = {"client_id": login.client_id, "logout_uri": back}
        self.redirect(url_concat(login.end_session_url, asked))


class OpenIDLogin(GroupLogin):
    """Signs in people by OpenID Connect."""

    login_handler = OpenIDLoginHandler
    logout_handler = OpenIDLogoutHandler
    #: OAuthenticator's trait, empty until the provider has told.
    token_url: str
    #: The provider's page that ends its own session; empty where it has none.
    end_session_url = ""

    async def discover(self) -> None:
        """Learn from the provider where to ask what; once, as soon as it answers.

        Raises:
            ProviderAway: it does not, or it is not the one that was meant.
        """
        if self.token_url:
            return
        issuer = self.login.issuer
        with asking(self.login.title):
            told = await self.httpfetch(
                f"{issuer.rstrip('/')}/.well-known/openid-configuration", "what the provider has"
            )
        if not isinstance(told, dict) or told.get("issuer") != issuer or not is_safe(told, issuer):
            other = told.get("issuer") if isinstance(told, dict) else None
            self.log.error("login.issuer is %s, and what is there says it is %s", issuer, other)
            raise ProviderAway(self.login.title)
        self.authorize_url = told["authorization_endpoint"]
        self.userdata_url = (
            "" if self.login.provider == ENTRA else told.get("userinfo_endpoint", "")
        )
        self.end_session_url = told.get("end_session_endpoint", "")
        self.basic_auth = "client_secret_post" not in told.get(
            "token_endpoint_auth_methods_supported", ()
        )
        has = told.get("scopes_supported", ())
        self.scope = [*_SCOPE, *(each for each in _FURTHER_SCOPE if each in has)]
        self.token_url = told["token_endpoint"]

    async def authenticate(
        self, handler: OAuthCallbackHandler, data: Any = None, **words: Any
    ) -> AuthModel:
        """Who signs in; a hub that has just started asks the provider first where to ask."""
        await self.discover()
        return await super().authenticate(handler, data, **words)

    def check_sign_in(self, handler: OAuthCallbackHandler, model: AuthModel) -> None:
        """Refuse an ID token of another sign-in, and none at all.

        Raises:
            LoginNeeded: it is.
        """
        cookie = _deserialize_state(handler.get_state_cookie())
        digest = hashlib.sha256(str(cookie.get("code_verifier")).encode()).digest()
        nonce = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        claims = model["auth_state"][self.user_auth_state_key]
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            self.log.error("An ID token was for another sign-in than that of %s", model["name"])
            raise LoginNeeded(self.login.title)

    async def renew(self, auth_state: AuthState) -> AuthModel:
        """Who somebody is now, by new tokens; where there is no refresh token, by those at hand."""
        await self.discover()
        if not auth_state.get("refresh_token"):
            return await self.read_person(auth_state["token_response"])
        tokens = await self.renew_tokens(auth_state)
        model = await self.read_person(tokens)
        claims = model["auth_state"][self.user_auth_state_key]
        if not tokens.get("id_token") and self._find_groups(claims) is None:
            # New tokens without an ID token say nothing of groups that stand there alone.
            raise LoginNeeded(self.login.title)
        return model

    async def token_to_user(self, token_info: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says of somebody: its ID token's claims, and userinfo's beside them."""
        claims = self._read_id_token(token_info) if token_info.get("id_token") else {}
        if not self.userdata_url:
            return claims
        told = await super().token_to_user(token_info)
        # Source: OpenID Connect Core 1.0, 5.3.2: one of another account must not be used.
        if not isinstance(told, dict) or claims.get("sub", told.get("sub")) != told.get("sub"):
            self.log.error("%s answered for two accounts at once", self.login.title)
            raise LoginNeeded(self.login.title)
        return {**told, **claims}

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """The name of somebody; an e-mail address only where it is known to be theirs.

        Raises:
            Denied: there is no name, or an address that nobody verified.
        """
        name = super().user_info_to_username(user_info)
        verified = user_info.get("email_verified")
        # Cognito's userinfo has a text for it.
        if self.username_claim == "email" and verified is not True and verified != "true":
            raise Denied(
                f"{self.login.title} has not verified that {name} is your address. Confirm it"
                " there, then sign in again."
            )
        return name

    def list_group_names(self, auth_state: AuthState) -> set[str]:
        """Names of the groups that the claim has.

        Raises:
            Denied: there are too many for a token, so the provider told none.
        """
        claims = auth_state[self.user_auth_state_key]
        # Source: https://learn.microsoft.com/en-us/security/zero-trust/develop/configure-tokens-group-claims-app-roles
        if self.login.groups_claim in (claims.get("_claim_names") or {}) or claims.get("hasgroups"):
            raise Denied(
                f"You are in more groups than {self.login.title} tells the hub. Ask its"
                " administrator to send only the groups that are assigned to this application."
            )
        groups = self._find_groups(claims)
        if isinstance(groups, str):
            return {groups}
        return {each for each in groups if isinstance(each, str)} if groups else set()

    def find_account(self, user_info: Mapping[str, Any]) -> str:
        """The subject, or at Entra, which has another one for each application, the object."""
        subject = user_info["sub"]
        return str(user_info.get("oid", subject) if self.login.provider == ENTRA else subject)

    def _find_groups(self, claims: Mapping[str, Any]) -> list[Any] | str | None:
        """The groups' claim, by its name or by a dotted path to it; ``None`` without one."""
        if self.login.groups_claim in claims:
            found: Any = claims[self.login.groups_claim]
        else:
            found = claims
            for part in self.login.groups_claim.split("."):
                found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, list | str) else None

    def _read_id_token(self, token_info: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of an ID token that came from the provider itself, over TLS.

        That stands for its signature (OpenID Connect Core 1.0, 3.1.3.7, 6).

        Raises:
            LoginNeeded: it is over, of another issuer or for another client.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token_info["id_token"],
                audience=self.client_id,
                issuer=self.login.issuer,
                leeway=_LEEWAY,
                options={
                    "verify_signature": False,
                    "verify_aud": True,
                    "verify_iss": True,
                    "verify_exp": True,
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                },
            )
        except jwt.PyJWTError as error:
            self.log.warning("An ID token cannot be used: %s", type(error).__name__)
            raise LoginNeeded(self.login.title) from error
        return claims


def is_safe(told: Mapping[str, Any], issuer: str) -> bool:
    """Whether a provider's addresses may be sent secrets: with TLS, unless its own has none."""
    schemes = ("https", urlsplit(issuer).scheme)
    addresses = [told.get(each) for each in ("authorization_endpoint", "token_endpoint")]
    addresses += [told[each] for each in _FURTHER_ENDPOINTS if each in told]
    return all(isinstance(each, str) and urlsplit(each).scheme in schemes for each in addresses)
