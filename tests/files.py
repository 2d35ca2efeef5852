"""What becomes of a file while it is written: its readers, and a disk that takes no more.

Real on both sides: a thread that reads, and the system's own limit of a file's size.
"""

import resource
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Reader:
    """Somebody who reads one file again and again.

    ``torn`` holds the sizes of what was no whole version; None where there was no file.
    """

    reads: int = 0
    torn: list[int | None] = field(default_factory=list)


@contextmanager
def reading(path: Path, versions: Collection[bytes]) -> Iterator[Reader]:
    """Read ``path`` until the context is left; a read should find one of ``versions``."""
    reader = Reader()
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            try:
                found: bytes | None = path.read_bytes()
            except FileNotFoundError:
                found = None
            if found not in versions:
                reader.torn.append(None if found is None else len(found))
            reader.reads += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield reader
    finally:
        is_over.set()
        thread.join()


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """No file of this process grows beyond ``size_bytes``: a write fails in its middle.

    The write that crosses the limit is cut short there, the next one is an ``OSError``, just as on
    a disk that has become full.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
