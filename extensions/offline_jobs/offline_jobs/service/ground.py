"""What the service stands on: catalogue, secrets, its two ports and the lock of its state.

``__main__.py`` holds it before ``app.py``, whose imports take a second, is even imported: what an
administrator has to mend is said at once.
"""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.errors import CatalogueError
from offline_jobs.service.errors import StartRefused
from offline_jobs.service.settings import Settings, read_secret
from offline_jobs.service.store.lock import hold_state


@dataclass(frozen=True)
class Ground:
    """The catalogue, the secrets, and the bound ports: the public's, the runners', Prometheus'.

    ``database_url`` is empty where the database is a file in the state folder.
    """

    catalogue: Catalogue
    hub_token: str
    run_token_key: str
    database_url: str
    public: socket.socket
    runs: socket.socket
    metrics: socket.socket | None


@contextmanager
def hold_ground(settings: Settings) -> Iterator[Ground]:
    """Read the files, bind the ports and hold the state folder for the length of the context.

    Raises:
        StartRefused: something that the administrator has to mend, in one line.
    """
    catalogue = _load_catalogue(settings)
    hub_token = read_secret(settings.hub_token_file, "HUB_TOKEN_FILE")
    key = read_secret(settings.run_token_key_file, "RUN_TOKEN_KEY_FILE")
    url = settings.database_url_file
    database_url = "" if url is None else read_secret(url, "DATABASE_URL_FILE", least=1)
    with (
        _listen(settings.public_host, settings.public_port, "PUBLIC_PORT") as public,
        _listen(settings.internal_host, settings.internal_port, "INTERNAL_PORT") as runs,
        _listen_for_metrics(settings) as metrics,
        ExitStack() as stack,
    ):
        _hold_state(settings, stack)
        yield Ground(catalogue, hub_token, key, database_url, public, runs, metrics)


def _listen(host: str, port: int, variable: str) -> socket.socket:
    try:
        bound = socket.create_server((host, port), backlog=256)
    except OSError as e:
        raise StartRefused(
            f"Port {port} of {host} cannot be used ({e.strerror}): end what uses it, "
            f"or choose another OFFLINE_JOBS_{variable}."
        ) from e
    bound.setblocking(False)
    return bound


def _listen_for_metrics(settings: Settings) -> AbstractContextManager[socket.socket | None]:
    if settings.metrics_port is None:
        return nullcontext()
    return _listen(settings.metrics_host, settings.metrics_port, "METRICS_PORT")


def _hold_state(settings: Settings, stack: ExitStack) -> None:
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        stack.enter_context(hold_state(settings.state))
    except OSError as e:
        raise StartRefused(
            f"The state folder {settings.state} cannot be written ({e.strerror}): "
            "mend its permissions, or choose another OFFLINE_JOBS_STATE."
        ) from e


def _load_catalogue(settings: Settings) -> Catalogue:
    try:
        return load_catalogue(settings.catalogue)
    except CatalogueError as e:
        raise StartRefused("\n".join(e.lines())) from e
