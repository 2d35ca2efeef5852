"""The cookie of a sign-in at a provider, where users have hosts below the hub's.

Only :mod:`hub_config.apply` imports this.
"""

from oauthenticator import oauth2

#: As JupyterHub names its own there: browsers take it from the hub's host alone.
NAME = "__Host-oauthenticator-state"


def protect_sign_in() -> None:
    """Let only the hub's own host begin a sign-in.

    State, code verifier and nonce all come from this one cookie. A page of a user's server could
    else set one of theirs for all hosts, and have whoever looks at it signed in as them.
    OAuthenticator has no setting for its name; JupyterHub gives a cookie that is called so the
    attributes that browsers demand. It is not cleared after use and lasts a day; a code is good for
    one use.
    """
    oauth2.STATE_COOKIE_NAME = NAME
