"""What the start of a session or a job waits for, as a reason with its facts.

The spawners and the jobs service's backends look at their world and hand over a :class:`Waiting`;
:mod:`hub_config.platform.sentences` words it, and :mod:`hub_config.platform.pod_starts` judges a
pod of either kind. Pure.
"""

import re
from dataclasses import dataclass, field

from offline_jobs.contract.facts import Facts
from offline_jobs.contract.states import Reason

_LONGEST_QUOTE = 200
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


@dataclass(frozen=True)
class Waiting:
    """A reason to wait, with its facts.

    Attributes:
        reason: what is waited for.
        facts: numbers, slugs and foreign words that the sentence uses.
    """

    reason: Reason
    facts: Facts = field(default_factory=Facts)


def quote(text: object) -> str:
    """Foreign text fit for one line: no control or direction characters, at most 200 characters."""
    line = _UNPRINTABLE.sub(" ", _ANSI.sub("", str(text)[: 10 * _LONGEST_QUOTE])).strip()
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"
