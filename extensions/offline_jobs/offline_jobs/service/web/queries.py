"""Query parameters that a route does not heed are refused: a misspelt filter filters nothing."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from offline_jobs.service.errors import Unsound

_LONGEST_SHOWN = 60


def check_query(request: Request) -> None:
    """Refuse a key that the route has not, or one that is there twice; a dependency of routes.

    Raises:
        Unsound: with the key as its field.
    """
    keys = [key for key, _ in request.query_params.multi_items()]
    if not keys:
        return
    route = request.scope["route"]
    known = set(_find_keys(route.dependant)) if isinstance(route, APIRoute) else set()
    for key in keys:
        if key not in known:
            raise Unsound(
                "There is no such query parameter.",
                code="unknown-query",
                field=key[:_LONGEST_SHOWN],
                allowed=tuple(sorted(known)),
            )
        if keys.count(key) > 1:
            raise Unsound("Give it once.", code="repeated-query", field=key[:_LONGEST_SHOWN])


def _find_keys(dependant: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _find_keys(inner)
