"""What runner and service tell each other about one attempt, and the runner's environment.

The runner reads its specification from the service (or a file of the same shape), sends progress,
and hands over a result record; the service answers with *cancel* when the owner wants an end.
Fields are only ever added: user images with an older runner live for months, so ``from_json``
ignores keys it does not know and every later field has a default.
Standard library only; anybody may import it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

# Environment of the runner.
ENV_JOB = "OFFLINE_JOB_ID"
ENV_ATTEMPT = "OFFLINE_JOB_ATTEMPT"
#: Base of this attempt's endpoints, ``http://host:port/internal/v1/runs/<job>/<attempt>``.
ENV_URL = "OFFLINE_JOB_URL"
#: The attempt's token; never handed on to the kernel.
ENV_TOKEN = "OFFLINE_JOB_TOKEN"  # noqa: S105  (the variable's name)
#: Path of a file with the specification; with it no service is needed.
ENV_SPECIFICATION = "OFFLINE_JOB_SPECIFICATION"
#: File that survives the container; default ``/dev/termination-log`` where it exists.
ENV_TERMINATION = "OFFLINE_JOB_TERMINATION_MESSAGE"
#: Memory in bytes over which the runner ends its own process tree; absent: not watched.
ENV_MEMORY = "OFFLINE_JOB_MEMORY_BYTES"
#: Seconds that the runner waits for an absent service at its start and at its end.
ENV_PATIENCE = "OFFLINE_JOB_PATIENCE_SECONDS"
ENV_SCRATCH = "SCRATCH"
ENV_CHECKPOINT = "CHECKPOINT_DIR"

# Endpoints below ENV_URL.
PATH_SPECIFICATION = ""  # GET -> Specification
PATH_PROGRESS = "/progress"  # POST Progress -> ProgressAnswer
PATH_NOTEBOOK = "/notebook"  # PUT the executed notebook, at most MAX_NOTEBOOK_BYTES
PATH_LOG = "/log"  # PUT the log, at most MAX_LOG_BYTES
PATH_RESULT = "/result"  # POST ResultRecord

MAX_NOTEBOOK_BYTES = 50 * 1024**2
MAX_LOG_BYTES = 10 * 1024**2
MAX_LOG_TAIL_CHARACTERS = 16_000
MAX_TERMINATION_BYTES = 4096


class Message:
    """Base of the wire's dataclasses: to and from a JSON mapping."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from a mapping, ignoring unknown keys.

        Raises:
            TypeError: a required field is missing.
        """
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in data.items() if key in known})

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON types."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def dumps(self) -> str:
        """Compact JSON text."""
        return json.dumps(self.to_json(), separators=(",", ":"))


@dataclass(frozen=True)
class Specification(Message):
    """What to run. ``notebook`` is a whole nbformat 4 mapping without outputs.

    ``path`` and ``output`` are relative to the user's home; the working directory is ``path``'s
    folder. ``kernel`` is ``{"name": str, "source": "image" | "home"}``.
    """

    job: str
    attempt: int
    name: str
    notebook: dict[str, Any]
    path: str
    output: str
    kernel: dict[str, str]
    parameters: dict[str, Any] = field(default_factory=dict)
    time_limit_seconds: int = 0
    group: str = ""
    image: str = ""
    machine_class: str = ""
    #: ``repository:tag@digest`` of the image, where the platform knows it.
    image_reference: str = ""


@dataclass(frozen=True)
class Progress(Message):
    """How far an attempt is. Batched: at most one message each 0.5 s.

    ``phase`` is ``kernel-start``, ``running`` or ``ending``. ``cell`` is 0 before the first cell;
    ``cell_seconds`` holds the durations of the cells that ended, in order.
    """

    phase: str
    cell: int = 0
    total: int = 0
    cell_seconds: list[float] = field(default_factory=list)
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    memory_limit_bytes: int = 0
    log_tail: str = ""


@dataclass(frozen=True)
class ProgressAnswer(Message):
    """The service's answer to a progress message."""

    cancel: bool = False


@dataclass(frozen=True)
class ResultRecord(Message):
    """How an attempt ended: sent to the service, and kept as ``run.json`` beside the notebook.

    ``outcome`` is ``succeeded``, ``cancelled`` or a :class:`~offline_jobs.contract.states.Cause`.
    ``error`` is ``{"name", "value", "cell"}`` of the first cell that failed; its number, in digits,
    is less than ``cell`` where it only showed an error and the notebook went on. Times are ISO 8601
    with offset.
    ``git`` is ``{"commit", "clean"}`` of the working directory, when it is a repository.

    What was run: ``parameters`` that were given and, as their source stands in the notebook,
    ``notebook_parameters`` that were not; ``snapshot_sha256`` of the notebook without outputs
    (canonical JSON: sorted keys, no spaces). With what: ``kernel`` with ``language`` and
    ``version``; ``image_reference``, or ``lock_sha256`` of a local image; ``packages_sha256`` of
    the file with the kernel's packages, empty where there is none. On what: ``machine`` with
    ``cores``, ``memory_bytes``, ``architecture`` and ``processor``.
    """

    job: str
    attempt: int
    outcome: str
    exit_code: int
    cell: int = 0
    total: int = 0
    cell_seconds: list[float] = field(default_factory=list)
    error: dict[str, str] | None = None
    message: str = ""
    started: str = ""
    ended: str = ""
    memory_peak_bytes: int = 0
    memory_limit_bytes: int = 0
    time_limit_seconds: int = 0
    name: str = ""
    path: str = ""
    output: str = ""
    kernel: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    image: str = ""
    machine_class: str = ""
    git: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    notebook_parameters: dict[str, str] = field(default_factory=dict)
    snapshot_sha256: str = ""
    image_reference: str = ""
    lock_sha256: str = ""
    packages_sha256: str = ""
    machine: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Termination(Message):
    """The termination message: the cell's number before each cell, the outcome at the end."""

    cell: int = 0
    total: int = 0
    outcome: str = ""
    exit_code: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
