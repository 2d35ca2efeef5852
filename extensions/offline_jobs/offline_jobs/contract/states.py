"""The words of a job's life: states, waiting reasons and causes.

Every part speaks these words: the store keeps them, the REST API sends them, the Lab panel and the
page colour them. Standard library only; anybody may import it.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a job is. A job is terminal once."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing can happen to the job any more."""
        return self in TERMINAL


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class Reason(StrEnum):
    """What a queued or starting job waits for, or a session; no job for the last."""

    SERVICE = "service"
    LOCAL_SLOTS = "local-slots"
    QUEUE_QUOTA = "queue-quota"
    NO_NODE = "no-node"
    POOL_LIMIT = "pool-limit"
    NODE_STARTING = "node-starting"
    IMAGE_PULL = "image-pull"
    KERNEL_START = "kernel-start"
    CLUSTER_UNREACHABLE = "cluster-unreachable"
    HUB_UNREACHABLE = "hub-unreachable"
    JUPYTER_START = "jupyter-start"


class Cause(StrEnum):
    """Why a job failed."""

    CELL_ERROR = "cell-error"
    KERNEL_DIED = "kernel-died"
    OUT_OF_MEMORY = "out-of-memory"
    TIME_LIMIT = "time-limit"
    INTERRUPTED = "interrupted"
    NO_CAPACITY = "no-capacity"
    IMAGE_PULL = "image-pull"
    REFUSED = "refused"
    REMOVED = "removed"
    OUTPUT_LOST = "output-lost"
    INTERNAL = "internal"
