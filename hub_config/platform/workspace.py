"""What a session or a job sees: one workspace for both.

Home, mounts, environment, ids, memory and placement follow from catalogue, person and choice alone;
all but the placement is equal for both kinds. :mod:`hub_config.platform.pods` and
:mod:`hub_config.platform.processes` only translate it. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hub_config.platform.catalogue import Catalogue, Placement
from hub_config.platform.choices import Choice
from hub_config.platform.people import Person
from offline_jobs.contract.session import ENV_CLASS, ENV_GROUP, ENV_IMAGE, ENV_LONGEST

HOME_PATH = "/home/jovyan"
SCRATCH_PATH = "/scratch"
SHARED_ROOT = "/shared"
DATA_ROOT = "/data"
USER_ID = 1000
GROUP_ID = 100
CAPACITY_LABEL = "karpenter.sh/capacity-type"


class Kind(StrEnum):
    """A session is interactive, a job runs in the background."""

    SESSION = "session"
    JOB = "job"


@dataclass(frozen=True)
class Mount:
    """A folder in the workspace.

    ``source`` is ``home``, ``shared`` or ``data``; ``name`` the home's slug, the group or the
    bucket; ``path`` where it appears.
    """

    source: str
    name: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Workspace:
    """Everything both kinds of pod (and of local process) are made from.

    ``cores`` in cores, ``*_bytes`` in bytes. ``environment`` holds ours only, no secrets.
    """

    kind: Kind
    user: str
    home: str
    group: str
    image: str
    image_reference: str
    #: Of the container that makes the folders; it sees everybody's, so it is never the user's.
    folders_image: str
    instance_class: str
    cores: float
    memory_bytes: int
    gpus: int
    shared_memory_bytes: int
    scratch_bytes: int
    mounts: tuple[Mount, ...]
    environment: Mapping[str, str]
    service_account: str
    user_id: int
    group_id: int
    placement: Placement
    longest_seconds: int


def build_workspace(
    catalogue: Catalogue,
    person: Person,
    choice: Choice,
    kind: Kind,
    *,
    interruptible: bool = False,
) -> Workspace:
    """The workspace of one session or job.

    Args:
        catalogue: for the pool that the class's pods go to.
        person: whose home it is.
        choice: checked by :func:`hub_config.platform.choices.choose`.
        kind: a session or a job; changes the placement and the longest time only.
        interruptible: the submitter accepts a machine that may be taken away (jobs only).
    """
    instance_class = choice.instance_class
    group = choice.group
    session = kind is Kind.SESSION
    mounts = [Mount("home", person.home, HOME_PATH)]
    if group.shared_folder:
        mounts.append(Mount("shared", group.slug, f"{SHARED_ROOT}/{group.slug}"))
    mounts.extend(
        Mount("data", bucket, f"{DATA_ROOT}/{bucket}", read_only=True) for bucket in group.buckets
    )
    return Workspace(
        kind=kind,
        user=person.name,
        home=person.home,
        group=group.slug,
        image=choice.image.slug,
        image_reference=choice.image.reference,
        folders_image=catalogue.folders_image.reference,
        instance_class=instance_class.slug,
        cores=instance_class.cores,
        memory_bytes=instance_class.memory_bytes,
        gpus=instance_class.gpus,
        shared_memory_bytes=instance_class.shared_memory_bytes,
        scratch_bytes=instance_class.scratch_bytes,
        mounts=tuple(mounts),
        environment=_build_environment(choice),
        service_account=group.service_account,
        user_id=USER_ID,
        group_id=GROUP_ID,
        placement=_place(
            catalogue, instance_class.session if session else instance_class.job, interruptible
        ),
        longest_seconds=(
            instance_class.longest_session_seconds
            if session
            else instance_class.longest_job_seconds
        ),
    )


def count_cores(cores: float) -> int:
    """The whole number of cores that comes nearest; of a class that is a part of a machine."""
    return max(1, round(cores))


def build_thread_variables(cores: float) -> dict[str, str]:
    """Variables that tell numerical libraries how many threads they may use.

    As many as cores, to the nearest number, at least one; they would take the whole node's
    otherwise.
    """
    threads = str(count_cores(cores))
    return dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS"),
        threads,
    )


def build_session_variables(home: str, configuration: str, longest_seconds: int) -> dict[str, str]:
    """Variables that a session's server has beside the workspace's.

    Args:
        home: path of the home.
        configuration: path of a folder outside of it. A configuration in the home could keep the
            server from starting, so none is read there; what Lab itself remembers stays.
        longest_seconds: the class's longest session.
    """
    return {
        "JUPYTERHUB_ROOT_DIR": home,
        ENV_LONGEST: str(longest_seconds),
        "JUPYTER_CONFIG_DIR": configuration,
        "JUPYTERLAB_SETTINGS_DIR": f"{home}/.jupyter/lab/user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": f"{home}/.jupyter/lab/workspaces",
    }


def _build_environment(choice: Choice) -> dict[str, str]:
    return {
        ENV_GROUP: choice.group.slug,
        ENV_IMAGE: choice.image.slug,
        ENV_CLASS: choice.instance_class.slug,
        "SCRATCH": SCRATCH_PATH,
        **({"SHARED": f"{SHARED_ROOT}/{choice.group.slug}"} if choice.group.shared_folder else {}),
        **build_thread_variables(choice.instance_class.cores),
    }


def _place(catalogue: Catalogue, placement: Placement, interruptible: bool) -> Placement:
    """The placement, on spot only where class and submitter both say so.

    Where a pool has both capacity types, the selector says which.
    """
    spot = placement.spot and interruptible
    selector = dict(placement.selector)
    pool = catalogue.node_pools.get(placement.node_pool)
    if pool is not None and len(set(pool.capacity_types)) > 1:
        selector[CAPACITY_LABEL] = "spot" if spot else "on-demand"
    return replace(placement, selector=selector, spot=spot)
