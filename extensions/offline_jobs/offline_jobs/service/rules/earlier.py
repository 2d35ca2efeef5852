"""How long earlier runs of a notebook took: what the time that is left is reckoned from. Pure."""

from collections.abc import Iterable

from offline_jobs.service.model import Job

#: Fewer say nothing of how much they differ.
LEAST_RUNS = 2
MOST_RUNS = 10


def find_run_times(job: Job, earlier: Iterable[Job]) -> list[float]:
    """Seconds that earlier runs took from their first cell to their end, in growing order.

    Those on the job's own class, where there are enough of them; else those on any. Empty where
    there are too few.

    Args:
        job: the one that is at work.
        earlier: runs of its notebook that succeeded at the first try, newest first.
    """
    ended = [each for each in earlier if each.started and each.ended]
    own_class = job.request.machine_class
    alike = [each for each in ended if each.request.machine_class == own_class]
    chosen = (alike if len(alike) >= LEAST_RUNS else ended)[:MOST_RUNS]
    if len(chosen) < LEAST_RUNS:
        return []
    seconds = (
        (each.ended - each.started).total_seconds()
        for each in chosen
        if each.ended and each.started
    )
    return sorted(round(each, 1) for each in seconds)
