"""Logins at registries: those that docker, podman and buildah keep on this machine, read only.

Place in the path: `push` and `mirror` read a registry by the login with which the builder pushes; a
login that they fetched themselves the builder gets in a file that is gone afterwards, at the latest
when one of them runs again. Standard library only.

Source: https://docs.docker.com/reference/cli/docker/login/ and
https://github.com/containers/image/blob/v5.23.1/docs/containers-auth.json.5.md
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from images._tool.registry import Login
from images._tool.steps import StepFailed

#: How folders of lent logins are called, before the number of the process that lends.
LENT = "notebook-hpc-login-"


def find_login(host: str, environ: Mapping[str, str]) -> Login | None:
    """Find the login that somebody has made for a registry; None when there is none.

    Raises:
        StepFailed: a file with logins cannot be read, or the program that keeps them fails.
    """
    for path in list_files(environ):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise StepFailed(f"{path} with the logins of registries cannot be read") from error
        if login := _find(found, host):
            return login
    return None


def list_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """List the files where builders keep logins, those that they ask first first."""
    home = Path(environ.get("HOME") or "~").expanduser()
    if named := environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    else:
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid()}"
        yield Path(runtime) / "containers" / "auth.json"
        yield Path(runtime) / "auth.json"
        yield home / ".config" / "containers" / "auth.json"
    yield Path(environ.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


@contextmanager
def lend_login(host: str, login: Login) -> Iterator[Path]:
    """Give a file of one login, for us alone, as builders read it; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{LENT}{os.getpid()}-") as folder:
        path = Path(folder, "config.json")
        path.touch(mode=0o600)
        path.write_text(json.dumps({"auths": {host: {"auth": login.encoded}}}), encoding="utf-8")
        yield path


def clear_lent() -> None:
    """Remove the logins of runs that were killed: their folders are named by their process."""
    for folder in Path(tempfile.gettempdir()).glob(f"{LENT}*-*"):
        process = folder.name.removeprefix(LENT).partition("-")[0]
        try:
            is_ours = folder.lstat().st_uid == os.getuid()
        except FileNotFoundError:
            continue
        if is_ours and not _is_running(process):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _find(found: Any, host: str) -> Login | None:
    helper = found.get("credHelpers", {}).get(host) or found.get("credsStore")
    if helper and (login := _ask_helper(helper, host)):
        return login
    encoded = found.get("auths", {}).get(host, {}).get("auth")
    if not encoded:
        return None
    name, _, password = base64.b64decode(encoded).decode().partition(":")
    return Login(name, password)


def _ask_helper(helper: str, host: str) -> Login | None:
    """Ask a program that keeps logins; it says with an exit code that it has none."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"], input=host, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise StepFailed(f"{program}, which keeps logins, cannot be started") from error
    if done.returncode:
        return None
    said = json.loads(done.stdout)
    return Login(said["Username"], said["Secret"])
