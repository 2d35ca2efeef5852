"""Nouns of the service: a job, its attempts, what was seen of them, and what is made of it.

The store reads and writes :class:`Job` and :class:`Attempt`; backends report :class:`Observation`s
with :class:`Evidence`; the rules decide from these alone. Pure; every room of the service may
import it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import ResultRecord, Specification, Termination
from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State


@dataclass(frozen=True)
class NewJob:
    """A checked submission, ready to be stored. ``notebook`` is the snapshot as JSON text."""

    owner: str
    request: Request
    notebook: str
    idempotency_key: str
    #: SHA-256 over the canonical submission: same key with another digest is a conflict.
    digest: str
    rerun_of: str | None = None


@dataclass(frozen=True)
class Job:
    """A job as stored. No sentence in it: words are made on the way out."""

    id: str
    owner: str
    request: Request
    state: State
    reason: Reason | None
    cause: Cause | None
    facts: Facts
    attempt: int
    cell: int
    total: int
    cell_seconds: tuple[float, ...]
    memory_bytes: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    output: str
    has_result: bool
    cancel_requested: datetime | None
    #: Who wanted that and why, where it was not the owner.
    cancel_facts: Facts
    created: datetime
    started: datetime | None
    ended: datetime | None
    rerun_of: str | None
    digest: str
    #: Grows with every stored change of the job; the base of ETags and of the event stream.
    version: int = 0
    #: Members of the group that is charged may look at its result.
    shared: bool = False


@dataclass(frozen=True)
class Turn:
    """A change of a job's state, or of what it waits for, as the ledger keeps it.

    It stays when the job's record is deleted, so it says itself who is charged for what.

    Attributes:
        previous: the state that it was in; ``None`` where the job was made.
        attempt: the one that it was at from then on.
        cause: of a failure; with ``queued`` why there is another attempt.
        interruptible: it may run on a machine that can be taken away.
    """

    at: datetime
    job: str
    attempt: int
    owner: str
    group: str
    image: str
    machine_class: str
    previous: State | None
    state: State
    reason: Reason | None
    cause: Cause | None
    facts: Facts
    interruptible: bool = False


@dataclass(frozen=True)
class SessionTurn:
    """A change of a session's state, or of what its start waits for, as the hub told it."""

    session: str
    number: int
    at: datetime
    owner: str
    group: str
    image: str
    machine_class: str
    state: SessionState
    reason: Reason | None


@dataclass(frozen=True)
class Selection:
    """Which jobs are meant; what is ``None`` or empty narrows nothing.

    Attributes:
        owner: whose they are.
        states: one of them is theirs.
        group: slug of the group that is charged; likewise ``image`` and ``machine_class``.
        path: of the notebook, relative to the owner's home.
        terms: all of them are in what a job is found by.
        since: submitted then or later.
        until: submitted before.
    """

    owner: str | None = None
    states: frozenset[State] = frozenset()
    group: str | None = None
    image: str | None = None
    machine_class: str | None = None
    path: str | None = None
    terms: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Attempt:
    """One try of a job, one backend object."""

    job: str
    number: int
    object_name: str
    created: datetime
    #: The backend confirmed that the object exists.
    launched: datetime | None
    #: First word of the runner.
    contacted: datetime | None
    #: The runner said that a cell begins; from then on nothing is tried again by itself.
    first_cell: datetime | None
    last_contact: datetime | None
    ended: datetime | None
    phase: str
    cell: int
    total: int
    memory_bytes: int
    memory_peak_bytes: int
    memory_limit_bytes: int
    log_tail: str
    result: ResultRecord | None
    #: What the backend needs to find the object again, for example pid and start time.
    handle: Mapping[str, Any] = field(default_factory=dict)
    cell_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """How an attempt's object ended, in neutral words: the judge's material.

    ``exit_code`` is the runner's (negative: the signal that killed it); ``killed_for_memory``,
    ``filled_scratch`` and ``hindrance`` (what kept it from starting) are the place's words;
    ``result`` the record found beside the object, if any.
    """

    exit_code: int | None = None
    killed_for_memory: bool = False
    filled_scratch: bool = False
    hindrance: Hindrance | None = None
    removed: bool = False
    message: str = ""
    termination: Termination | None = None
    result: ResultRecord | None = None


@dataclass(frozen=True)
class Observation:
    """What a backend sees of one attempt's object now.

    ``phase`` is ``absent`` (no such object), ``waiting`` (exists, not running; ``reason`` says
    why), ``running``, ``ended`` (``evidence`` says how) or ``unknown`` (it cannot be looked at).
    ``begun`` is when what runs began, where that may be long after the launch.
    """

    phase: str
    reason: Reason | None = None
    facts: Facts = field(default_factory=Facts)
    handle: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence | None = None
    begun: datetime | None = None


@dataclass(frozen=True)
class WatchState:
    """For how long a watch could not hear the API server, and how often it failed so far."""

    silent_seconds: float
    failures: int


@dataclass(frozen=True)
class Standing:
    """Where a job that has not ended stands: what the reconciler stores on a change."""

    state: State
    reason: Reason | None = None
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Ending:
    """How an attempt ended, and with it the job, unless it is tried again.

    ``state`` is terminal. ``cell``, ``total`` and ``*_bytes`` are the last known; 0 is unknown.
    ``record`` is the runner's, wherever it was found.
    """

    state: State
    cause: Cause | None = None
    facts: Facts = field(default_factory=Facts)
    cell: int = 0
    total: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    record: ResultRecord | None = None


def build_specification(
    job: Job, attempt: int, notebook: str, image_reference: str = ""
) -> Specification:
    """What the runner of one attempt is told; ``notebook`` is the snapshot's JSON text."""
    return Specification(
        job=job.id,
        attempt=attempt,
        request=job.request,
        notebook=json.loads(notebook),
        output=job.output,
        image_reference=image_reference,
    )
