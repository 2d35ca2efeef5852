"""An attempt's folder: who may start it, whether it runs, and how it ended.

The files and their order are the launch protocol::

    <object name>/          made whole by one rename: the claim
        launch.json         command, environment (token), cores, working folder; 0600
        specification.json  what the runner is told
        lock                held (flock) by the shim and the runner for as long as either lives
        started             made once, under the lock, before the runner is started
        termination-message, runner.log      the runner's
        exit.json           the runner's exit code, written by the shim before it lets the lock go

No folder: absent. No ``started``: waiting, the shim is not there yet or will never be. Lock held:
running. Lock free: ended. For the local backend alone.
"""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offline_jobs.contract.run import MAX_TERMINATION_BYTES, ResultRecord, Termination
from offline_jobs.service.model import Evidence
from offline_jobs.service.rules.records import parse_record, parse_termination

LOCK = "lock"
STARTED = "started"
LAUNCH = "launch.json"
SPECIFICATION = "specification.json"
EXIT = "exit.json"
LOG = "runner.log"
TERMINATION = "termination-message"

_MAX_RECORD_BYTES = 4 * 1024**2
_MAX_FILE_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class AttemptFolder:
    """The folder of one attempt of job ``job``."""

    path: Path
    job: str
    attempt: int

    def claim(self, launch: Mapping[str, Any], specification: str) -> bool:
        """Make the folder with everything that the start needs; ``False``: it is there already."""
        if self.path.exists():
            return False
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}-"))
        try:
            _write_private(made / LAUNCH, json.dumps(launch))
            _write_private(made / SPECIFICATION, specification)
            made.rename(self.path)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            if self.path.exists():  # somebody else's rename came first
                return False
            raise
        return True

    def phase(self) -> str:
        """``absent``, ``waiting``, ``running`` or ``ended``."""
        if not self.path.exists():
            return "absent"
        # The lock is looked at only where the shim has it already: a look must not be in its way.
        if not (self.path / STARTED).exists():
            return "waiting"
        return "running" if self._is_locked() else "ended"

    def prevent(self) -> bool:
        """See to it that the attempt is never started; ``False``: it was."""
        with (self.path / LOCK).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.close(os.open(self.path / STARTED, os.O_CREAT | os.O_EXCL, 0o600))
            except (BlockingIOError, FileExistsError):
                return False
        return True

    def launch(self) -> dict[str, Any]:
        """What :meth:`claim` wrote; empty when it cannot be read."""
        return _read_json(self.path / LAUNCH)

    def handle(self) -> dict[str, Any]:
        """The shim's ``pid`` (also its group's) and start ``time``; empty when not known."""
        return _read_json(self.path / STARTED)

    def termination(self) -> Termination | None:
        """The runner's termination message, if there is a whole one."""
        return parse_termination(_read(self.path / TERMINATION, MAX_TERMINATION_BYTES))

    def exit(self) -> dict[str, Any]:
        """The shim's word of the runner's end: ``code``; empty when it was killed as well."""
        return _read_json(self.path / EXIT)

    def evidence(self) -> Evidence:
        """Everything that is left of an ended attempt."""
        exit_file = self.exit()
        code = exit_file.get("code")
        return Evidence(
            exit_code=code if isinstance(code, int) else None,
            message=str(exit_file.get("message", "")),
            termination=self.termination(),
            result=self._record(),
        )

    def _is_locked(self) -> bool:
        try:
            with (self.path / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def _record(self) -> ResultRecord | None:
        # The file is the user's, who may have put anything in its place.
        path = self.launch().get("record")
        if not isinstance(path, str):
            return None
        return parse_record(_read(Path(path), _MAX_RECORD_BYTES), self.job, self.attempt)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _read(path: Path, limit: int) -> bytes:
    """The first ``limit`` bytes of a regular file; empty when it is none or cannot be read.

    Without waiting: in place of a file there may be a pipe that nobody writes into, or a link.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(limit) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except (OSError, ValueError):  # the latter: a NUL in the path
        return b""


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path, _MAX_FILE_BYTES))
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
