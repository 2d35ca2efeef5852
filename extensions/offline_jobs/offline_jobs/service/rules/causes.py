"""Why an attempt ended: the one judge of causes.

Weighed in this order: the runner's result record (by the service's own store, else found beside the
object), the termination message's outcome, what the place says (killed for memory, removed), the
exit code. The last three are all that is left when the runner was killed. Pure.
"""

from collections.abc import Mapping

from offline_jobs.contract.exits import Exit
from offline_jobs.contract.facts import Facts, Hindrance
from offline_jobs.contract.run import ResultRecord, Termination
from offline_jobs.contract.states import Cause, State
from offline_jobs.service.model import Attempt, Ending, Evidence, Job
from offline_jobs.service.rules.deadlines import why_given_up

#: A runner that vanished this close to its memory's limit was killed for memory.
_NEARLY_FULL = 0.95
_MESSAGE_CHARACTERS = 500
_SIGKILL = -9
#: Exit codes of a runner that did not come to its end through the notebook.
_ENDS_FROM_OUTSIDE = (Exit.INFRASTRUCTURE, Exit.INTERRUPTED)

_SUCCEEDED = "succeeded"
_CANCELLED = "cancelled"
_CAUSES = {cause.value: cause for cause in Cause}
_OUTCOME_OF_EXIT: Mapping[int, str] = {
    Exit.SUCCEEDED: _SUCCEEDED,
    Exit.CELL_FAILED: Cause.CELL_ERROR,
    Exit.KERNEL_DIED: Cause.KERNEL_DIED,
    Exit.TIME_LIMIT: Cause.TIME_LIMIT,
    Exit.INTERRUPTED: Cause.INTERRUPTED,
    Exit.OUTPUT_LOST: Cause.OUTPUT_LOST,
    Exit.OUT_OF_MEMORY: Cause.OUT_OF_MEMORY,
    Exit.CANCELLED: _CANCELLED,
    Exit.BAD_SPECIFICATION: Cause.REFUSED,
    Exit.INFRASTRUCTURE: Cause.INTERNAL,
}


def judge(job: Job, attempt: Attempt, evidence: Evidence, *, overtime: bool = False) -> Ending:
    """How the attempt ended, from everything that is known of it.

    ``overtime``: it was ended from outside because its runner had not kept the time limit.
    """
    record = attempt.result or evidence.result
    outcome = _outcome(attempt, evidence, record)
    if outcome == Cause.KERNEL_DIED and evidence.killed_for_memory:
        # The runner saw its kernel die; the place knows what killed it (cgroup v1 kills the process
        # that asked for too much, v2 the whole container).
        outcome = Cause.OUT_OF_MEMORY
    if outcome == Cause.INTERRUPTED and evidence.removed:
        # All that a runner sees is a signal.
        outcome = Cause.REMOVED
    wanted = job.cancel_requested is not None
    given_up = why_given_up(job)
    facts = _facts(record, evidence)
    if outcome == _SUCCEEDED:
        state, cause = State.SUCCEEDED, None
        # Without a record the last cell that was heard of may be any.
        is_early = record is not None and 0 < record.cell < record.total
        facts = {"ended_itself": True} if is_early else {}
    elif wanted and outcome in (_CANCELLED, Cause.INTERRUPTED, Cause.REMOVED):
        state, cause = State.CANCELLED, None
    elif overtime and outcome in (Cause.INTERRUPTED, Cause.REMOVED, _CANCELLED):
        state, cause = State.FAILED, Cause.TIME_LIMIT
    elif given_up and outcome in (Cause.INTERRUPTED, Cause.REMOVED, _CANCELLED):
        state, cause = State.FAILED, given_up
        facts["waited_seconds"] = job.facts["waited_seconds"]
        if given_up in (Cause.NO_CAPACITY, Cause.IMAGE_PULL):
            facts |= _find_want(job.facts)
        if given_up is Cause.INTERNAL:
            # Of what was said last, how we ended it would be no reason.
            facts.pop("message", None)
            facts |= _find_obstacle(job.facts)
    else:
        # Cancelled without the owner's wish: somebody else ended it.
        state, cause = State.FAILED, _CAUSES.get(outcome, Cause.INTERRUPTED)
    termination = evidence.termination or Termination()
    return Ending(
        state=state,
        cause=cause,
        facts=job.cancel_facts if state is State.CANCELLED else facts,
        cell=last_cell(attempt, evidence),
        total=(record.total if record else 0) or termination.total or attempt.total,
        memory_bytes=termination.memory_bytes or attempt.memory_bytes,
        memory_limit_bytes=(
            termination.memory_limit_bytes
            or (record.memory_limit_bytes if record else 0)
            or attempt.memory_limit_bytes
        ),
        record=record,
    )


