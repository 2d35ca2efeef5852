"""A job in words: one sentence about where it is, and what to do next where there is something.

The store keeps state, reason, cause and facts; :mod:`~offline_jobs.service.web.answers` calls
:func:`describe` on the way out, so words can be mended without touching a record. Elapsed time is
added by the page. What any start waits for is :mod:`hub_config.platform.sentences`' to say. A test
walks all states, reasons and causes. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hub_config.platform.catalogue import InstanceClass
from hub_config.platform.sentences import describe_start
from hub_config.platform.waiting import Waiting, quote
from offline_jobs.contract.facts import Facts, Hindrance, PullFailure
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.model import Job, Turn
from offline_jobs.service.rules import amounts


@dataclass(frozen=True)
class Words:
    """What a person reads about a job; ``next_step`` only where there is one."""

    sentence: str
    next_step: str | None = None


def describe(job: Job, larger: InstanceClass | None = None) -> Words:
    """Say in words where ``job`` is.

    Args:
        job: the job as stored.
        larger: a class with more memory that the job could be given, for the next step after an
            end for want of memory; ``None`` when there is none.
    """
    match job.state:
        case State.QUEUED | State.STARTING:
            return Words(_waiting(job))
        case State.RUNNING:
            return Words(_place(job) or "Running, before the first cell")
        case State.CANCELLING:
            kept = "what the finished cells printed is kept"
            return Words(f"Being cancelled{_by(job)}; {kept}{_why_cancelled(job)}")
        case State.CANCELLED:
            when = _in_cell(job) or " before it began"
            return Words(f"Cancelled{_by(job)}{when}{_why_cancelled(job)}")
        case State.SUCCEEDED:
            return Words(_done(job))
        case State.FAILED:
            return _failed(job, larger)


def describe_turn(job: Job, turn: Turn) -> str:
    """What is said of a change of the job's state, once it is past."""
    then = replace(job, state=turn.state, reason=turn.reason, cause=turn.cause, facts=turn.facts)
    if turn.state.is_terminal:
        return describe(then).sentence
    if turn.state is State.RUNNING:
        return "Running"
    if turn.cause is not None:
        ended = replace(then, state=State.FAILED, attempt=turn.attempt - 1, cell=0)
        return f"{describe(ended).sentence}; tried again"
    return describe(replace(then, attempt=1)).sentence


def _waiting(job: Job) -> str:
    again = f" (try {job.attempt})" if job.attempt > 1 else ""
    return _describe_reason(job) + again


def _describe_reason(job: Job) -> str:
    match job.reason:
        case None:
            return "Starting" if job.state is State.STARTING else "Waiting"
        case Reason.SERVICE:
            return "Accepted, about to be started"
        case Reason.CLUSTER_UNREACHABLE:
            return "The cluster cannot be reached now; the job keeps its place"
        case Reason.HUB_UNREACHABLE:
            return "The hub does not say now who is in its group; the job keeps its place"
    names: Facts = {
        "class": job.request.machine_class,
        "group": job.request.group,
        "image": job.request.image,
    }
    return describe_start(Waiting(job.reason, {**job.facts, **names}))


def _place(job: Job) -> str:
    if not job.cell:
        return ""
    return f"Cell {job.cell} of {job.total}" if job.total else f"Cell {job.cell}"


def _in_cell(job: Job) -> str:
    return f" in cell {job.cell}" if job.cell else ""


def _by(job: Job) -> str:
    """Who cancelled it, where that was not its owner."""
    who = job.facts.get("cancelled_by")
    return f" by {who}" if who else ""


def _why_cancelled(job: Job) -> str:
    why = job.facts.get("because")
    return f": “{why}”" if why else ""


def _done(job: Job) -> str:
    if not job.total and job.has_result:
        return "Finished: the notebook has no cell to run"
    is_early = job.facts.get("ended_itself") is True
    if is_early:
        words = f"Finished in cell {job.cell} of {job.total}"
    else:
        words = f"{amounts.count(job.total, 'cell')} finished" if job.total else "Finished"
    if job.started and job.ended:
        words += f" in {amounts.duration((job.ended - job.started).total_seconds())}"
    if job.memory_peak_bytes:
        words += f", peak {amounts.size(job.memory_peak_bytes)}"
    return f"{words}: the notebook ended itself" if is_early else words


def _failed(job: Job, larger: InstanceClass | None) -> Words:
    if job.cause is Cause.OUT_OF_MEMORY:
        return _out_of_memory(job, larger)
    return _CAUSES[job.cause or Cause.INTERNAL](job)


def _cell_error(job: Job) -> Words:
    kept = _kept(job)
    if "error_cell" in job.facts:
        kept = f"The notebook went on to cell {job.cell}; all of it is kept."
    return Words(_raised(job), _join(kept, "Mend the notebook and submit it again."))


def _kernel_died(job: Job) -> Words:
    step = "Look at the end of the log, then run it again."
    return Words(f"The kernel died{_in_cell(job)}", _join(_kept(job), step))


def _out_of_memory(job: Job, larger: InstanceClass | None) -> Words:
    peak, limit = max(job.memory_peak_bytes, job.memory_bytes), job.memory_limit_bytes
    at = f" at {amounts.size_of(peak, limit)}" if peak and limit else ""
    if larger is None:
        step = "Load less data at a time; no class with more memory is to be had for this job."
    else:
        memory = amounts.size(larger.memory_bytes)
        step = f"The same notebook needs more memory: {larger.name} has {memory}."
    return Words(f"Out of memory{_in_cell(job)}{at}", _join(_kept(job), step))


