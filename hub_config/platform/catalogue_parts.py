"""The sections of the catalogue's file: one entry → one frozen object, or ``None`` with mistakes.

Used by :mod:`hub_config.platform.catalogue_file` only. Pure.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from hub_config.platform.catalogue import (
    GPU_RESOURCE,
    Budget,
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
from hub_config.platform.catalogue_rules import MACHINES
from hub_config.platform.entry import LABEL_KEY, LABEL_VALUE, Entry

_Part = TypeVar("_Part")

ARCHITECTURES = ("amd64", "arm64")
CAPACITY_TYPES = ("on-demand", "spot")
CURRENCIES = ("EUR", "USD")
EFFECTS = ("NoSchedule", "NoExecute", "PreferNoSchedule")
KINDS = ("session", "job")
OPERATORS = ("Equal", "Exists")
#: A server reports its use every five minutes, or four times within the shortest idle time.
LEAST_IDLE_SECONDS = 600
#: Source: https://volcano.sh/en/docs/queue (v1.15)
LARGEST_WEIGHT = 65_535
#: Of one GPU, whose memory all of them have together.
LARGEST_GPU_SHARES = 16

#: A slug: letter first, lower-case letters and digits, single hyphens, at most 32 characters. So it
#: is a DNS label, and slugs joined by ``--`` can be taken apart again.
SLUG = re.compile(r"(?=.{1,32}\Z)[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
SLUG_RULE = (
    "a slug has lower-case letters, digits and single hyphens, starts with a letter and is at most "
    "32 characters long"
)

#: Source: https://github.com/distribution/reference (v0.6.0), the grammar in reference.go
REPOSITORY = re.compile(
    r"(?=.{1,255}\Z)[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_KERNEL = re.compile(r"[A-Za-z0-9._-]{1,100}")
#: Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9]|[.-](?![.-])){1,61}(?<![.-])")
_DNS_LABEL = re.compile(r"(?=.{1,63}\Z)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_FAMILY = re.compile(r"[a-z]{1,4}[0-9][-a-z0-9]{0,10}")
_FAMILY_RULE = "it must be a family of EC2 instance types such as m6i"
_DNS_RULE = "lower-case letters, digits and hyphens, at most 63"
_LABEL_RULE = "it must be a Kubernetes label's key or value"


def read_image(entry: Entry, registry: str) -> Image | None:
    """An entry of ``images``; ``registry`` is put before its repository."""
    repository, tag, digest = _read_reference(entry, registry)
    image = Image(
        slug=_slug(entry),
        name=entry.text("name"),
        description=entry.text("description", ""),
        repository=repository,
        tag=tag,
        digest=digest,
        architectures=entry.texts("architectures", ("amd64",), allowed=ARCHITECTURES),
        kernels=entry.texts("kernels", ("python3",), _KERNEL, "a kernel is named like python3"),
        needs_gpu=entry.flag("needs_gpu"),
        default=entry.flag("default"),
    )
    return _finish(entry, image)


def read_folders_image(entry: Entry, registry: str) -> FoldersImage | None:
    """The entry ``folders_image``; ``registry`` is put before its repository."""
    return _finish(entry, FoldersImage(*_read_reference(entry, registry)))


def _read_reference(entry: Entry, registry: str) -> tuple[str, str, str]:
    """Repository with registry, tag and digest of an image."""
    repository = entry.text("repository", None, REPOSITORY, "a repository is like team/notebook")
    return (
        f"{registry.rstrip('/')}/{repository}" if registry else repository,
        entry.text("tag", None, _TAG, "a tag is like 0.1.0"),
        entry.text("digest", "", _DIGEST, "a digest is sha256: and 64 hexadecimal digits"),
    )


def read_pool(entry: Entry) -> NodePool | None:
    """An entry of ``node_pools``."""
    pool = NodePool(
        slug=_slug(entry),
        kind=entry.text("kind", allowed=KINDS),
        instance_categories=entry.texts("instance_categories", allowed=MACHINES),
        architecture=entry.text("architecture", allowed=ARCHITECTURES),
        capacity_types=entry.texts("capacity_types", allowed=CAPACITY_TYPES),
        limits=_amounts(entry, "limits"),
        disk_bytes=entry.bytes("disk"),
        instance_families=entry.texts("instance_families", (), _FAMILY, _FAMILY_RULE),
        labels=entry.labels("labels"),
        taints=tuple(
            Taint(
                key=item.text("key", None, LABEL_KEY, _LABEL_RULE),
                value=item.text("value", "", LABEL_VALUE, _LABEL_RULE),
                effect=item.text("effect", "NoSchedule", allowed=EFFECTS),
            )
            for item in _closing(entry.entries("taints"))
        ),
        idle_seconds=entry.seconds("idle"),
    )
    return _finish(entry, pool)


def read_class(
    entry: Entry,
    group_slugs: Collection[str],
    pool_slugs: Collection[str],
    pools: Mapping[str, NodePool],
) -> InstanceClass | None:
    """An entry of ``classes``. ``pools`` are the sound ones, for placements' defaults."""
    gpus = int(entry.number("gpus", 0, whole=True))
    model, shared_by = _read_gpu(entry, gpus)
    found = InstanceClass(
        slug=_slug(entry),
        name=entry.text("name"),
        cores=entry.number("cores", least=0.1),
        memory_bytes=entry.bytes("memory"),
        architecture=entry.text("architecture", allowed=ARCHITECTURES),
        groups=entry.texts("groups", allowed=group_slugs),
        session=_read_placement(entry, "session", pool_slugs, pools),
        job=_read_placement(entry, "job", pool_slugs, pools),
        longest_session_seconds=entry.seconds("longest_session"),
        longest_job_seconds=entry.seconds("longest_job"),
        idle_session_seconds=entry.seconds("idle_session", required=False),
        gpus=gpus,
        gpu_model=model,
        gpu_shared_by=shared_by,
        scratch_bytes=entry.bytes("scratch"),
        shared_memory_bytes=entry.bytes("shared_memory"),
        price=_read_price(entry),
        default=entry.flag("default"),
    )
    if 0 < found.idle_session_seconds < LEAST_IDLE_SECONDS:
        entry.add("idle_session", "must be at least 10 min: servers tell of their use now and then")
    if found.shared_memory_bytes > found.memory_bytes > 0:
        entry.add("shared_memory", "is more than memory, of which it is a part")
    return _finish(entry, found)


