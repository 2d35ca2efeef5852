"""The two applications: the public one below the base path, the runner's on its own port.

``app.py`` builds them once; tests build them with an ``identify`` of their own.
"""

from http import HTTPStatus

from anyio import CapacityLimiter
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response

from offline_jobs.contract import run
from offline_jobs.contract.names import API_PREFIX, RUNS_PREFIX
from offline_jobs.contract.session import PATH_SESSIONS
from offline_jobs.service.hub import Hub
from offline_jobs.service.web import (
    away,
    catalogue,
    course,
    events,
    groups,
    health,
    hub_calls,
    jobs,
    page,
    results,
    runs,
    submissions,
    usage,
    viewing,
)
from offline_jobs.service.web.errors import install_handlers
from offline_jobs.service.web.events import Streams
from offline_jobs.service.web.identity import CallerOf, Identify, identify_caller
from offline_jobs.service.web.lane import THREADS
from offline_jobs.service.web.layers import AccessLog, AnswerHeaders
from offline_jobs.service.web.limits import BodyLimit, LimitOf
from offline_jobs.service.web.login import Sessions
from offline_jobs.service.web.queries import check_query
from offline_jobs.service.web.reading import Reader
from offline_jobs.service.web.rooms import Rooms

SUBMISSION_BYTES = 25 * 1024**2
SMALL_BYTES = 64 * 1024
PROGRESS_BYTES = 4 * 1024**2
#: A full message of turns of sessions with the longest names, each letter escaped.
TURNS_BYTES = 1024**2
PROBES = (health.PATH_HEALTH, health.PATH_LIVE)
HEADERS = {
    "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def build_public_app(
    rooms: Rooms,
    identify: Identify,
    *,
    sessions: Sessions | None = None,
    hub: Hub | None = None,
) -> FastAPI:
    """The application that users reach through the hub's proxy.

    Args:
        rooms: the rooms below.
        identify: who calls; :class:`~offline_jobs.service.web.identity.HubIdentity` in a service.
        sessions: sessions of the page.
        hub: where the page's login ends.
    """
    base = rooms.addresses.base_path.rstrip("/")
    api = f"{base}/{API_PREFIX}"
    app = _build(
        "Offline jobs",
        "public",
        lambda method, path: _public_limit(api, method, path),
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
    app.state.rooms = rooms
    app.state.identify = identify
    app.state.sessions = sessions or Sessions()
    app.state.hub = hub
    app.state.streams = Streams()
    app.state.reader = Reader()
    app.state.viewers = viewing.Viewers()
    guarded = APIRouter(prefix=api, dependencies=[Depends(identify_caller), Depends(check_query)])
    for part in (catalogue, submissions, jobs, results, course, viewing, usage, groups, events):
        guarded.include_router(part.router)
    guarded.add_api_route("/openapi.json", _show_openapi, include_in_schema=False)
    app.include_router(guarded)
    app.include_router(hub_calls.router, prefix=api)
    app.include_router(page.router, prefix=base)
    app.include_router(away.router)
    app.include_router(health.router)
    return app


def build_runs_app(rooms: Rooms) -> FastAPI:
    """The application that runners reach."""
    app = _build("Runs of offline jobs", "runs", _runs_limit, HTTPStatus.INSUFFICIENT_STORAGE)
    app.state.rooms = rooms
    app.include_router(runs.router, prefix=RUNS_PREFIX)
    app.include_router(health.router)
    return app


def _build(title: str, side: str, limit_of: LimitOf, full_status: HTTPStatus) -> FastAPI:
    app = FastAPI(
        title=title,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(AccessLog, side=side, probes=PROBES),
            Middleware(AnswerHeaders, headers=HEADERS),
            Middleware(BodyLimit, limit_of=limit_of),
        ],
    )
    app.state.lane = CapacityLimiter(THREADS)
    install_handlers(app, full_status=full_status)
    return app


def _show_openapi(request: Request, caller: CallerOf) -> Response:
    """The description of the API."""
    app: FastAPI = request.app
    return JSONResponse(app.openapi())


def _public_limit(api: str, method: str, path: str) -> int:
    if method == "POST" and path in (f"{api}/jobs", f"{api}/jobs/check"):
        return SUBMISSION_BYTES
    if method == "POST" and path == f"{api}/{PATH_SESSIONS}":
        return TURNS_BYTES
    return SMALL_BYTES


def _runs_limit(method: str, path: str) -> int:
    if method == "PUT" and path.endswith(run.PATH_NOTEBOOK):
        return run.MAX_NOTEBOOK_BYTES
    if method == "PUT" and path.endswith(run.PATH_LOG):
        return run.MAX_LOG_BYTES
    return PROGRESS_BYTES if method == "POST" else SMALL_BYTES
