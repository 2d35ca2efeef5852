"""Whose database is on the PostgreSQL server that AWS makes, and what leads them there. Pure.

:mod:`cluster.driver.provision` makes databases, users and Secrets.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cluster.driver.settings import Settings

PORT = 5432
#: Release -> its database and the user who owns that.
DATABASES: Mapping[str, str] = {"jupyterhub": "hub", "offline-jobs": "jobs"}
#: Release -> where its values name a database of the administrator's own.
_OWN = {"jupyterhub": ("hub", "db"), "offline-jobs": ("database",)}
#: What stands for the server before AWS has told its name; nobody ever reaches it.
_UNTOLD = "known-after-40-storage.invalid"


def name_secret(release: str) -> str:
    """The Secret with ``host``, ``password`` and ``url`` of a release's database."""
    return f"{release}-postgresql"


def list_releases(settings: Settings) -> list[str]:
    """Releases whose database is on the server that ``aws: storage: database`` asks for.

    Whose values name another one keeps that.
    """
    storage = settings.aws.storage if settings.aws else None
    if not storage or not storage.database:
        return []
    return [each for each, keys in _OWN.items() if not _find(settings.values.get(each, {}), keys)]


def build_hub_database(settings: Settings) -> dict[str, Any]:
    """Values below ``hub`` that lead to its database; empty where it has none on the server."""
    if "jupyterhub" not in list_releases(settings):
        return {}
    user, host = DATABASES["jupyterhub"], settings.database or _UNTOLD
    secret = {"name": name_secret("jupyterhub"), "key": "password"}
    return {
        "db": {"type": "postgres", "url": build_url(user, f"{host}:{PORT}")},
        # What the library that speaks to the server looks for.
        "extraEnv": {"PGPASSWORD": {"valueFrom": {"secretKeyRef": secret}}},
    }


def build_service_database(settings: Settings) -> dict[str, Any]:
    """Values of the jobs service that lead to its database; empty where it has none there."""
    if "offline-jobs" not in list_releases(settings):
        return {}
    return {"database": {"existingSecret": name_secret("offline-jobs")}}


def build_url(user: str, place: str, password: str = "") -> str:
    """The address of a user's database, reached by TLS."""
    who = f"{user}:{quote(password, safe='')}" if password else user
    return f"postgresql://{who}@{place}/{user}?sslmode=require"


def _find(values: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values
