"""The proxy's page for what does not answer, here for when the hub is what is away.

No browser comes here: the proxy leads `/hub/` to the hub. It takes body and type, not the headers.
"""

from functools import cache

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader
from starlette.responses import HTMLResponse, Response

from hub_config.platform import away
from offline_jobs.service.web.rooms import rooms_of

router = APIRouter(include_in_schema=False)


@cache
def _pages() -> Environment:
    return Environment(loader=FileSystemLoader(away.PAGES), autoescape=True)


@router.get(f"{away.PATH}{{status}}")
def show_away(request: Request, status: int) -> Response:
    """The page for any status that the proxy has: it looks at its own address."""
    home = f"{rooms_of(request).addresses.hub_base}hub/home"
    return HTMLResponse(_pages().get_template(away.PAGE).render(home=home))
