"""What now: from jobs, their attempts, what is seen of them and the time, to one step each.

The reconciler asks here at every pass and does exactly what it is told. Deadlines are kept here:
the patience with a runner that was asked to end, the backstop behind its own time limit, and (with
:mod:`~offline_jobs.service.rules.deadlines`) how long a start may be hindered. Pure.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Attempt, Ending, Evidence, Job, Observation, Standing
from offline_jobs.service.rules.causes import judge, may_try_again
from offline_jobs.service.rules.deadlines import measure, tell_silence, why_given_up
from offline_jobs.service.rules.line import Amounts, Line, Wish, form_line, form_shared_line

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Patience:
    """How long the runner's own endings, and what its start needs, are waited for, in seconds.

    ``cancel``: for its answer to a cancel; ``stop``: from there until it is killed;
    ``overtime``: beyond the job's time limit; ``silent``: without a word of it, before time is
    counted against it at all; ``goodbye``: of its process after its result record; ``launch``: for
    an object that cannot be made; ``machine`` and ``image``: for one that cannot be had;
    ``obstacle``: for what else keeps a pod from starting, such as a volume; ``report``: for the
    first word of a runner that runs, told as missing after ``word``; ``answer``: for a word of who
    lets jobs in, before it is told that there is none.
    """

    cancel_seconds: float = 15
    stop_seconds: float = 15
    overtime_seconds: float = 60
    silent_seconds: float = 60
    goodbye_seconds: float = 60
    launch_seconds: float = 300
    machine_seconds: float = 1800
    image_seconds: float = 600
    obstacle_seconds: float = 1800
    word_seconds: float = 60
    report_seconds: float = 600
    answer_seconds: float = 600

    @property
    def hindrances(self) -> Mapping[Cause | Hindrance, float]:
        """Seconds after which a job is given up that something keeps from starting."""
        return {
            Cause.NO_CAPACITY: self.machine_seconds,
            Cause.IMAGE_PULL: self.image_seconds,
            Cause.INTERNAL: self.obstacle_seconds,
            Hindrance.SILENT: self.report_seconds,
        }


@dataclass(frozen=True)
class View:
    """One open job with its current attempt and what is seen of it.

    ``listening``: since when the service has been there to hear its runner (it was down before, or
    the machine slept). ``stopped``: when it was first asked to end for its overtime.
    """

    job: Job
    attempt: Attempt
    seen: Observation
    listening: datetime | None = None
    stopped: datetime | None = None


@dataclass(frozen=True)
class Start:
    """Make the attempt's object."""


@dataclass(frozen=True)
class Adopt:
    """The object is there and the store does not know yet."""


@dataclass(frozen=True)
class Stand:
    """Store where the job stands."""

    standing: Standing


@dataclass(frozen=True)
class Stop:
    """Have the object end; ``standing`` is stored as well when it is new.

    ``overtime``: for that, and to be remembered (:attr:`View.stopped`).
    """

    force: bool
    standing: Standing | None = None
    overtime: bool = False


@dataclass(frozen=True)
class Finish:
    """End attempt and job."""

    ending: Ending


@dataclass(frozen=True)
class TryAgain:
    """End the attempt and queue the next."""

    ending: Ending


Step = Start | Adopt | Stand | Stop | Finish | TryAgain


@dataclass(frozen=True)
class Held:
    """Attempts whose launch failed: they hold no slot. Those that ``rest`` are not tried now."""

    failed: Collection[str] = ()
    resting: Collection[str] = ()


@dataclass(frozen=True)
class Slots:
    """One machine runs so many jobs at once."""

    number: int


@dataclass(frozen=True)
class Shares:
    """A cluster has a share for each group, and each class asks for its amounts of it."""

    groups: Mapping[str, Amounts]
    classes: Mapping[str, Amounts]


