"""Whether an application answers and can reach its database; the same on both ports.

While it can read it is of use, and stays ready: what cannot be written is said.
"""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(include_in_schema=False)


@router.get("/health")
def show_health(request: Request) -> Response:
    """Ready: the database answers."""
    trouble = rooms_of(request).store.find_trouble()
    return JSONResponse({"status": "degraded", "message": trouble} if trouble else {"status": "ok"})
