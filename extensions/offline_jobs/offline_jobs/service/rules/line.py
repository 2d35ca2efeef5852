"""Who is next. Pure.

On one machine jobs are served in their order, into a bounded number of slots. In a cluster each
group has its share, and the people of a group take turns.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from offline_jobs.contract.states import Reason

#: Amounts by resource: cores, bytes, GPUs.
Amounts = Mapping[str, float]
_IN_LINE = frozenset({Reason.LOCAL_SLOTS, Reason.QUEUE_QUOTA})


@dataclass(frozen=True)
class Line:
    """The line's order: who may start now, and how many wait ahead of each of the others."""

    start: tuple[str, ...]
    ahead: dict[str, int]


@dataclass(frozen=True)
class Wish:
    """An attempt that wants its part of a group's share, or has it.

    Attributes:
        name: of its object.
        group: whose share.
        owner: whose job.
        amounts: what it asks for.
    """

    name: str
    group: str
    owner: str
    amounts: Amounts


@dataclass(frozen=True)
class Waiter:
    """A job that waits, as people are told of it.

    Attributes:
        job: its id.
        created: when it was submitted.
        since: when it began to wait: a later try has its own.
        place: in line, from 1; ``None`` where it has none or none is known.
    """

    job: str
    created: datetime
    since: datetime
    place: int | None


def find_place(reason: str | None, facts: Mapping[str, Any]) -> int | None:
    """The place in line, from 1, that the last look at a job told; ``None`` where it told none.

    Whoever waits for a machine has left the line. The line itself is the one machine's, or the
    group's, be it held back here or in the cluster's.
    """
    ahead = facts.get("ahead")
    return ahead + 1 if reason in _IN_LINE and isinstance(ahead, int) else None


def order_waiters(waiters: Iterable[Waiter]) -> list[Waiter]:
    """By their places; those without one at the end, as they were submitted."""
    return sorted(
        waiters, key=lambda each: (each.place is None, each.place or 0, each.created, each.job)
    )


def form_line(waiting: Sequence[str], occupied: int, slots: int) -> Line:
    """Place the waiting, oldest first, into the free slots."""
    free = max(0, slots - occupied)
    rest = waiting[free:]
    return Line(tuple(waiting[:free]), {name: place for place, name in enumerate(rest)})


def form_shared_line(
    waiting: Sequence[Wish],
    placed: Sequence[Wish],
    standing: Collection[str],
    shares: Mapping[str, Amounts],
) -> Line:
    """Let those start that their group has room for, the group's people in turns.

    The cluster's own line serves a queue in the order of arrival: whoever sent a hundred jobs would
    keep a colleague's one waiting. So of each person one job at most stands in it; what else has no
    room is held back here, and its place is told.

    Args:
        waiting: not in the cluster yet, oldest first.
        placed: in the cluster, running or not.
        standing: names of those placed that stand in the cluster's line.
        shares: the most that each group may have; of a group that is not there nothing is known,
            and nobody is held back.
    """
    used: dict[str, Counter[str]] = {group: Counter() for group in shares}
    turns: Counter[tuple[str, str]] = Counter()
    lengths: Counter[str] = Counter()
    for wish in placed:
        if wish.group in used:
            used[wish.group].update(wish.amounts)
        if wish.name in standing:
            turns[wish.group, wish.owner] += 1
            lengths[wish.group] += 1
    stands = set(turns)
    ranked = []
    for wish in waiting:
        whose = wish.group, wish.owner
        ranked.append((turns[whose], wish))
        turns[whose] += 1
    start, ahead = [], {}
    for _, wish in sorted(ranked, key=lambda each: each[0]):
        whose = wish.group, wish.owner
        has_room = wish.group not in shares or _fits(
            wish.amounts, used[wish.group], shares[wish.group]
        )
        if has_room or whose not in stands:
            start.append(wish.name)
            if wish.group in used:
                used[wish.group].update(wish.amounts)
        else:
            ahead[wish.name] = lengths[wish.group]
        if not has_room:
            stands.add(whose)
            lengths[wish.group] += 1
    return Line(tuple(start), ahead)


def _fits(amounts: Amounts, used: Mapping[str, float], share: Amounts) -> bool:
    return all(
        used.get(resource, 0) + amount <= share.get(resource, 0)
        for resource, amount in amounts.items()
    )
