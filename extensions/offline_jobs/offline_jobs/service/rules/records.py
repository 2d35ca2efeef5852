"""What runners say of themselves, checked once: on the wire and in the files that they leave.

The files lie where their owner can write, who may have put anything into them: what does not have
the right types and bounds is as if it were not there. Long texts are shortened, for a runner may
quote what it likes. Used by the runner's side of ``web`` and by the backends. Pure.
"""

import json
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from offline_jobs.contract import run

MOST_ATTEMPTS = 1_000
MOST_CELLS = 100_000
MOST_POINTS = 1_000
LONGEST_TEXT = 10_000
_HUGE = 2**53
_LONGEST_WORD = 40
_MOST_ENTRIES = 100
_MOST_PARAMETERS = 1_000
_LONGEST_HASH = 64

Text = Annotated[str, AfterValidator(lambda text: text[:LONGEST_TEXT])]
Words = dict[Text, Text]
Cell = Annotated[int, Field(ge=0, le=MOST_CELLS)]
Amount = Annotated[int, Field(ge=0, le=_HUGE)]
ExitCode = Annotated[int, Field(ge=-256, le=256)]
Figure = Annotated[float, Field(ge=0, le=_HUGE)]
CellSeconds = Annotated[list[Annotated[float, Field(ge=0, le=_HUGE)]], Field(max_length=MOST_CELLS)]


class _Lenient(BaseModel):
    """Older and newer runners send other fields: those unknown here are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class GpusBody(_Lenient):
    """What a run's GPUs did over time, all together, bounded."""

    count: Amount
    memory_limit_mib: Amount
    percent: list[Annotated[int, Field(ge=0, le=100)] | None] = Field(max_length=MOST_POINTS)
    memory_mib: list[Amount] = Field(max_length=MOST_POINTS)


class SeriesBody(_Lenient):
    """What a run took over time, bounded."""

    every_seconds: float = Field(gt=0, le=_HUGE)
    memory_mib: list[Amount] = Field(max_length=MOST_POINTS)
    cores: list[Figure] = Field(max_length=MOST_POINTS)
    gpus: GpusBody | None = None
    first_cell_seconds: Figure | None = None


class ProgressBody(_Lenient):
    """:class:`offline_jobs.contract.run.Progress`, bounded."""

    phase: str = Field(max_length=_LONGEST_WORD)
    cell: Cell = 0
    total: Cell = 0
    cell_seconds: CellSeconds = Field(default_factory=list)
    memory_bytes: Amount = 0
    memory_peak_bytes: Amount = 0
    memory_limit_bytes: Amount = 0
    log_tail: str = ""
    series: SeriesBody | None = None


class ErrorBody(_Lenient):
    """A raising cell's error."""

    name: Text = ""
    value: Text = ""
    cell: str = Field("", max_length=_LONGEST_WORD)


class ResultBody(_Lenient):
    """:class:`offline_jobs.contract.run.ResultRecord`, bounded.

    What was asked for is not read from it: the service knows that itself.
    """

    job: str = Field(max_length=_LONGEST_WORD)
    attempt: int = Field(ge=1, le=MOST_ATTEMPTS)
    outcome: str = Field(max_length=_LONGEST_WORD)
    exit_code: ExitCode
    cell: Cell = 0
    total: Cell = 0
    cell_seconds: CellSeconds = Field(default_factory=list)
    error: ErrorBody | None = None
    message: Text = ""
    started: str = Field("", max_length=64)
    ended: str = Field("", max_length=64)
    memory_peak_bytes: Amount = 0
    memory_limit_bytes: Amount = 0
    cpu_seconds: Figure = 0.0
    cores_peak: Figure = 0.0
    series: SeriesBody | None = None
    output: Text = ""
    kernel: Words = Field(default_factory=dict, max_length=_MOST_ENTRIES)
    git: dict[Text, Text | bool | None] | None = Field(None, max_length=_MOST_ENTRIES)
    versions: Words = Field(default_factory=dict, max_length=_MOST_ENTRIES)
    notebook_parameters: Words = Field(default_factory=dict, max_length=_MOST_PARAMETERS)
    snapshot_sha256: str = Field("", max_length=_LONGEST_HASH)
    image_reference: Text = ""
    lock_sha256: str = Field("", max_length=_LONGEST_HASH)
    packages_sha256: str = Field("", max_length=_LONGEST_HASH)
    machine: Words = Field(default_factory=dict, max_length=_MOST_ENTRIES)
    result_sha256: str = Field("", max_length=_LONGEST_HASH)


class TerminationBody(_Lenient):
    """:class:`offline_jobs.contract.run.Termination`, bounded."""

    cell: Cell = 0
    total: Cell = 0
    outcome: str = Field("", max_length=_LONGEST_WORD)
    exit_code: ExitCode | None = None
    memory_bytes: Amount = 0
    memory_limit_bytes: Amount = 0


_ModelT = TypeVar("_ModelT", bound=BaseModel)


def parse_record(content: bytes, job: str, attempt: int) -> run.ResultRecord | None:
    """The result record in a file, if it is one, and this attempt's."""
    body = _parse(ResultBody, content)
    if body is None or (body.job, body.attempt) != (job, attempt):
        return None
    return run.ResultRecord.from_json(body.model_dump())


def parse_termination(content: bytes) -> run.Termination | None:
    """The termination message in a file, if there is a whole one."""
    body = _parse(TerminationBody, content)
    return None if body is None else run.Termination.from_json(body.model_dump())


def _parse(model: type[_ModelT], content: bytes) -> _ModelT | None:
    try:
        body = model.model_validate_json(content)
        # What cannot be written again as JSON (a number of thousands of digits) cannot be stored.
        json.dumps(body.model_dump(), allow_nan=False)
    except (ValidationError, ValueError, RecursionError):
        return None
    return body
