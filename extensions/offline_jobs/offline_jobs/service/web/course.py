"""How a run goes: what it took over time, its cells by their first lines, earlier runs' times.

For the page of one job alone: lists have none of it. Nothing of a cell but its first line leaves
here, as JSON.
"""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from offline_jobs.service.rules.earlier import MOST_RUNS, find_run_times
from offline_jobs.service.web.identity import CallerOf
from offline_jobs.service.web.reading import reader_of
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(tags=["results"])

#: So many earlier runs are read, that there are enough of them on the job's own class.
_MOST_READ = 3 * MOST_RUNS


@router.get("/jobs/{job_id}/course")
def show_course(request: Request, caller: CallerOf, job_id: str) -> Response:
    """Memory and cores over time, as far as the runner has said; null where it says nothing.

    Of a job that has not ended also how many seconds earlier runs of its notebook took, in growing
    order; none where there are too few, and to guests.
    """
    rooms = rooms_of(request)
    job = rooms.access.find_shown(caller.person, job_id)
    is_told = not job.state.is_terminal and rooms.access.may_see(caller.person, job)
    earlier = rooms.store.list_earlier(job, _MOST_READ) if is_told else []
    content = {
        "series": rooms.store.series(job.id, job.attempt),
        "earlier_seconds": find_run_times(job, earlier),
    }
    return JSONResponse(content)


@router.get("/jobs/{job_id}/cells")
async def list_cells(request: Request, caller: CallerOf, job_id: str) -> Response:
    """The first line of each cell that is run, in order; of the others nothing is counted.

    A guest has them where the result has them as well.
    """
    rooms = rooms_of(request)
    job = await run_in_threadpool(rooms.access.find_shown, caller.person, job_id)
    if not (job.has_result or rooms.access.may_see(caller.person, job)):
        return JSONResponse({"lines": []})
    snapshot = await run_in_threadpool(rooms.store.snapshot, job.id)
    lines = await reader_of(request).read_lines(caller.name, job, snapshot)
    return JSONResponse({"lines": lines})
