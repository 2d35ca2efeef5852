"""How a run ends, and the message that outlives it: the termination message.

The message is a small local file that the kubelet (or the local backend) reads after any death:
it holds the cell's number from *before* the cell ran, and the outcome when the runner could still
say it. Bottom of the runner; imports only the contract.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from offline_jobs.contract.exits import Exit
from offline_jobs.contract.run import MAX_TERMINATION_BYTES, Termination
from offline_jobs.contract.states import Cause, State

LOG = logging.getLogger(__name__)

DEFAULT_TERMINATION_FILE = Path("/dev/termination-log")


@dataclass(frozen=True)
class RunEnd:
    """How a run ended. ``error`` is that of the record."""

    outcome: str
    exit_code: int
    message: str = ""
    error: dict[str, str] | None = None


SUCCEEDED = RunEnd(State.SUCCEEDED.value, Exit.SUCCEEDED)


class RunFailedError(Exception):
    """The run cannot go on; carries how it ends."""

    def __init__(self, ending: RunEnd) -> None:
        super().__init__(ending.message)
        self.ending = ending


def refused(message: str) -> RunFailedError:
    """What was asked for cannot run here: an unknown kernel, a missing folder (exit 20)."""
    return RunFailedError(RunEnd(Cause.REFUSED.value, Exit.BAD_SPECIFICATION, message))


def bad_specification(message: str) -> RunFailedError:
    """The specification cannot be understood (exit 20)."""
    return RunFailedError(RunEnd(Cause.INTERNAL.value, Exit.BAD_SPECIFICATION, message))


class TerminationMessage:
    """The file that survives the container."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._longest = 0

    def write(self, message: Termination, *, durable: bool = False) -> bool:
        """Replace the message by one write, so that a reader never sees half of it.

        The file may be a mount of the kubelet, so it cannot be replaced by a rename; a shorter
        text is padded with spaces instead of truncating the file first. ``durable`` waits until
        it is on the disk. ``False``: it could not be written.
        """
        if self._path is None:
            return True
        content = message.dumps().encode()
        self._longest = max(self._longest, len(content))
        content = content.ljust(self._longest)
        if len(content) > MAX_TERMINATION_BYTES:
            LOG.warning("the termination message is too long")
            return False
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.pwrite(file, content, 0)
                if durable:
                    os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            LOG.warning("the termination message cannot be written: %s", error)
            return False
        return True
