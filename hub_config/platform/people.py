"""Who somebody is, as far as sessions and jobs are concerned. Pure."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_SLUG_LENGTH = 48
_HASH_LENGTH = 8
_OBJECT_NAME = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Person:
    """A user.

    Attributes:
        name: the hub's name of the user.
        groups: names of the groups that the login gave; those the catalogue lacks count nothing.
        home: safe slug of the name, folder or sub-path of the home (:func:`home_slug`).
        admin: administrator of the hub.
    """

    name: str
    groups: frozenset[str]
    home: str
    admin: bool = False


def build_person(name: str, groups: Iterable[str], admin: bool = False) -> Person:
    """The person with this name and these groups."""
    return Person(name=name, groups=frozenset(groups), home=home_slug(name), admin=admin)


def home_slug(name: str) -> str:
    """Folder of a user's home: a DNS label of at most 48 characters, for any name.

    A name that is such a label (and has no ``--``) stays as it is; any other is cleaned and gets a
    hash of the whole name after ``---``, so that two names never share a home. It is what
    KubeSpawner calls a safe slug, so homes and pods are named alike.

    Source: https://github.com/jupyterhub/kubespawner/blob/7.1.0/kubespawner/slugs.py
    """
    if len(name) <= _SLUG_LENGTH and "--" not in name and _OBJECT_NAME.fullmatch(name):
        return name
    length = _SLUG_LENGTH - _HASH_LENGTH - len("---")
    # A lone surrogate is no valid text, but must not be a traceback either.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
    readable = _SEPARATORS.sub("-", name.lower()).lstrip("-")[:length].rstrip("-")
    if readable and not "a" <= readable[0] <= "z":
        readable = f"x-{readable[: length - 2]}"
    return f"{readable or 'x'}---{digest}"
