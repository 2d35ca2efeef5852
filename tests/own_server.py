"""A server of a test's own, a process that a test may slow down, stop and start again.

Imported by `image_registry` and `bucket_server`.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import find_free_port
from tests.site import wait_until

_ENDING_SECONDS = 20


@dataclass
class OwnServer:
    """A server at an address of this machine, which it keeps when it is started again.

    Attributes:
        folder: with what it keeps, and its log.
    """

    folder: Path
    address: str = "127.0.0.1"
    port: int = field(default_factory=find_free_port, kw_only=True)
    _process: subprocess.Popen[bytes] | None = field(default=None, kw_only=True)

    @property
    def host(self) -> str:
        """Address and port."""
        return f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://{self.host}"

    def launch(self, words: Sequence[str | Path], environ: Mapping[str, str] | None = None) -> None:
        """Start it with a command and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, env=environ, stdout=log, stderr=log)
        wait_until(self._is_up, f"{words[0]}: {self._log}")

    def answers(self) -> bool:
        """Whether it can be asked."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP makes it slow, all of its threads; SIGCONT quick again."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGSTOP:
            wait_until(self._stands_still, "the server to stand still")

    def stop(self) -> None:
        """End it at once; what it keeps stays."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_ENDING_SECONDS)

    def _stands_still(self) -> bool:
        assert self._process is not None
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return self.answers()