def last_cell(attempt: Attempt, evidence: Evidence) -> int:
    """The last cell that began by anybody's word; 0: none did."""
    words = [attempt.cell]
    words += [record.cell for record in (attempt.result, evidence.result) if record]
    words += [evidence.termination.cell] if evidence.termination else []
    return max(words)


def may_try_again(job: Job, attempt: Attempt, evidence: Evidence, ending: Ending) -> bool:
    """Whether another attempt is harmless and useful.

    That is: nobody wants an end, it was not given up (it would only wait again), the first cell
    never began, and the runner vanished, was stopped by a signal (its machine goes away, or the
    service's did) or met a fault of the infrastructure. A job that may be interrupted is also tried
    again after a cell, for its owner said so; only where its machine was taken away.
    """
    if job.cancel_requested is not None or why_given_up(job):
        return False
    if evidence.removed or ending.state is not State.FAILED:
        return False
    if attempt.first_cell is not None or ending.cell:
        was_taken = ending.cause is Cause.INTERRUPTED and not evidence.filled_scratch
        return job.request.interruptible and was_taken
    if (record := attempt.result or evidence.result) is not None:
        return record.exit_code in _ENDS_FROM_OUTSIDE
    if evidence.exit_code in _ENDS_FROM_OUTSIDE:
        return True
    said = evidence.termination.outcome if evidence.termination is not None else ""
    return _vanished(evidence.exit_code) and said in ("", Cause.INTERRUPTED)


def _outcome(attempt: Attempt, evidence: Evidence, record: ResultRecord | None) -> str:
    if record is not None:
        return record.outcome
    if evidence.termination is not None and evidence.termination.outcome:
        return evidence.termination.outcome
    if evidence.killed_for_memory:
        return Cause.OUT_OF_MEMORY
    if evidence.removed:
        return Cause.REMOVED
    if _vanished(evidence.exit_code):
        full = evidence.exit_code in (None, _SIGKILL) and _was_nearly_full(attempt, evidence)
        return Cause.OUT_OF_MEMORY if full else Cause.INTERRUPTED
    return _OUTCOME_OF_EXIT.get(evidence.exit_code or 0, Cause.INTERNAL)


def _vanished(exit_code: int | None) -> bool:
    return exit_code is None or exit_code < 0


def _was_nearly_full(attempt: Attempt, evidence: Evidence) -> bool:
    words = [(attempt.memory_bytes, attempt.memory_limit_bytes)]
    if evidence.termination is not None:
        termination = evidence.termination
        words.append((termination.memory_bytes, termination.memory_limit_bytes))
    return any(limit and used >= _NEARLY_FULL * limit for used, limit in words)


def _find_want(facts: Facts) -> Facts:
    """Why a machine or an image could not be had, where that is known."""
    if "pull" in facts:
        return {"pull": facts["pull"]}
    want: Facts = {}
    if facts.get("beyond_limit") is True:
        want["beyond_limit"] = True
    if facts.get("asking") is True and facts.get("full") is not True:
        want["asking"] = True
    return want


def _find_obstacle(facts: Facts) -> Facts:
    """What kept a job from starting until it was given up; without another word its container."""
    said = facts.get("said")
    return {
        "hindrance": facts.get("hindrance", Hindrance.END),
        **({"message": str(said)[:_MESSAGE_CHARACTERS]} if said else {}),
    }


def _facts(record: ResultRecord | None, evidence: Evidence) -> Facts:
    facts: Facts = {}
    if record is not None and record.error:
        facts["error_name"] = str(record.error.get("name", ""))[:_MESSAGE_CHARACTERS]
        facts["error_value"] = str(record.error.get("value", ""))[:_MESSAGE_CHARACTERS]
        number = str(record.error.get("cell", ""))
        if number.isdecimal() and 0 < int(number) < record.cell:
            facts["error_cell"] = int(number)
    message = (record.message if record else "") or evidence.message
    if message:
        facts["message"] = message[:_MESSAGE_CHARACTERS]
    if evidence.filled_scratch:
        facts["filled_scratch"] = True
    if evidence.hindrance:
        facts["hindrance"] = evidence.hindrance
    return facts
