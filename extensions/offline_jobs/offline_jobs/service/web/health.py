"""Whether the service is alive, and whether it can serve; the same on both ports.

Alive is a service that gets on: a database, a bucket or a cluster that is away is no reason to
start it anew, which would mend none of them. It can serve while it can read: what cannot be written
is said.
"""

import logging

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from offline_jobs.service.errors import Unavailable
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(include_in_schema=False)
log = logging.getLogger(__name__)

PATH_LIVE = "/live"
PATH_HEALTH = "/health"


@router.get(PATH_LIVE)
async def show_life(request: Request) -> Response:
    """Alive: this answers, so the event loop turns, and the loop that starts jobs gets on."""
    silent = rooms_of(request).pulse.find_silence()
    if silent is None:
        return JSONResponse({"status": "ok"})
    log.error("the loop that starts jobs is stuck", extra={"seconds": round(silent)})
    message = f"The loop that starts jobs has been stuck for {silent:.0f} s."
    return JSONResponse({"status": "stuck", "message": message}, 503)


@router.get(PATH_HEALTH)
def show_health(request: Request) -> Response:
    """Ready: the database can be read; with what else is away."""
    rooms = rooms_of(request)
    try:
        troubles = [rooms.store.find_trouble(), rooms.objects.trouble]
    except Unavailable as error:
        return JSONResponse({"status": "unavailable", "message": error.message}, 503)
    message = " ".join(filter(None, troubles))
    return JSONResponse({"status": "degraded", "message": message} if message else {"status": "ok"})
