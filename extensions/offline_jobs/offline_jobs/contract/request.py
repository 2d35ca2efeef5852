"""What a person asks for when a notebook is to be run: the noun that goes through all of it.

Sent as the body of a submission, filled in by the service, stored, given to the runner, and written
into the record of the run and every answer about the job. What then happens to the job is not in
it. A new field is added here, with a default, so that older rows, runners and clients stay valid.
Standard library only; anybody may import it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from offline_jobs.contract.message import Message

#: Where the REST API has another word: this one is none that Python lets a field have.
_REST_NAMES = {"machine_class": "class"}


@dataclass(frozen=True)
class Request(Message):
    """What was asked for. Empty and 0 mean: not said; of a job nothing is unsaid.

    Attributes:
        name: of the job, for people.
        path: of the notebook, relative to the user's home.
        group: slug of the group that is charged.
        image: slug of the image.
        machine_class: slug of the instance class.
        kernel: ``{"name": str, "source": "image" | "home"}``.
        parameters: values for the notebook, by name.
        time_limit_seconds: of the run.
        interruptible: whether it may run on a machine that can be taken away.
    """

    name: str = ""
    path: str = ""
    group: str = ""
    image: str = ""
    machine_class: str = ""
    kernel: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    time_limit_seconds: int = 0
    interruptible: bool = False

    def to_rest(self) -> dict[str, Any]:
        """A mapping of JSON types, as the REST API spells it."""
        return {_REST_NAMES.get(key, key): value for key, value in self.to_json().items()}


#: The fields of a request as the REST API spells them.
REST_FIELDS = tuple(Request().to_rest())


@dataclass(frozen=True)
class OfRequest(Message):
    """Base of messages that say, beside their own, what was asked for.

    A subclass has a field ``request``. As JSON both are on one level; a field that both have, such
    as the kernel that ran, is the message's own.
    """

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build both from one mapping, ignoring unknown keys.

        Raises:
            TypeError: a required field is missing.
        """
        return super().from_json({**data, "request": Request.from_json(data)})

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON types."""
        own = super().to_json()
        request: dict[str, Any] = own.pop("request")
        return request | own
