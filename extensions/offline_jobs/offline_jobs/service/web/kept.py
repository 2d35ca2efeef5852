"""What a job left, opened for those who may see it: for the download and for the view."""

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from hub_config.platform.people import Person
from offline_jobs.service.errors import NoResult
from offline_jobs.service.model import Job
from offline_jobs.service.object_store import StoredObject, result_key
from offline_jobs.service.web.lane import in_lane
from offline_jobs.service.web.rooms import rooms_of


async def open_result(
    request: Request, person: Person, job_id: str, *, to_look: bool = False
) -> tuple[Job, StoredObject]:
    """A job that the person may see, and its executed notebook; while it runs, the last copy.

    Args:
        request: of the person.
        person: who asks.
        job_id: of the job.
        to_look: it is only looked at, which guests may as well.

    Raises:
        NotFound: there is no such job that the person may see.
        NoResult: there is no executed notebook of it.
        Unavailable: it cannot be read now.
    """
    rooms = rooms_of(request)
    find = rooms.access.find_shown if to_look else rooms.access.find_visible
    job = await run_in_threadpool(find, person, job_id)
    key = result_key(job.id, job.attempt)
    kept = await in_lane(request, lambda: rooms.objects.open(key))
    if kept is None:
        ended = "It ended before there was one." if job.state.is_terminal else "Wait for its end."
        raise NoResult(f"There is no executed notebook of this job. {ended}")
    return job, kept
