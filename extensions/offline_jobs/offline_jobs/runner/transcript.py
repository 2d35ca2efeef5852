"""What the cells print, as text: the log of a run and its tail.

The file is bounded while it grows: it is kept in two halves, and the older is dropped when the
younger is full, so that the last ``MAX_LOG_BYTES`` are always there. Written by the engine's
output hook and read by progress and execution. Bottom of the runner; imports only the contract.
"""

import logging
import re
import threading
from pathlib import Path

from offline_jobs.contract.run import MAX_LOG_BYTES, MAX_LOG_TAIL_CHARACTERS

LOG = logging.getLogger(__name__)

#: Terminal control sequences (colours of tracebacks, cursor moves).
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_LEFT_OUT = "[the beginning of this log was left out]\n"


class Transcript:
    """One run's log."""

    def __init__(self, folder: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._young = folder / "log-young.txt"
        self._old = folder / "log-old.txt"
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._file = self._young.open("a", encoding="utf-8")
        self._bytes = 0
        self._tail = ""
        self._is_broken = False
        self._is_shortened = False

    @property
    def tail(self) -> str:
        """The last characters, at most ``MAX_LOG_TAIL_CHARACTERS``."""
        return self._tail

    def write(self, text: str) -> None:
        """Append text, without terminal control sequences and what UTF-8 or a database refuses."""
        if "\x1b" in text:
            text = _ESCAPES.sub("", text)
        text = clean(text)
        with self._lock:
            self._tail = (self._tail + text)[-MAX_LOG_TAIL_CHARACTERS:]
            if self._is_broken:
                return
            try:
                self._append(text)
            except OSError as error:
                self._is_broken = True
                LOG.warning("the log cannot be written any more: %s", error)

    def line(self, text: str) -> None:
        """Append a line of the runner's own, on a line of its own."""
        start = "" if not self._tail or self._tail.endswith("\n") else "\n"
        self.write(f"{start}{text}\n")

    def close(self) -> None:
        """Write no more."""
        self._file.close()
        self._is_broken = True

    def content(self) -> bytes:
        """The log as bytes, at most ``max_bytes``: its end."""
        with self._lock:
            if self._is_broken:
                return self._tail.encode()
            self._file.flush()
            older = self._old.read_bytes() if self._old.exists() else b""
            content = older + self._young.read_bytes()
            is_whole = not self._is_shortened and len(content) <= self._max_bytes
        return content if is_whole else last_lines(content, self._max_bytes)

    def _append(self, text: str) -> None:
        size = len(text.encode())
        if self._bytes and self._bytes + size > self._max_bytes:
            self._file.close()
            self._is_shortened = self._old.exists()
            self._young.replace(self._old)
            self._file = self._young.open("w", encoding="utf-8")
            self._bytes = 0
        self._file.write(text)
        self._bytes += size


def clean(text: str) -> str:
    """Text without lone surrogates and NUL characters, which UTF-8 and databases refuse."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def last_lines(content: bytes, max_bytes: int) -> bytes:
    """The end of a log, at most ``max_bytes`` with the line that says that its start is missing."""
    end = content[-(max_bytes - len(_LEFT_OUT)) :]
    first_end = end.find(b"\n", 0, 4096)
    return _LEFT_OUT.encode() + end[first_end + 1 :]
