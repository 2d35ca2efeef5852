"""What runner and service tell each other about one attempt, and the runner's environment.

The runner reads its specification from the service (or a file of the same shape), sends progress,
and hands over a result record; the service answers with *cancel* when the owner wants an end.
Fields are only ever added: user images with an older runner live for months, so ``from_json``
ignores keys it does not know and every later field has a default.
Standard library only; anybody may import it.
"""

from dataclasses import dataclass, field
from typing import Any

from offline_jobs.contract.message import Message
from offline_jobs.contract.request import OfRequest, Request

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
#: Folder with the checkpoints of all jobs of the person and of nobody else, where there is one.
ENV_CHECKPOINTS = "OFFLINE_JOB_CHECKPOINTS"

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


@dataclass(frozen=True)
class Specification(OfRequest):
    """What to run, and what was asked for.

    ``notebook`` is a whole nbformat 4 mapping without outputs.
    ``output`` is relative to the user's home; the working directory is the folder of the request's
    ``path``. ``kept_checkpoints`` are the jobs of the owner, this one among them, whose checkpoints
    stay: all that have not ended, or ended just now. Empty: the service does not say.
    """

    job: str
    attempt: int
    request: Request
    notebook: dict[str, Any]
    output: str
    #: ``repository:tag@digest`` of the image, where the platform knows it.
    image_reference: str = ""
    kept_checkpoints: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Progress(Message):
    """How far an attempt is. Batched: at most one message each 0.5 s.

    ``phase`` is ``kernel-start``, ``running`` or ``ending``. ``cell`` is 0 before the first cell;
    ``cell_seconds`` holds the durations of the cells that ended, in order.
    ``series`` is what was taken over time, from the kernel's start on, in spans of
    ``every_seconds``: ``{"every_seconds": float, "memory_mib": [int], "cores": [float],
    "gpus": {"count": int, "memory_limit_mib": int, "percent": [int | None],
    "memory_mib": [int]} | None,
    "first_cell_seconds": float | None}``. Of each span the most memory and the mean of busy cores;
    of all GPUs that the run sees together the mean share of time in which they were busy (None:
    unknown), and the most of their memory; ``first_cell_seconds`` is when the first cell began.
    None: nothing new.
    """

    phase: str
    cell: int = 0
    total: int = 0
    cell_seconds: list[float] = field(default_factory=list)
    memory_bytes: int = 0
    memory_peak_bytes: int = 0
    memory_limit_bytes: int = 0
    log_tail: str = ""
    series: dict[str, Any] | None = None


@dataclass(frozen=True)
class ProgressAnswer(Message):
    """The service's answer to a progress message."""

    cancel: bool = False


@dataclass(frozen=True)
class ResultRecord(OfRequest):
    """How an attempt ended: sent to the service, and kept as ``run.json`` beside the notebook.

    ``outcome`` is ``succeeded``, ``cancelled`` or a :class:`~offline_jobs.contract.states.Cause`.
    ``error`` is ``{"name", "value", "cell"}`` of the first cell that failed; its number, in digits,
    is less than ``cell`` where it only showed an error and the notebook went on. Times are ISO 8601
    with offset.
    ``git`` is ``{"commit", "clean"}`` of the working directory, when it is a repository.
    ``cpu_seconds`` is the processor time of the whole process tree, ``cores_peak`` on how many
    cores that was in the busiest ten seconds; 0 is unknown. ``series`` is that of
    :class:`Progress`, over all of the run.

    What was run: the ``request`` and, as their source stands in the notebook, its
    ``notebook_parameters`` that were not given; ``snapshot_sha256`` of the notebook without outputs
    (canonical JSON: sorted keys, no spaces). With what: the ``kernel`` that was asked for, with
    ``language`` and ``version``, and of one of the home its ``environment``; ``image_reference``,
    or ``lock_sha256`` of a local image; ``packages_sha256`` of the file with the kernel's packages,
    empty where there is none. On what: ``machine`` with ``cores``, ``memory_bytes``,
    ``architecture`` and ``processor``. What came of it: ``result_sha256`` of the executed
    notebook's file in the home, empty where nothing was run.
    """

    job: str
    attempt: int
    outcome: str
    exit_code: int
    request: Request = field(default_factory=Request)
    cell: int = 0
    total: int = 0
    cell_seconds: list[float] = field(default_factory=list)
    error: dict[str, str] | None = None
    message: str = ""
    started: str = ""
    ended: str = ""
    memory_peak_bytes: int = 0
    memory_limit_bytes: int = 0
    cpu_seconds: float = 0.0
    cores_peak: float = 0.0
    series: dict[str, Any] | None = None
    output: str = ""
    kernel: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    notebook_parameters: dict[str, str] = field(default_factory=dict)
    snapshot_sha256: str = ""
    image_reference: str = ""
    lock_sha256: str = ""
    packages_sha256: str = ""
    machine: dict[str, str] = field(default_factory=dict)
    result_sha256: str = ""


@dataclass(frozen=True)
class Termination(Message):
    """The termination message: the cell's number before each cell, the outcome at the end."""

    cell: int = 0
    total: int = 0
    outcome: str = ""
    exit_code: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
