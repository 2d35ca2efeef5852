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
from http import HTTPStatus

from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from hub_config.shown import ShownError

#: Answers of a provider that say nothing of the person, but "later".
_LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class Denied(ShownError):
    """Somebody may not sign in."""

    def __init__(self, sentence: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, sentence)


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
        refused = HTTPStatus.BAD_REQUEST <= error.code < HTTPStatus.INTERNAL_SERVER_ERROR
        if refused and error.code not in _LATER:
            raise LoginNeeded(title) from error
        raise ProviderAway(title) from error
    except HTTPError as error:
        if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise LoginNeeded(title) from None
        raise ProviderAway(title) from None
    except (OSError, json.JSONDecodeError) as error:
        raise ProviderAway(title) from error
