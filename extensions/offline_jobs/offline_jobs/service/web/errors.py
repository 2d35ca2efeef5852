"""Errors as JSON: ``{code, message, field?, allowed?, id?}``, whatever went wrong.

``app.py`` installs these handlers in both applications. Only texts of our own reach a caller; what
is unexpected is logged and answered with a plain 500.
"""

import errno
import logging
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from hub_config.platform.errors import Refused
from offline_jobs.service.errors import ServiceError, StorageFull, Unavailable, Unsound

log = logging.getLogger(__name__)

_FULL = (errno.ENOSPC, errno.EDQUOT)
_RETRY_SECONDS = "5"
_HTTP_MESSAGES = {
    404: ("not-found", "There is nothing at this address."),
    405: ("method-not-allowed", "This address does not answer that method."),
}


def install_handlers(app: FastAPI, *, full_status: int) -> None:
    """Make ``app`` answer every error in JSON; ``full_status`` says that there is no room."""
    app.state.full_status = full_status
    app.add_exception_handler(ServiceError, _answer_service_error)
    app.add_exception_handler(OSError, _answer_system)
    app.add_exception_handler(Refused, _answer_refused)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(Exception, _answer_unexpected)


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    allowed: Sequence[str] | None = None,
    id: str | None = None,
) -> JSONResponse:
    """An error's answer; keys without a value are left out."""
    content: dict[str, object] = {"code": code, "message": message}
    if field is not None:
        content["field"] = field
    if allowed is not None:
        content["allowed"] = list(allowed)
    if id is not None:
        content["id"] = id
    return JSONResponse(content, status)


def answer_error(error: ServiceError) -> JSONResponse:
    """The answer to one of our errors; one that passes says when to try again."""
    answer = error_answer(
        error.status,
        error.code,
        error.message,
        field=error.field,
        allowed=error.allowed,
        id=error.id,
    )
    if isinstance(error, Unavailable):
        answer.headers["Retry-After"] = _RETRY_SECONDS
    return answer


def refusal_of_shape(error: ValidationError, fields: Sequence[str]) -> Unsound:
    """The first thing that is wrong with a body's shape, with its field.

    Args:
        error: what pydantic found.
        fields: the body's fields, for a caller that sent an unknown one.
    """
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind, text = first["type"], first["msg"]
    # Names of the sender may be in the place: keep it short.
    place = ".".join(str(part)[:60] for part in first["loc"][:4])
    if kind == "json_invalid":
        return Unsound(
            "The body is not valid JSON (UTF-8, not nested too deeply).",
            code="invalid-json",
            field="body",
        )
    if kind == "extra_forbidden":
        known = fields if len(first["loc"]) == 1 else None
        return Unsound("There is no such field.", code="unknown-field", field=place, allowed=known)
    if kind == "missing":
        return Unsound("This field is needed.", code="missing-field", field=place)
    return Unsound(f"{text}.", code="invalid-field", field=place or "body")


def _answer_service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)  # noqa: S101  (Starlette calls by type)
    answer = answer_error(error)
    if isinstance(error, StorageFull):
        answer.status_code = request.app.state.full_status
    return answer


def _answer_system(request: Request, error: Exception) -> JSONResponse:
    """A disk that is full is said; everything else is a mistake of ours."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return _answer_service_error(request, StorageFull())
    raise error


def _answer_refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101
    return error_answer(422, error.code, error.message, field=error.field, allowed=error.allowed)


def _answer_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    place = [str(part)[:60] for part in first["loc"]]
    field = ".".join(place[1:] if place[0] in ("query", "header", "path", "body") else place)
    code = "missing-field" if first["type"] == "missing" else "invalid-field"
    return error_answer(422, code, f"{first['msg']}.", field=field)


def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    code, message = _HTTP_MESSAGES.get(
        error.status_code, ("refused", "The request cannot be answered.")
    )
    answer = error_answer(error.status_code, code, message)
    answer.headers.update(error.headers or {})
    return answer


def _answer_nobody(request: Request, error: Exception) -> JSONResponse:
    """Whoever asked has left amid the body; the status is for our own log."""
    return error_answer(400, "disconnected", "The connection ended before the whole body came.")


def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    return error_answer(
        500, "internal", "The service made a mistake; it is in the service's log. Try again."
    )
