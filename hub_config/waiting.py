"""What the start of a session or a job waits for.

One judgement for both kinds: the spawners and the jobs service's backends look at their world and
hand over a :class:`Waiting`; :mod:`hub_config.sentences` words it. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """Where a start is; the words are those of the jobs' waiting reasons."""

    SERVICE = "service"
    LOCAL_SLOTS = "local-slots"
    QUEUE_QUOTA = "queue-quota"
    NO_NODE = "no-node"
    NODE_STARTING = "node-starting"
    IMAGE_PULL = "image-pull"
    KERNEL_START = "kernel-start"
    CLUSTER_UNREACHABLE = "cluster-unreachable"
    JUPYTER_START = "jupyter-start"


@dataclass(frozen=True)
class Waiting:
    """A stage with its facts.

    Attributes:
        stage: what is waited for.
        facts: numbers and slugs that the sentence uses: ``ahead`` (jobs before this one),
            ``class``, ``image``, ``group``. All may be missing.
        expected_seconds: median of starts seen before; ``None`` when there were none.
    """

    stage: Stage
    facts: Mapping[str, object] = field(default_factory=dict)
    expected_seconds: float | None = None