def _time_limit(job: Job) -> Words:
    limit = amounts.duration(job.request.time_limit_seconds)
    step = "Submit it again with a longer time limit."
    return Words(f"Time limit of {limit} reached{_in_cell(job)}", _join(_kept(job), step))


def _interrupted(job: Job) -> Words:
    if job.facts.get("filled_scratch") is True:
        step = (
            "Write less to $SCRATCH and /tmp at a time, or choose a class with more scratch space."
        )
        return Words(f"Its disk space was used up{_in_cell(job)}", _join(_kept(job), step))
    tries = f" after {job.attempt} tries" if job.attempt > 1 else ""
    step = "The machine was lost or stopped; run it again."
    return Words(f"Interrupted{_in_cell(job)}{tries}", _join(_kept(job), step))


def _no_capacity(job: Job) -> Words:
    waited = job.facts.get("waited_seconds")
    so_long = f" for {amounts.duration(waited)}" if isinstance(waited, int | float) else ""
    sentence = f"No machine of class {job.request.machine_class} could be had{so_long}"
    if job.facts.get("beyond_limit") is True:
        return Words(
            f"{sentence}: the limit of its pool leaves no room for one",
            "Choose another class, or ask an administrator to raise that limit.",
        )
    if job.facts.get("asking") is True:
        return Words(
            f"{sentence}: nobody said why",
            "Tell an administrator: what starts machines may be stopped, or has no pool for them.",
        )
    return Words(sentence, "Run it again later, or choose another class.")


def _image_pull(job: Job) -> Words:
    because = _PULLS.get(job.facts.get("pull", ""), "")
    return Words(
        f"The image {job.request.image} could not be pulled{because}",
        "Tell an administrator; the notebook is not at fault.",
    )


def _refused(job: Job) -> Words:
    gone = job.facts.get("not_in_catalogue")
    if isinstance(gone, list) and gone:
        return Words(
            f"Refused: {quote(' and '.join(map(str, gone)))} can no longer be chosen",
            "Choose another group, image or class, or ask an administrator.",
        )
    if job.facts.get("not_member"):
        return Words(
            f"Refused: {job.owner} is not in group {job.request.group} any more",
            "Submit it for another group, or ask an administrator.",
        )
    if because := _because(job):
        return Words(f"Refused{because}", "Mend that, then submit the notebook again.")
    return Words("Refused", "The log may say why; else ask an administrator.")


def _removed(job: Job) -> Words:
    step = "Somebody deleted it from outside; run it again."
    return Words(f"Removed{_in_cell(job)}", _join(_kept(job), step))


def _output_lost(job: Job) -> Words:
    return Words(
        f"The executed notebook could not be written{_because(job)}",
        "Make room in your home or mend its permissions, then run it again.",
    )


def _internal(job: Job) -> Words:
    step = "Run it again; if it fails the same way, tell an administrator."
    if reason := job.facts.get("never_started"):
        return Words(f"It could not be started: {quote(reason)}", step)
    tries = f" in {job.attempt} tries" if job.attempt > 1 else ""
    words = f"It could not be run{_in_cell(job)}{tries}{_because(job)}"
    return Words(words, _join(_kept(job), step))


_CAUSES: Mapping[Cause, Callable[[Job], Words]] = {
    Cause.CELL_ERROR: _cell_error,
    Cause.KERNEL_DIED: _kernel_died,
    Cause.TIME_LIMIT: _time_limit,
    Cause.INTERRUPTED: _interrupted,
    Cause.NO_CAPACITY: _no_capacity,
    Cause.IMAGE_PULL: _image_pull,
    Cause.REFUSED: _refused,
    Cause.REMOVED: _removed,
    Cause.OUTPUT_LOST: _output_lost,
    Cause.INTERNAL: _internal,
}
_PULLS: Mapping[str, str] = {
    PullFailure.MISSING: ": the registry does not have it",
    PullFailure.REFUSED: ": the registry does not give it to the machine",
    PullFailure.AWAY: ": its registry did not answer",
}
_HINDERED: Mapping[str, str] = {
    Hindrance.FOLDERS: "the folders of the home could not be prepared",
    Hindrance.VOLUME: "a volume could not be mounted",
    Hindrance.END: "its container could not be started",
    Hindrance.SILENT: "its runner never reported",
}


def _raised(job: Job) -> str:
    number = job.facts.get("error_cell") or job.cell
    place = f"Cell {number}" if number else "A cell"
    name = quote(job.facts.get("error_name") or "an error")
    value = quote(job.facts.get("error_value") or "")
    return f"{place} raised {name}: {value}" if value else f"{place} raised {name}"


def _kept(job: Job) -> str | None:
    """What there is of a run that ended in a cell."""
    done = min(job.cell - 1, job.facts.get("kept_cells", job.cell))
    if done < 1:
        return None
    return "Cell 1 is finished and kept." if done == 1 else f"Cells 1–{done} are finished and kept."


def _because(job: Job) -> str:
    words = _HINDERED.get(job.facts.get("hindrance", ""), "")
    message = quote(job.facts.get("message") or "")
    return "".join(f": {part}" for part in (words, message) if part)


def _join(*parts: str | None) -> str | None:
    return " ".join(part for part in parts if part) or None
