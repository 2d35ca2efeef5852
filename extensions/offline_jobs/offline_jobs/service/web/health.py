"""Whether an application answers and can reach its database; the same on both ports."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from offline_jobs.service.web.services import services_of

router = APIRouter(include_in_schema=False)


@router.get("/health")
def show_health(request: Request) -> Response:
    """Ready: the database answers."""
    services_of(request).store.version(None)
    return JSONResponse({"status": "ok"})
