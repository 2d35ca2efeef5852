"""What the start of a session or a job waits for, as a stage with its facts.

The spawners and the jobs service's backends look at their world and hand over a :class:`Waiting`;
:mod:`hub_config.platform.sentences` words it, and :mod:`hub_config.platform.pod_starts` judges a
pod of either kind. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_LONGEST_QUOTE = 200
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


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
    HUB_UNREACHABLE = "hub-unreachable"
    JUPYTER_START = "jupyter-start"


class Hindrance(StrEnum):
    """What keeps a start from going on; all but an end may pass, the cluster goes on trying."""

    FOLDERS = "folders"
    VOLUME = "volume"
    END = "end"


@dataclass(frozen=True)
class Waiting:
    """A stage with its facts.

    Attributes:
        stage: what is waited for.
        facts: numbers and slugs that the sentence uses: ``ahead`` (jobs before this one),
            ``class``, ``image``, ``group``; ``asking``: true as long as nobody has said whether it
            can be had; ``full``: true when no machine that is there has room; ``failing``: true
            when the image cannot be pulled, or what is started does not start; ``hindrance``: a
            :class:`Hindrance`; ``said``: what the cluster says of it, one line of foreign text;
            ``object``: what in the cluster tells so, such as ``nodeclaim/NAME``. All may be
            missing.
        expected_seconds: median of starts seen before; ``None`` when there were none.
    """

    stage: Stage
    facts: Mapping[str, object] = field(default_factory=dict)
    expected_seconds: float | None = None


def quote(text: object) -> str:
    """Foreign text fit for one line: no control or direction characters, at most 200 characters."""
    line = _UNPRINTABLE.sub(" ", _ANSI.sub("", str(text)[: 10 * _LONGEST_QUOTE])).strip()
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"
