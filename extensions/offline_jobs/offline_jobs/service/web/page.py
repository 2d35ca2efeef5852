"""The Offline Jobs page: list, use, one job, the end of a login; works with no server running.

Pages are shells: names, sentences and logs come as JSON from the same API that everybody uses and
are put in as text by the script (``src/page``). No inline script or style, and none from elsewhere.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hub_config.platform import away
from hub_config.platform.people import Person
from offline_jobs.service.errors import Forbidden, NotFound, ServiceError, Unauthorized
from offline_jobs.service.hub import Hub
from offline_jobs.service.web.identity import Caller, identify_caller
from offline_jobs.service.web.login import (
    CLIENT_ID,
    Sessions,
    finish_login,
    hub_session_of,
    keep_session,
    send_to_login,
)
from offline_jobs.service.web.rooms import Rooms, rooms_of
from offline_jobs.service.web.wanted import Slug

router = APIRouter(include_in_schema=False)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
#: In the addresses of list and use: `src/page/filters.ts` and `usage.ts` read them.
FILTERS = frozenset({"q", "state", "user", "group", "class", "image", "from", "until"})
FILTERS_OF_USE = frozenset({"first", "last", "by"})
#: Of the page of groups: `src/page/groups.ts`.
FILTERS_OF_GROUPS = frozenset({"show", "person"})
#: Of a job's page, what is looked at: `src/page/tabs.ts`.
VIEWS = frozenset({"tab", "cell"})
_HERE = Path(__file__).parent
#: Name -> folder, media type. The script is built of `src/page`, with the Lab extension; the look
#: is the hub's as well.
_STATIC = {
    "look.css": (away.PAGES, "text/css; charset=utf-8"),
    "theme.js": (away.PAGES, "text/javascript; charset=utf-8"),
    "job.css": (_HERE / "static", "text/css; charset=utf-8"),
    "list.css": (_HERE / "static", "text/css; charset=utf-8"),
    "page.css": (_HERE / "static", "text/css; charset=utf-8"),
    "groups.css": (_HERE / "static", "text/css; charset=utf-8"),
    "usage.css": (_HERE / "static", "text/css; charset=utf-8"),
    "page.js": (_HERE / "built", "text/javascript; charset=utf-8"),
    "icon.svg": (_HERE / "static", "image/svg+xml"),
}


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader([_HERE / "templates", away.PAGES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@router.get("/")
async def show_list(request: Request) -> Response:
    """The page of one's jobs."""
    return await _show(request, "list.html", "Offline jobs")


@router.get("/usage")
async def show_usage(request: Request) -> Response:
    """The page of what was used."""
    return await _show(request, "usage.html", "Usage")


@router.get("/groups")
async def show_groups(request: Request, group: Slug = None) -> Response:
    """The page of how groups stand, for those who lead them and administrators."""
    access = rooms_of(request).access
    return await _show(
        request, "groups.html", "Groups", lambda who: access.choose_groups(who, group)
    )


async def _show(
    request: Request, template: str, title: str, check: Callable[[Person], object] | None = None
) -> Response:
    """A page that is there for everybody who is logged in, or for whom a check lets pass."""
    try:
        caller = await identify_caller(request)
        if check:
            check(caller.person)
    except ServiceError as e:
        return _turn_away(request, e)
    return _render(request, caller, template, title=title)


@router.get("/jobs/{job_id}")
async def show_one(request: Request, job_id: str) -> Response:
    """The page of one job."""
    try:
        caller = await identify_caller(request)
        access = rooms_of(request).access
        job = await run_in_threadpool(access.find_shown, caller.person, job_id)
    except ServiceError as e:
        return _turn_away(request, e)
    guest = not access.may_see(caller.person, job)
    name = job.request.name
    return _render(request, caller, "job.html", title=name, job_id=job.id, guest=guest)


@router.get("/oauth_callback")
async def end_login(
    request: Request,
    code: Annotated[str, Query(max_length=500)] = "",
    state: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """The browser comes back from the hub's login."""
    rooms, sessions = rooms_of(request), _sessions(request)
    hub: Hub = request.app.state.hub
    try:
        path = finish_login(request, rooms.addresses, sessions, state)
        token = await hub.exchange_code(
            code, client_id=CLIENT_ID, redirect_uri=rooms.addresses.oauth_redirect_uri
        )
        if token is None:
            raise Unauthorized("The hub did not confirm the login. Please try again.")
    except ServiceError as e:
        return _message(request, e)
    response = RedirectResponse(path, 302)
    session = sessions.begin(token, hub_session_of(request))
    keep_session(response, rooms.addresses, session, state)
    return response


@router.get("/static/{name}")
def show_static(name: str) -> Response:
    """Style and script of the page: the same for everybody, so no login is asked."""
    if name not in _STATIC:
        raise NotFound("There is nothing at this address.")
    folder, media_type = _STATIC[name]
    content = (folder / name).read_bytes()
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})


def _turn_away(request: Request, error: ServiceError) -> Response:
    """To the login where there is none yet, else say in words what is wrong."""
    if isinstance(error, Unauthorized) and "authorization" not in request.headers:
        rooms = rooms_of(request)
        # Of what a link's author put into the query only what narrows a list is carried through.
        kept = FILTERS | FILTERS_OF_USE | FILTERS_OF_GROUPS | VIEWS
        known = [(k, v) for k, v in request.query_params.items() if k in kept]
        place = request.url.path + (f"?{urlencode(known)}" if known else "")
        return send_to_login(request, rooms.addresses, _sessions(request), place)
    return _message(request, error)


def _message(request: Request, error: ServiceError) -> Response:
    title = {404: "No such job", 401: "Please log in", 403: "Not for you"}
    return _render(
        request,
        None,
        "message.html",
        status=error.status,
        title=title.get(error.status, "That did not work"),
        message=error.message,
        login=isinstance(error, Unauthorized | Forbidden),
    )


def _render(
    request: Request, caller: Caller | None, template: str, *, status: int = 200, **values: object
) -> Response:
    rooms: Rooms = rooms_of(request)
    text = (
        _templates()
        .get_template(template)
        .render(
            base=rooms.addresses.base_path,
            hub=rooms.addresses.hub_base,
            theme_domain=rooms.addresses.theme_domain,
            user=caller.name if caller else "",
            admin=bool(caller and caller.admin),
            leads=rooms.access.list_led(caller.person) if caller else [],
            xsrf=(caller and caller.xsrf) or "",
            **values,
        )
    )
    return HTMLResponse(text, status)


def _sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions
