"""How the times that keep a session alive relate to the time after which it counts as idle."""

from collections.abc import Iterable

from traitlets.config import Config

from offline_jobs.server_extension.activity import LOOK_SECONDS

#: A server's reports are up to a tenth of their interval late.
#: Source: JupyterHub 5.5.4, ``keep_activity_updated`` in jupyterhub/singleuser/extension.py
_LATE = 1.1
IDLE_SECONDS = (60, 100, 3600, 86_400)


def assert_used_sessions_stay(c: Config, spawner: Config, culler: Iterable[str]) -> None:
    """Neither a busy session nor one that cannot be reached for a while is taken for idle."""
    [timeout] = [int(word[10:]) for word in culler if word.startswith("--timeout=")]
    interval = int(spawner.environment["JUPYTERHUB_ACTIVITY_INTERVAL"])
    assert 0 < LOOK_SECONDS + _LATE * interval < timeout
    # A session that lost its route can only be used again once the hub has looked.
    assert 0 < c.JupyterHub.last_activity_interval < timeout
