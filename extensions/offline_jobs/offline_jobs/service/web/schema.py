"""Shapes of what the public application is sent; anything else is refused with its field.

Shape only: whether a submission can be run is decided by ``rules/submission.py``.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from offline_jobs.contract.request import Request
from offline_jobs.service.rules.submission import LONGEST_NAME, LONGEST_PATH
from offline_jobs.service.web.errors import refusal_of_shape

LONGEST_REASON = 300
LONGEST_LIMIT_SECONDS = 10 * 365 * 24 * 3600


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Kernel(_Strict):
    """Which kernel: one of the image, or one that the user installed in the home."""

    name: str = Field(max_length=100)
    source: Literal["image", "home"] = "image"


class Submission(_Strict):
    """Body of ``POST jobs`` and ``POST jobs/check``.

    What is left out is filled in: name, kernel and time limit; the group, for a person with one.
    """

    name: str = Field("", max_length=LONGEST_NAME)
    notebook: dict[str, Any]
    path: str = Field(min_length=1, max_length=LONGEST_PATH)
    group: str | None = Field(None, max_length=100)
    image: str | None = Field(None, max_length=100)
    machine_class: str | None = Field(None, max_length=100, alias="class")
    kernel: Kernel | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    time_limit_seconds: int | None = Field(None, ge=1, le=LONGEST_LIMIT_SECONDS)
    interruptible: bool = False

    def request(self, carried: Mapping[str, Any] | None = None) -> Request:
        """What was asked for, without the notebook.

        ``carried`` values are those of the run whose result the notebook is; given ones outrank.
        """
        said = self.model_dump(exclude={"notebook"}, exclude_none=True)
        return Request.from_json(said | {"parameters": {**(carried or {}), **self.parameters}})

    def canonical(self, notebook: str, parameters: Mapping[str, Any]) -> bytes:
        """One text for equal submissions, for the digest.

        Of what is as it would be unsaid nothing is in it, so that a field that comes later makes no
        other submission of one that is repeated then.

        ``notebook`` is the snapshot, ``parameters`` are all that it is run with.
        """
        said = self.model_dump(by_alias=True, exclude={"notebook"}, exclude_defaults=True)
        said |= {"parameters": parameters}
        return json.dumps([said, notebook], sort_keys=True, ensure_ascii=True).encode()


class Changes(_Strict):
    """Body of ``POST jobs/ID/rerun`` and of its check: what is to be other than in that job.

    What is left out stays as it was, of the parameters each one that is not named.
    """

    name: str | None = Field(None, max_length=LONGEST_NAME)
    group: str | None = Field(None, max_length=100)
    image: str | None = Field(None, max_length=100)
    machine_class: str | None = Field(None, max_length=100, alias="class")
    kernel: Kernel | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    time_limit_seconds: int | None = Field(None, ge=1, le=LONGEST_LIMIT_SECONDS)
    interruptible: bool | None = None

    def apply(self, request: Request) -> Request:
        """A request with the changes in it."""
        said = self.model_dump(exclude_none=True)
        said["parameters"] = {**request.parameters, **self.parameters}
        return Request.from_json(request.to_json() | said)

    def canonical(self) -> str:
        """One text for equal changes, for the digest; empty where nothing is changed."""
        said = self.model_dump(by_alias=True, exclude_defaults=True)
        return json.dumps(said, sort_keys=True, ensure_ascii=True) if said else ""


class Cancel(_Strict):
    """Body of ``POST jobs/ID/cancel``: why, for an owner whose job another one ends."""

    because: str = Field("", max_length=LONGEST_REASON)


class Sharing(_Strict):
    """Body of ``POST jobs/ID/share``: whether the group that is charged may look at the result."""

    shared: bool


ModelT = TypeVar("ModelT", bound=BaseModel)


def parse(model: type[ModelT], body: bytes, fields: tuple[str, ...]) -> ModelT:
    """A body as a model.

    Raises:
        Unsound: not JSON, or not of this shape.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as e:
        raise refusal_of_shape(e, fields) from e
