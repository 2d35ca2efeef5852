"""What can be in the way of a login, and the one place that turns a library's errors into it.

Drawn::

    ShownError              the hub's page says it
    ├── Denied              the provider knows them, and they may not in
    ├── LoginNeeded         the provider does not stand by the sign-in: sign in again
    └── ProviderAway        it does not answer, or nothing that can be understood
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http import HTTPStatus

from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hub_config.shown import ShownError

#: What a provider's token endpoint says of the hub itself, whose settings somebody has to mend.
#: Source: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
_OF_THE_HUB = ("invalid_client", "unauthorized_client")
#: Answers of a provider that say nothing of the person, but "later".
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class Denied(ShownError):
    """Somebody may not sign in.

    With ``sign_out_url`` the page has a way to another account: the provider still knows this one.
    """

    def __init__(self, sentence: str, sign_out_url: str = "") -> None:
        super().__init__(HTTPStatus.FORBIDDEN, sentence)
        if sign_out_url:
            link = f'<a href="{escape(sign_out_url)}">Sign out</a>'
            self.jupyterhub_html_message = f"{escape(sentence)} {link}"


class LoginNeeded(ShownError):
    """What the provider gave is worth nothing, or nothing any more."""

    def __init__(self, title: str) -> None:
        super().__init__(
            HTTPStatus.BAD_REQUEST,
            f"{title} did not confirm this sign-in; it may have been too old, or been used"
            " already. Please sign in again.",
        )


class ProviderAway(ShownError):
    """Nothing can be known of anybody just now."""

    def __init__(self, title: str) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{title} cannot be asked who you are just now. Please try again in a minute.",
        )


@contextmanager
def asking(title: str) -> Iterator[None]:
    """Have whatever goes wrong between hub and provider told as one of ours.

    An error of the library may have a token in its text, and its page would show it.

    Raises:
        LoginNeeded: the provider refused.
        ProviderAway: it did not answer, or no JSON, or no token.
    """
    try:
        yield
    except ShownError:
        raise
    except HTTPClientError as error:
        if is_refusal(error):
            raise LoginNeeded(title) from error
        raise ProviderAway(title) from error
    except HTTPError as error:
        if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise LoginNeeded(title) from None
        raise ProviderAway(title) from None
    except (OSError, json.JSONDecodeError) as error:
        raise ProviderAway(title) from error


def is_refusal(error: HTTPClientError) -> bool:
    """Whether an answer is about the person, and not "later", the provider's trouble or ours.

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
    """
    headers = error.response.headers if error.response else {}
    # GitHub says 403 also to whoever has asked too often.
    is_later = "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"
    if is_later or error.code in _LATER or _find_code(error) in _OF_THE_HUB:
        return False
    return HTTPStatus.BAD_REQUEST <= error.code < HTTPStatus.INTERNAL_SERVER_ERROR


def _find_code(error: HTTPClientError) -> str:
    """The code of an OAuth error; empty without one."""
    try:
        told = json.loads(error.response.body) if error.response else {}
    except ValueError:
        return ""
    return str(told.get("error", "")) if isinstance(told, dict) else ""