def arrange(
    views: Sequence[View],
    steps: Mapping[str, Step | None],
    room: Slots | Shares,
    held: Held = Held(),
) -> list[tuple[View, Step]]:
    """The steps to take, for those views where something is to be done.

    ``views`` are oldest first, which is the order of the line; ``steps`` is what :func:`decide`
    said of each, by object name. Launches are placed in the line.
    """
    seen = {view.attempt.object_name: view.seen.phase for view in views}
    waiting = [
        name for name in seen if isinstance(steps.get(name), Start) and name not in held.resting
    ]
    # An object that exists without having begun holds its slot already.
    begun = {name for name in waiting if seen[name] == "waiting" and name not in held.failed}
    by_name = {view.attempt.object_name: view for view in views}
    line = _form_line(
        [by_name[name] for name in waiting if name not in begun],
        [view for view in views if _is_occupied(view, held)],
        room,
    )
    planned: list[tuple[View, Step]] = []
    for view in views:
        name = view.attempt.object_name
        step = steps.get(name)
        if isinstance(step, Start) and name in held.resting:
            continue
        if name in line.ahead:
            step = _stand(view.job, _place(view.job, line.ahead[name], room))
        if step is not None:
            planned.append((view, step))
    return planned


def _form_line(waiting: Sequence[View], placed: Sequence[View], room: Slots | Shares) -> Line:
    if isinstance(room, Slots):
        names = [view.attempt.object_name for view in waiting]
        return form_line(names, len(placed), room.number)
    standing = {v.attempt.object_name for v in placed if v.seen.reason == Reason.QUEUE_QUOTA}

    def wish(view: View) -> Wish:
        asked = view.job.request
        amounts = room.classes.get(asked.machine_class, {})
        return Wish(view.attempt.object_name, asked.group, view.job.owner, amounts)

    return form_shared_line(
        [wish(view) for view in waiting], [wish(view) for view in placed], standing, room.groups
    )


def _place(job: Job, ahead: int, room: Slots | Shares) -> Standing:
    if isinstance(room, Slots):
        return Standing(State.QUEUED, Reason.LOCAL_SLOTS, {"ahead": ahead})
    facts: Facts = {"group": job.request.group, "ahead": ahead}
    return Standing(State.QUEUED, Reason.QUEUE_QUOTA, facts)


def _is_occupied(view: View, held: Held) -> bool:
    match view.seen.phase:
        case "running":
            return True
        case "waiting":
            return view.attempt.object_name not in held.failed
        case "unknown":
            return _is_known(view.attempt)
    return False


def decide(view: View, now: datetime, patience: Patience) -> Step | None:
    """The step for one job, whatever the line says; ``None``: all is as it should be."""
    attempt, seen = view.attempt, view.seen
    if seen.phase == "unknown":
        return _while_unknown(view.job, seen.reason)
    if seen.phase == "ended":
        return _after_end(view, seen.evidence or Evidence(), now, patience)
    known = _is_known(attempt)
    if seen.phase == "absent" and known:
        return _after_end(view, Evidence(removed=True), now, patience)
    if seen.phase == "absent" or (seen.phase == "waiting" and seen.reason is None):
        return _before_start(view)
    if attempt.launched is None:
        return Adopt()
    return _while_alive(view, now, patience)


def _while_unknown(job: Job, reason: Reason | None) -> Step | None:
    """A job that has not begun says why nothing is known of it, if the backend does."""
    waits = job.state in (State.QUEUED, State.STARTING) and not why_given_up(job)
    return _stand(job, Standing(job.state, reason)) if reason and waits else None


def _is_known(attempt: Attempt) -> bool:
    """Whether there is or was an object of it, by backend's or runner's word."""
    return attempt.launched is not None or attempt.contacted is not None


def _before_start(view: View) -> Step:
    """Nothing runs yet. An object that exists may still begin by itself, so it must be stopped."""
    if view.job.cancel_requested is None:
        return Start()
    if view.seen.phase == "absent":
        return Finish(Ending(State.CANCELLED, facts=view.job.cancel_facts))
    return Stop(force=True, standing=_new(view.job, _cancelling(view.job)))


def is_overtime(view: View, now: datetime, patience: Patience) -> bool:
    """Whether the attempt runs longer than even a slow ending at its time limit explains.

    A runner that can be heard keeps the limit itself, by a clock that stands while the machine
    sleeps; a clock on the wall does not. So its silence is needed, too, and only the time counts in
    which the service could have heard it.
    """
    job, attempt = view.job, view.attempt
    since = attempt.first_cell
    if since is None and view.seen.phase == "running":
        # What waits for its turn or its machine may have been launched long before.
        since = view.seen.begun or attempt.launched
    if since is None or not job.request.time_limit_seconds:
        return False
    silent_since = max(filter(None, (since, attempt.last_contact, view.listening)))
    return _passed(
        since, job.request.time_limit_seconds + patience.overtime_seconds, now
    ) and _passed(silent_since, patience.silent_seconds, now)


