"""Runs aws, eksctl, helm and kubectl for the steps; the one place here that does.

Each command is told before it runs and leaves its output in a folder of logs. It has a limit of
time, tells how long it takes already, and ends with us: all of its processes.
"""

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import Any, NoReturn

from cluster.aws.failures import explain

#: Seconds that a program has to end by itself once it is asked to.
_GRACE_SECONDS = 20.0
#: Minutes for a command that only looks.
LOOK_MINUTES = 2.0


class CommandFailed(Exception):
    """A command failed, or took too long; the message says what it means and how to mend it.

    Attributes:
        written: what the program wrote where errors go.
    """

    def __init__(self, message: str, written: str = "") -> None:
        super().__init__(message)
        self.written = written


@dataclass
class Commands:
    """Runs commands, one after the other.

    Attributes:
        log: folder for what they write, two files each, which nobody else reads.
        say: told what runs, a line at a time.
        environment: over this process's.
        beat_seconds: after which it is told that a command still runs.
        lock: a descriptor that each program inherits, so that it is held while one is left.
    """

    log: Path
    say: Callable[[str], None]
    environment: Mapping[str, str] = field(default_factory=dict)
    beat_seconds: float = 30.0
    lock: int | None = None
    _count: int = 0

    def run(self, words: Sequence[str], minutes: float, *, is_secret: bool = False) -> str:
        """Run a command and return what it wrote.

        Args:
            words: program and arguments; nothing secret, for they are shown and kept.
            minutes: it may take.
            is_secret: whether what it answers is to be in no file.

        Raises:
            CommandFailed: it is not there, failed, or took too long.
        """
        if shutil.which(words[0], path=self._environment["PATH"]) is None:
            raise CommandFailed(f"There is no program {words[0]}: {_LACKING}")
        self.say(f"$ {shlex.join(words)}")
        self._count += 1
        self.log.mkdir(parents=True, exist_ok=True, mode=0o700)
        plain = [each for each in words[1:3] if re.fullmatch(r"[a-z][a-z-]*", each)]
        place = self.log / "-".join([f"{self._count:02}", Path(words[0]).name, *plain])
        out, err = (place.with_name(f"{place.name}.{end}") for end in ("out", "err"))
        for path in (err,) if is_secret else (out, err):
            path.touch(mode=0o600)
        with (
            TemporaryFile() if is_secret else out.open("w+b") as to_out,
            err.open("wb") as to_err,
        ):
            to_err.write(f"$ {shlex.join(words)}\n".encode())
            to_err.flush()
            process = subprocess.Popen(
                words,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                start_new_session=True,
                pass_fds=() if self.lock is None else (self.lock,),
            )
            try:
                code = self._wait(process, words, minutes)
            finally:
                _end(process)
            to_out.seek(0)
            answer = to_out.read().decode("utf-8", "replace")
        written = err.read_text("utf-8", "replace").partition("\n")[2]
        if code != 0:
            # eksctl writes what went wrong where others write results.
            everything = written + ("" if is_secret else answer[-4000:])
            raise CommandFailed(f"{explain(words, everything)}\nAll of it: {err}", everything)
        return answer

    def load(self, words: Sequence[str]) -> Any:
        """What a command that only looks answers, from JSON.

        Raises:
            CommandFailed: as :meth:`run`, or it answered something else.
        """
        said = self.run([*words, "--output", "json"], LOOK_MINUTES)
        try:
            return json.loads(said or "null")
        except ValueError as error:
            raise CommandFailed(f"{shlex.join(words)} answered no JSON: {said[:200]}") from error

    def find(self, words: Sequence[str], missing: str) -> Any:
        """As :meth:`load`, but ``None`` where the program says that there is none.

        Args:
            words: of the command.
            missing: what the program says then.
        """
        try:
            return self.load(words)
        except CommandFailed as failed:
            if missing in failed.written:
                return None
            raise

    @property
    def _environment(self) -> dict[str, str]:
        # No pager waits for a key, no aws asks, no make is told things by the one that began us.
        quiet = {"AWS_PAGER": "", "AWS_CLI_AUTO_PROMPT": "off", "MAKEFLAGS": "", "MAKELEVEL": ""}
        return {**os.environ, **quiet, **self.environment}

    def _wait(self, process: subprocess.Popen[bytes], words: Sequence[str], minutes: float) -> int:
        began = time.monotonic()
        while True:
            left = began + minutes * 60 - time.monotonic()
            if left <= 0:
                raise CommandFailed(
                    f"{shlex.join(words[:3])} took more than {minutes:g} minutes and was ended:"
                    " run it again, it goes on with what is there by then"
                )
            try:
                return process.wait(min(left, self.beat_seconds))
            except subprocess.TimeoutExpired:
                passed = time.monotonic() - began
                self.say(
                    f"  still waiting for {shlex.join(words[:3])}: {passed / 60:.1f} of at most"
                    f" {minutes:g} minutes"
                )


_LACKING = "`make cluster-tools` gets it; cluster/aws/00-tools/README.md says where each is from"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, with all that it started."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def hold(folder: Path) -> Iterator[int]:
    """Be the only one at work on a cluster from this folder; a lock's descriptor.

    It is held until the last program that inherited it has ended, also where the driver was killed.

    Raises:
        CommandFailed: somebody else is.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError as error:
        raise CommandFailed(
            f"Another run, or a program that one left behind, is at work on {folder}: wait until"
            " it has ended"
        ) from error
    finally:
        os.close(descriptor)


def end_on_signals() -> None:
    """Let SIGTERM end a run as Ctrl-C does: with the program that runs."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
