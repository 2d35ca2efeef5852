"""Catalogues, people, choices and workspaces for tests: valid unless told otherwise.

Each ``make_`` function takes the fields that a test cares about. :func:`make_file` is the same
catalogue as :func:`make_catalogue`, as the mapping that a file would give.
"""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hub_config.platform.catalogue import (
    GIB,
    Catalogue,
    FoldersImage,
    Group,
    Image,
    InstanceClass,
    NodePool,
    Placement,
    Price,
    Queue,
    Taint,
    Toleration,
)
from hub_config.platform.choices import Choice, Machine, Offer, offer
from hub_config.platform.people import Person, build_person
from hub_config.platform.workspace import Kind, Workspace, build_workspace

HOUR = 3600


def make_image(slug: str = "notebook", **changes: Any) -> Image:
    """An image for amd64 with one Python kernel."""
    image = Image(
        slug=slug,
        name=slug.capitalize(),
        description=f"The image {slug}.",
        repository=f"registry.example/{slug}",
        tag="1.0",
    )
    return replace(image, **changes)


def make_pool(slug: str = "sessions", kind: str = "session", **changes: Any) -> NodePool:
    """A pool of general machines that only its own kind tolerates."""
    pool = NodePool(
        slug=slug,
        kind=kind,
        instance_categories=("m", "r"),
        architecture="amd64",
        capacity_types=("on-demand",),
        limits={"cpu": 128.0, "memory": 1024.0 * GIB},
        disk_bytes=640 * GIB,
        labels={"example/pool": slug},
        taints=(Taint("example/dedicated", kind),),
    )
    return replace(pool, **changes)


def make_placement(pool: NodePool, **changes: Any) -> Placement:
    """A placement that fits a pool."""
    placement = Placement(
        node_pool=pool.slug,
        selector=dict(pool.labels),
        tolerations=tuple(Toleration(t.key, t.value, effect=t.effect) for t in pool.taints),
    )
    return replace(placement, **changes)


def make_class(slug: str = "standard", **changes: Any) -> InstanceClass:
    """A class with 2 cores and 4 GiB for the group ``lab``."""
    instance_class = InstanceClass(
        slug=slug,
        name=slug.capitalize(),
        cores=2,
        memory_bytes=4 * GIB,
        architecture="amd64",
        groups=("lab",),
        session=make_placement(make_pool("sessions", "session")),
        job=make_placement(make_pool("jobs", "job")),
        longest_session_seconds=12 * HOUR,
        longest_job_seconds=24 * HOUR,
        scratch_bytes=50 * GIB,
        shared_memory_bytes=GIB,
        price=Price(per_hour=0.1, currency="EUR", date="2026-11-01"),
    )
    return replace(instance_class, **changes)


def make_group(slug: str = "lab", **changes: Any) -> Group:
    """A group with half of the job pool."""
    group = Group(
        slug=slug,
        name=slug.capitalize(),
        queue=Queue(weight=1, capability={"cpu": 64.0, "memory": 512.0 * GIB}),
    )
    return replace(group, **changes)


def make_catalogue(
    *,
    images: Iterable[Image] = (make_image(default=True),),
    classes: Iterable[InstanceClass] = (make_class(default=True),),
    node_pools: Iterable[NodePool] = (make_pool(), make_pool("jobs", "job")),
    groups: Iterable[Group] = (make_group(),),
) -> Catalogue:
    """One image, one class, one group and a pool of each kind."""
    return Catalogue(
        folders_image=FoldersImage("registry.example/folders", "1.0"),
        images={image.slug: image for image in images},
        classes={instance_class.slug: instance_class for instance_class in classes},
        node_pools={pool.slug: pool for pool in node_pools},
        groups={group.slug: group for group in groups},
    )


def make_person(name: str = "ada", groups: Iterable[str] = ("lab",), admin: bool = False) -> Person:
    """A member of ``lab``."""
    return build_person(name, groups, admin)


def make_machine(**changes: Any) -> Machine:
    """A laptop without GPU on which the image ``notebook`` is built."""
    machine = Machine(cores=2, memory_bytes=23 * GIB, gpus=0, images=frozenset({"notebook"}))
    return replace(machine, **changes)


def make_offer(
    catalogue: Catalogue | None = None,
    person: Person | None = None,
    machine: Machine | None = None,
) -> Offer:
    """What a member of ``lab`` may choose on a cluster."""
    return offer(catalogue or make_catalogue(), person or make_person(), machine)


def make_choice(catalogue: Catalogue | None = None, **slugs: str) -> Choice:
    """The catalogue's first group, image and class, or those of the slugs."""
    catalogue = catalogue or make_catalogue()
    return Choice(
        group=catalogue.groups[slugs.get("group") or next(iter(catalogue.groups))],
        image=catalogue.images[slugs.get("image") or next(iter(catalogue.images))],
        instance_class=catalogue.classes[slugs.get("class_") or next(iter(catalogue.classes))],
    )


def make_workspace(
    kind: Kind = Kind.SESSION,
    catalogue: Catalogue | None = None,
    person: Person | None = None,
    **slugs: str,
) -> Workspace:
    """The workspace of ``ada`` with the catalogue's first choice."""
    catalogue = catalogue or make_catalogue()
    return build_workspace(
        catalogue, person or make_person(), make_choice(catalogue, **slugs), kind
    )


_FILE: Mapping[str, Any] = {
    "folders_image": {"repository": "registry.example/folders", "tag": "1.0"},
    "images": [
        {
            "slug": "notebook",
            "name": "Notebook",
            "description": "The image notebook.",
            "repository": "registry.example/notebook",
            "tag": "1.0",
            "default": True,
        }
    ],
    "node_pools": [
        {
            "slug": slug,
            "kind": kind,
            "instance_categories": ["m", "r"],
            "architecture": "amd64",
            "capacity_types": ["on-demand"],
            "limits": {"cpu": 128, "memory": "1 TiB"},
            "disk": "640 GiB",
            "labels": {"example/pool": slug},
            "taints": [{"key": "example/dedicated", "value": kind}],
            "idle": "5 min",
        }
        for slug, kind in (("sessions", "session"), ("jobs", "job"))
    ],
    "classes": [
        {
            "slug": "standard",
            "name": "Standard",
            "cores": 2,
            "memory": "4 GiB",
            "architecture": "amd64",
            "groups": ["lab"],
            "session": {"node_pool": "sessions"},
            "job": {"node_pool": "jobs"},
            "longest_session": "12 h",
            "longest_job": "24 h",
            "scratch": "50 GiB",
            "shared_memory": "1 GiB",
            "price": {"per_hour": 0.1, "currency": "EUR", "date": "2026-11-01"},
            "default": True,
        }
    ],
    "groups": [
        {
            "slug": "lab",
            "name": "Lab",
            "queue": {"weight": 1, "capability": {"cpu": 64, "memory": "512 GiB"}},
        }
    ],
}


def make_file() -> dict[str, Any]:
    """The catalogue of :func:`make_catalogue` as a file's content, free to be changed."""
    return {"custom": {"catalogue": copy.deepcopy(dict(_FILE))}}
