"""What jobs and sessions of groups have of the machines now, by person and class. Pure.

A job that waits in line has nothing yet; one that starts, runs or is being cancelled has its
class's cores, memory and GPUs, and so has a session from its start on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hub_config.platform.catalogue import InstanceClass
from offline_jobs.contract.session import SessionState

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Crowd:
    """Open jobs of a person that are alike.

    Attributes:
        waits: they are in line; else they are on a machine, or one is made for them.
        count: how many.
        since: when the first of these attempts began to wait.
    """

    group: str
    owner: str
    machine_class: str
    waits: bool
    count: int
    since: datetime


@dataclass(frozen=True)
class OpenSession:
    """A session that has not ended.

    Attributes:
        begun: when its start was asked for.
        running: since when it runs; ``None`` while it starts.
    """

    session: str
    owner: str
    group: str
    image: str
    machine_class: str
    state: SessionState
    begun: datetime
    running: datetime | None


@dataclass
class Amounts:
    """Cores, bytes of memory, GPUs."""

    cores: float = 0.0
    memory_bytes: int = 0
    gpus: int = 0

    def add(self, machine: InstanceClass | None, count: int) -> None:
        """Add so many of a class; of one that the catalogue has no more nothing is known."""
        if machine is not None:
            self.cores += count * machine.cores
            self.memory_bytes += count * machine.memory_bytes
            self.gpus += count * machine.gpus


@dataclass
class Part:
    """What a group has, or a person or a class of it.

    Attributes:
        running: jobs that start or run.
        waiting: jobs in line, the first of them since ``waiting_since``.
        sessions: sessions that start or run.
        by_jobs: what these jobs have; likewise ``by_sessions``.
    """

    running: int = 0
    waiting: int = 0
    waiting_since: datetime | None = None
    sessions: int = 0
    by_jobs: Amounts = field(default_factory=Amounts)
    by_sessions: Amounts = field(default_factory=Amounts)

    def add_jobs(self, crowd: Crowd, machine: InstanceClass | None) -> None:
        """Add jobs."""
        if not crowd.waits:
            self.running += crowd.count
            self.by_jobs.add(machine, crowd.count)
            return
        self.waiting += crowd.count
        first = self.waiting_since
        self.waiting_since = crowd.since if first is None else min(first, crowd.since)

    def add_session(self, machine: InstanceClass | None) -> None:
        """Add a session."""
        self.sessions += 1
        self.by_sessions.add(machine, 1)


@dataclass
class GroupUse:
    """What a group has now: all of it, by person, by class."""

    all: Part = field(default_factory=Part)
    people: dict[str, Part] = field(default_factory=dict)
    classes: dict[str, Part] = field(default_factory=dict)

    def list_parts(self, owner: str, machine_class: str) -> tuple[Part, Part, Part]:
        """The three parts that something of a person on a class is in."""
        person = self.people.setdefault(owner, Part())
        return self.all, person, self.classes.setdefault(machine_class, Part())


def sort_out(
    groups: Iterable[str],
    crowds: Iterable[Crowd],
    sessions: Iterable[OpenSession],
    classes: Mapping[str, InstanceClass],
) -> dict[str, GroupUse]:
    """What each group has, by its slug: those named first, then others that have something."""
    uses = {group: GroupUse() for group in groups}
    for crowd in crowds:
        use = uses.setdefault(crowd.group, GroupUse())
        for part in use.list_parts(crowd.owner, crowd.machine_class):
            part.add_jobs(crowd, classes.get(crowd.machine_class))
    for each in sessions:
        use = uses.setdefault(each.group, GroupUse())
        for part in use.list_parts(each.owner, each.machine_class):
            part.add_session(classes.get(each.machine_class))
    return uses


def find_end(session: OpenSession, machine: InstanceClass | None) -> datetime | None:
    """When a session stops at the latest; ``None`` where nothing bounds it, or it starts."""
    if session.running is None or machine is None or not machine.longest_session_seconds:
        return None
    return session.running + timedelta(seconds=machine.longest_session_seconds)


def find_cost(
    session: OpenSession, machine: InstanceClass | None, now: datetime
) -> tuple[float, str] | tuple[None, None]:
    """What a session has cost so far, and in which currency; not known without a price."""
    price = machine and machine.price
    if not price:
        return None, None
    if session.running is None:
        return 0.0, price.currency
    until = min(now, find_end(session, machine) or now)
    hours = max(timedelta(), until - session.running) / _HOUR
    return hours * price.find_per_hour(interruptible=False), price.currency
