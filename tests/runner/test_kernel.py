"""The kernel process by itself: where it listens, and who else may be there."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from offline_jobs.runner.kernel import Kernel, KernelStartError, find_kernels

Launch = Callable[..., Kernel]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Launch a kernel of the home by its command."""
    made: list[Kernel] = []

    def start(*argv: str, subfolder: str = "") -> Kernel:
        where = folder / subfolder
        where.mkdir(exist_ok=True)
        specification = tmp_path / ".local" / "share" / "jupyter" / "kernels" / "own"
        specification.mkdir(parents=True)
        (specification / "kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": "Own", "language": "python"})
        )
        kernel = Kernel("own", find_kernels("home", tmp_path), where, owns_process=False)
        made.append(kernel)
        kernel.launch(tmp_path, os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")})
        return kernel

    # Not below a test's own folder, whose name may leave no room for that of a socket.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        yield start
        for kernel in made:
            kernel.end()


@contextmanager
def publishing_at(host: str, port: int) -> Iterator[None]:
    """A socket that says that it is ZeroMQ's for news, and is the last to hang up.

    Source: https://rfc.zeromq.org/spec/23/
    """
    kind = b"\x0bSocket-Type" + b"\x00\x00\x00\x04XPUB"
    ready = b"\x05READY" + kind
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\x00") + bytes(32)
    with ExitStack() as stack, socket.create_server((host, port)) as server:

        def welcome() -> None:
            with suppress(OSError):
                while True:
                    peer = stack.enter_context(server.accept()[0])
                    peer.sendall(greeting + bytes([4, len(ready)]) + ready)

        thread = threading.Thread(target=welcome)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_port_that_another_kernel_took_ends_in_words(launch: Launch) -> None:
    kernel = launch(sys.executable, "-c", "import signal; signal.pause()")
    # ZeroMQ gives such a peer up for good, and what is sent to it then waits for another.
    with (
        publishing_at(kernel.manager.ip, kernel.manager.shell_port),
        pytest.raises(KernelStartError, match="did not answer in 3 s"),
    ):
        kernel.run(kernel.make_ready(3))


def test_an_ipython_kernel_depends_on_no_port_that_others_could_take(launch: Launch) -> None:
    kernel = launch(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    kernel.run(kernel.make_ready(60))
    connections = psutil.Process(kernel.pid).net_connections("inet")
    # One of the debugger's own may be there, which the system chose as it was opened.
    assert not {each.laddr.port for each in connections} & set(kernel.manager.ports)


@pytest.mark.parametrize("channel", ["iopub_port", "shell_port"])
def test_a_kernel_that_comes_too_late_for_a_port_is_launched_anew(
    launch: Launch, channel: str
) -> None:
    # Too long for names of sockets. Without its port for news this kernel does not even end.
    command = (sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}")
    kernel = launch(*command, subfolder="x" * 100)
    first = kernel.pid
    with socket.create_server((kernel.manager.ip, getattr(kernel.manager, channel))):
        kernel.run(kernel.make_ready(60))
    assert first is not None
    assert not psutil.pid_exists(first) or psutil.Process(first).status() == psutil.STATUS_ZOMBIE
    assert kernel.pid != first