def _read_gpu(entry: Entry, gpus: int) -> tuple[str, int]:
    """What people read of a class's GPU, and how many share it."""
    model = entry.text("gpu_model", "")
    shared_by = int(entry.number("gpu_shared_by", 1, least=1, whole=True))
    if gpus and not model:
        entry.add("gpu_model", "is missing; a class with GPUs says which, for example NVIDIA T4")
    if model and not gpus:
        entry.add("gpu_model", "is written, but the class has no gpus")
    if shared_by == 1:
        return model, 1
    if gpus != 1:
        entry.add("gpu_shared_by", f"is for a class with gpus: 1, and this one has {gpus}")
    if shared_by > LARGEST_GPU_SHARES:
        entry.add("gpu_shared_by", f"must be at most {LARGEST_GPU_SHARES}")
    return f"{model}, shared by up to {shared_by}", shared_by


def read_group(entry: Entry) -> Group | None:
    """An entry of ``groups``."""
    queue = Queue(weight=0, capability={})
    written = entry.entry("queue")
    if written is not None:
        weight = int(written.number("weight", least=1, whole=True))
        if weight > LARGEST_WEIGHT:
            written.add("weight", f"must be at most {LARGEST_WEIGHT}")
        queue = Queue(weight=weight, capability=_amounts(written, "capability"))
        written.close()
    group = Group(
        slug=_slug(entry),
        name=entry.text("name"),
        queue=queue,
        service_account=entry.text("service_account", "", _DNS_LABEL, _DNS_RULE),
        buckets=entry.texts("buckets", (), _BUCKET, "it must be the name of an S3 bucket"),
        shared_folder=entry.flag("shared_folder"),
        leads=entry.texts("leads", ()),
        budget=_read_budget(entry),
    )
    if group.buckets and not group.service_account:
        entry.add("service_account", "is missing; it is what may read the group's buckets")
    return _finish(entry, group)


def _read_budget(entry: Entry) -> Budget | None:
    item = entry.entry("budget", required=False)
    if item is None:
        return None
    budget = Budget(
        month=item.number("month", least=1),
        currency=item.text("currency", allowed=CURRENCIES),
    )
    item.close()
    return budget


def _read_placement(
    entry: Entry, kind: str, pool_slugs: Collection[str], pools: Mapping[str, NodePool]
) -> Placement:
    item = entry.entry(kind)
    if item is None:
        return Placement(node_pool="")
    slug = item.text("node_pool", allowed=pool_slugs)
    selector = item.labels("selector")
    tolerations = tuple(
        Toleration(
            key=toleration.text("key", None, LABEL_KEY, _LABEL_RULE),
            value=toleration.text("value", "", LABEL_VALUE, _LABEL_RULE),
            operator=toleration.text("operator", "Equal", allowed=OPERATORS),
            effect=toleration.text("effect", "NoSchedule", allowed=EFFECTS),
        )
        for toleration in _closing(item.entries("tolerations"))
    )
    if pool := pools.get(slug):
        # What is not written follows from the pool; what is written is judged against it.
        selector = selector if item.has("selector") else dict(pool.labels)
        if not item.has("tolerations"):
            tolerations = tuple(Toleration(t.key, t.value, effect=t.effect) for t in pool.taints)
    # Sessions have no key "spot": an interactive machine must not be taken away.
    spot = item.flag("spot") if kind == "job" else False
    item.close()
    return Placement(node_pool=slug, selector=selector, tolerations=tolerations, spot=spot)


def _read_price(entry: Entry) -> Price | None:
    item = entry.entry("price", required=False)
    if item is None:
        return None
    price = Price(
        per_hour=item.number("per_hour"),
        currency=item.text("currency", allowed=CURRENCIES),
        date=item.date("date"),
        basis=item.text("basis", ""),
        spot_per_hour=item.number("spot_per_hour", 0) or None,
    )
    item.close()
    return price


def _amounts(entry: Entry, name: str) -> dict[str, float]:
    """Resources of a pool's limits or a queue's capability; no GPU written means none."""
    item = entry.entry(name)
    if item is None:
        return {}
    amounts = {"cpu": item.number("cpu"), "memory": float(item.bytes("memory"))}
    gpus = item.number(GPU_RESOURCE, 0, whole=True)
    if gpus:
        amounts[GPU_RESOURCE] = gpus
    item.close()
    return amounts


def _slug(entry: Entry) -> str:
    return entry.text("slug", None, SLUG, SLUG_RULE)


def _closing(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        yield entry
        entry.close()


def _finish(entry: Entry, part: _Part) -> _Part | None:
    entry.close()
    return part if entry.sound else None
