"""The state folder of ``make run``: folders, secrets, ports and the lock.

Everything that must outlive a process is under it; deleting it is a fresh start. Used by the
supervisor.
"""

import fcntl
import json
import os
import random
import secrets
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hub_config.platform.errors import ConfigurationError
from hub_config.settings import LOOPBACK

FOLDERS = ("hub", "service", "service/objects", "homes", "shared", "scratch", "jobs", "logs")
LAST_PORT = 65535
#: Systems give ports above these to whoever asks for any (from 32768 on Linux, 49152 elsewhere), so
#: that none of these is gone between its choice and its use.
_APART = range(20_000, 30_000)
SECRETS = ("proxy-token", "service-token", "culler-token", "run-token-key", "cookie-secret")


def prepare_state(state: Path) -> None:
    """Make the folders and, once, the secrets.

    Raises:
        ConfigurationError: when the folder cannot be made or written, or is something else.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not (state / "secrets").is_dir() and any(state.iterdir()):
            raise ConfigurationError(
                f"{state} holds other things and is no state folder; choose an empty or a new"
                " folder, as in 'make run STATE=folder'."
            )
        make_private(state)
        for name in ("secrets", *FOLDERS):  # secrets first: they tell a state folder
            (state / name).mkdir(parents=True, exist_ok=True)
            make_private(state / name)
        folder = state / "secrets"
        for name in SECRETS:
            make_secret(folder / name)
        probe = state / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {state} cannot be used ({error.strerror}:"
            f" {error.filename}); choose another, as in 'make run STATE=folder'."
        ) from error


def make_private(folder: Path) -> None:
    """Keep other accounts out of a folder of ours, one that is there already too.

    A folder that is everybody's (sticky, as /tmp) stays so; what is made in it is private.
    """
    status = folder.stat()
    if status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX:
        folder.chmod(0o700)


def make_secret(path: Path) -> None:
    """Make a secret of 32 random bytes, in hexadecimal, unless it is there.

    It appears in one step, so an interrupted start leaves none that is empty.
    """
    if path.exists():
        return
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    aside.rename(path)


@contextmanager
def hold_state(state: Path) -> Iterator[None]:
    """Let one supervisor at a time work on a state folder; the lock ends with the process.

    Raises:
        ConfigurationError: when another one holds it.
    """
    with (state / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"Another 'make run' is at work on {state}; end it, or choose another folder,"
                " as in 'make run STATE=folder'."
            ) from error
        yield


def hold_port(port: int) -> socket.socket:
    """Listen on ``port``, so that nobody else is given it meanwhile.

    Raises:
        ConfigurationError: when somebody else has it.
    """
    try:
        return _listen(port)
    except OSError as error:
        raise ConfigurationError(
            f"Port {port} on {LOOPBACK} cannot be used ({error.strerror}); choose another,"
            f" as in 'make run PORT={port + 1 if port < LAST_PORT else port - 1}'."
        ) from error


def choose_ports(state: Path, names: Sequence[str]) -> dict[str, int]:
    """A free port for each name, the same as last time where that is possible.

    Servers and runners that outlived their supervisor know the old ones.
    """
    file = state / "ports.json"
    try:
        known = json.loads(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):
        known = {}
    ports: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in names:
            old = known.get(name)
            listener = _listen_if_free(old) if isinstance(old, int) else None
            # Held until all are chosen, so that no port is given twice.
            held.append(listener or listen_apart())
            ports[name] = held[-1].getsockname()[1]
    finally:
        for listener in held:
            listener.close()
    file.write_text(json.dumps(ports), encoding="ascii")
    return ports


def listen_apart() -> socket.socket:
    """Listen on a port that is free, and that no system gives to whoever asks for any."""
    for port in random.sample(_APART, len(_APART)):
        if listener := _listen_if_free(port):
            return listener
    return _listen(0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except (OSError, OverflowError):  # a number that is no port is an OverflowError
        listener.close()
        raise
    return listener


def _listen_if_free(port: int) -> socket.socket | None:
    try:
        return _listen(port)
    except (OSError, OverflowError):
        return None
