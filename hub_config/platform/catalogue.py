"""The catalogue: images × instance classes × node pools × groups, frozen.

One file (``helm-values/catalogue.yaml``) is read by hub, jobs service and deployment alike; these
are its nouns. :mod:`hub_config.platform.catalogue_file` makes a :class:`Catalogue` from text;
everybody above may read one. Pure, standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

GIB = 1024**3

#: Resources of pools' limits and queues' capability.
GPU_RESOURCE = "nvidia.com/gpu"
RESOURCES = ("cpu", "memory", GPU_RESOURCE)
#: Bytes of a machine's disk that a pod may use beside its scratch space: what it writes elsewhere
#: in its container, and its output.
DISK_MARGIN = 4 * GIB


@dataclass(frozen=True)
class FoldersImage:
    """The platform's own image, of the containers that see everybody's homes; nobody chooses it."""

    repository: str
    tag: str
    digest: str = ""

    @property
    def reference(self) -> str:
        """``repository:tag@digest``; without the digest until the image was pushed."""
        return build_reference(self.repository, self.tag, self.digest)


@dataclass(frozen=True)
class Image:
    """A container image that users may choose; locally a uv environment of the same name."""

    slug: str
    name: str
    description: str
    repository: str
    tag: str
    digest: str = ""
    architectures: tuple[str, ...] = ("amd64",)
    kernels: tuple[str, ...] = ("python3",)
    needs_gpu: bool = False
    default: bool = False

    @property
    def reference(self) -> str:
        """``repository:tag@digest``; without the digest until the image was pushed."""
        return build_reference(self.repository, self.tag, self.digest)


@dataclass(frozen=True)
class Toleration:
    """A pod's toleration of a node's taint."""

    key: str
    value: str = ""
    operator: str = "Equal"
    effect: str = "NoSchedule"


@dataclass(frozen=True)
class Placement:
    """Where pods of a class go, for one kind (session or job)."""

    node_pool: str
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    spot: bool = False


@dataclass(frozen=True)
class Price:
    """Price per hour, for display; ``basis`` says of what, for example an instance type.

    ``spot_per_hour`` is that of a machine that may be taken away, at ``date``: it changes by the
    hour.
    """

    per_hour: float
    currency: str
    date: str
    basis: str = ""
    spot_per_hour: float | None = None

    def find_per_hour(self, *, interruptible: bool) -> float:
        """What an hour costs; without a price of its own, an interruptible machine as another."""
        spot = self.spot_per_hour if interruptible else None
        return self.per_hour if spot is None else spot


@dataclass(frozen=True)
class InstanceClass:
    """A machine size that users may choose.

    ``cores`` may be a fraction; memory, scratch and shared memory are bytes; lengths are seconds.
    A session that nobody uses for ``idle_session_seconds`` is stopped; 0 leaves that to the hub.
    Where ``gpu_shared_by`` is more than 1, so many have one GPU by turns, each with its one of
    ``gpus``; ``gpu_model`` is for people, and says so.
    """

    slug: str
    name: str
    cores: float
    memory_bytes: int
    architecture: str
    groups: tuple[str, ...]
    session: Placement
    job: Placement
    longest_session_seconds: int
    longest_job_seconds: int
    idle_session_seconds: int = 0
    gpus: int = 0
    gpu_model: str = ""
    gpu_shared_by: int = 1
    scratch_bytes: int = 0
    shared_memory_bytes: int = 0
    price: Price | None = None
    default: bool = False


@dataclass(frozen=True)
class Taint:
    """A node pool's taint."""

    key: str
    value: str
    effect: str = "NoSchedule"


@dataclass(frozen=True)
class NodePool:
    """A set of machines that Karpenter may start, for sessions or for jobs.

    ``limits`` maps resource to quantity (cores for ``cpu``, bytes for ``memory``, a count for
    ``nvidia.com/gpu``). ``disk_bytes`` is the size of each machine's local disk, the least where
    they differ. ``instance_families``, where there are any, narrow the categories. ``labels`` are
    on no other pool, ``taints`` keep other pods away.
    """

    slug: str
    kind: str
    instance_categories: tuple[str, ...]
    architecture: str
    capacity_types: tuple[str, ...]
    limits: Mapping[str, float]
    disk_bytes: int
    instance_families: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    idle_seconds: int = 300


@dataclass(frozen=True)
class Queue:
    """A group's share of the job pools (Volcano's weight and capability per resource)."""

    weight: int
    capability: Mapping[str, float]


@dataclass(frozen=True)
class Budget:
    """What a group means to spend in a calendar month (UTC), for display: it stops nothing."""

    month: float
    currency: str


@dataclass(frozen=True)
class Group:
    """Whom a session or a job is charged to; membership comes from the login."""

    slug: str
    name: str
    queue: Queue
    service_account: str = ""
    buckets: tuple[str, ...] = ()
    shared_folder: bool = False
    leads: tuple[str, ...] = ()
    budget: Budget | None = None


def build_reference(repository: str, tag: str, digest: str) -> str:
    """How a pod names an image."""
    return f"{repository}:{tag}@{digest}" if digest else f"{repository}:{tag}"


def why_pair_fails(image: Image, instance_class: InstanceClass) -> str | None:
    """Why ``image`` cannot run on ``instance_class``, as a sentence; ``None`` if it can."""
    if image.needs_gpu and not instance_class.gpus:
        return f"{image.name} needs a GPU and {instance_class.name} has none."
    if instance_class.architecture not in image.architectures:
        return f"{image.name} is not built for {instance_class.architecture}."
    return None


@dataclass(frozen=True)
class Catalogue:
    """Everything a person may choose from, by slug, in the file's order."""

    folders_image: FoldersImage
    images: Mapping[str, Image]
    classes: Mapping[str, InstanceClass]
    node_pools: Mapping[str, NodePool]
    groups: Mapping[str, Group]

    def why_pair_fails(self, image: Image, instance_class: InstanceClass) -> str | None:
        """:func:`why_pair_fails`, for whoever holds a catalogue."""
        return why_pair_fails(image, instance_class)

    @property
    def default_image(self) -> Image:
        """The image marked as default, else the first."""
        return next(
            (i for i in self.images.values() if i.default), next(iter(self.images.values()))
        )

    @property
    def default_class(self) -> InstanceClass:
        """The class marked as default, else the first."""
        return next(
            (c for c in self.classes.values() if c.default), next(iter(self.classes.values()))
        )