def _while_alive(view: View, now: datetime, patience: Patience) -> Step | None:
    job, attempt = view.job, view.attempt
    if job.cancel_requested is not None:
        return _while_cancelling(view, job.cancel_requested, now, patience)
    if why_given_up(job):
        return Stop(force=True)
    if is_overtime(view, now, patience):
        stopped = view.stopped
        force = stopped is not None and _passed(stopped, patience.stop_seconds, now)
        return Stop(force=force, overtime=True)
    if attempt.result is not None:
        said = attempt.last_contact or attempt.created
        return Stop(force=True) if _passed(said, patience.goodbye_seconds, now) else None
    standing = measure(job, _find_standing(view, now, patience), now, patience.hindrances)
    return _stand(job, tell_silence(job, standing, now, patience.answer_seconds))


def _find_standing(view: View, now: datetime, patience: Patience) -> Standing:
    """Where a job stands whose object is there and shall be."""
    if view.seen.phase == "waiting":
        in_line = view.seen.reason in (Reason.QUEUE_QUOTA, Reason.POOL_LIMIT)
        state = State.QUEUED if in_line else State.STARTING
        return Standing(state, view.seen.reason, view.seen.facts)
    if view.attempt.first_cell is not None:
        return Standing(State.RUNNING)
    if view.attempt.contacted is None:
        # Only the time counts in which it could have been heard.
        since = max(filter(None, (view.seen.begun or view.attempt.launched, view.listening)))
        if _passed(since, patience.word_seconds, now):
            return Standing(State.STARTING, Reason.KERNEL_START, {"hindrance": Hindrance.SILENT})
    return Standing(State.STARTING, Reason.KERNEL_START)


def _cancelling(job: Job) -> Standing:
    return Standing(State.CANCELLING, facts=job.cancel_facts)


def _while_cancelling(
    view: View, since: datetime, now: datetime, patience: Patience
) -> Step | None:
    """First its runner is asked (the answer to its progress), then a signal, then it is killed.

    What waits has no runner yet that could be asked, and may be given a machine at any moment.
    """
    standing = _new(view.job, _cancelling(view.job))
    if view.seen.phase == "waiting":
        return Stop(force=True, standing=standing)
    if _passed(since, patience.cancel_seconds + patience.stop_seconds, now):
        return Stop(force=True, standing=standing)
    if _passed(since, patience.cancel_seconds, now):
        return Stop(force=False, standing=standing)
    return None if standing is None else Stand(standing)


def _after_end(view: View, evidence: Evidence, now: datetime, patience: Patience) -> Step:
    job, attempt = view.job, view.attempt
    overtime = view.stopped is not None or is_overtime(view, now, patience)
    ending = judge(job, attempt, evidence, overtime=overtime)
    if not overtime and may_try_again(job, attempt, evidence, ending):
        if attempt.number < MAX_ATTEMPTS:
            return TryAgain(ending)
        # What stood in the way each time is the cause, if the last attempt could say it.
        is_known = bool(ending.facts.get("message") or ending.facts.get("hindrance"))
        cause = ending.cause if is_known else Cause.INTERRUPTED
        facts: Facts = {**ending.facts, "attempts": attempt.number}
        return Finish(replace(ending, cause=cause, facts=facts))
    return Finish(ending)


def is_new(job: Job, standing: Standing) -> bool:
    """Whether it is not what is stored."""
    return (job.state, job.reason, job.facts) != (standing.state, standing.reason, standing.facts)


def _new(job: Job, standing: Standing) -> Standing | None:
    return standing if is_new(job, standing) else None


def _stand(job: Job, standing: Standing) -> Step | None:
    new = _new(job, standing)
    return None if new is None else Stand(new)


def _passed(since: datetime, seconds: float, now: datetime) -> bool:
    return now >= since + timedelta(seconds=seconds)
