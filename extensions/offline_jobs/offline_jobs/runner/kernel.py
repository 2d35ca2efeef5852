"""The kernel process: found, launched, made ready, interrupted and ended.

Launched as early as the specification is known: the kernel boots while the runner still imports
papermill. Only this module touches jupyter_client's kernel manager. Used by engine and execution.
"""

import asyncio
import errno
import os
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH, jupyter_data_dir

from offline_jobs.environments.kernels import describe_no_ipykernel
from offline_jobs.runner import processes

_FAREWELL_SECONDS = 3.0
#: A killed process is gone at once, unless a file system that hangs holds it.
_END_SECONDS = 3.0
_LOOK_SECONDS = 0.02
_STEP_SECONDS = 0.5
#: The first news may pass while the kernel does not know yet that somebody listens.
_NEWS_SECONDS = 0.1
#: Sending takes no time, unless another program has the port, which ZeroMQ then gives up for good.
_SEND_MILLISECONDS = 1000
_MAX_OUTPUT_BYTES = 4 * 1024**2
_OUTPUT_TAIL_BYTES = 2000
#: A program that is not there, may not be run, or is of another kind of machine, stays so.
_UNFIT = (errno.ENOENT, errno.EACCES, errno.ENOEXEC)
_NO_IPYTHON = re.compile(r"No module named '?ipykernel")
#: What ZeroMQ says where another program took a port between the choice of it and its use.
_PORT_TAKEN = "Address already in use"
_PORT_TRIES = 3
#: What a kernel says of its sockets whenever it starts; nobody else is on this machine's loopback.
_TCP_WARNING = "Kernel is running over TCP without encryption"
#: Longest name of a socket that every system takes (``sun_path``).
_SOCKET_BYTES = 100
#: The number of a second socket for news: jupyter_client counts its own five from 1.
_NEWS_NUMBER = 9
#: Run by an IPython kernel as it starts. By default it drops what its reader is 1,000 messages
#: behind with; here it listens at a second address, whose connections have no such limit (23 is
#: ZeroMQ's ``SNDHWM``, which counts for what is bound after it), and tells it in a file.
_SEND_ALL = """
import threading
done = threading.Event()
def bind():
    try:
        news.socket.setsockopt(23, 0)
        news.socket.bind(address)
        with open(path, "w") as file:
            file.write(news.socket.last_endpoint.decode())
    finally:
        done.set()
news.schedule(bind)
done.wait(10)
"""


class KernelMissingError(Exception):
    """There is no such kernel."""


class KernelStartError(Exception):
    """The kernel process did not come up."""


class _PortTakenError(KernelStartError):
    """Another program was quicker to use a port of the kernel."""


class KernelUnfitError(KernelStartError):
    """The kernel cannot come up here, however often it is tried; the message is for its owner."""


def find_kernels(source: str, home: Path) -> KernelSpecManager:
    """The kernels of the image, or those that the user installed in the home.

    The image's kernels never come from the home: a ``python3`` there would hide the image's.
    """
    image = [*ENV_JUPYTER_PATH, *SYSTEM_JUPYTER_PATH]
    if source == "image":
        folders = image
    else:
        named = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
        folders = [
            str(home / ".local" / "share" / "jupyter"),
            jupyter_data_dir(),
            *(folder for folder in named if folder and Path(folder).is_relative_to(home)),
        ]
    manager = KernelSpecManager(ensure_native_kernel=source == "image")
    manager.kernel_dirs = [os.path.join(folder, "kernels") for folder in folders]
    return manager


class Kernel:
    """One kernel process and its client. All calls come from one thread."""

    def __init__(
        self, name: str, specs: KernelSpecManager, folder: Path, *, owns_process: bool
    ) -> None:
        """``folder`` is on local disk; connection file and raw output of the kernel go there.

        With ``owns_process`` this process is a runner: all below it ends with the kernel.

        Raises:
            KernelMissingError: there is no kernel of that name.
        """
        try:
            spec = specs.get_kernel_spec(name)
        except NoSuchKernel as error:
            raise KernelMissingError(name) from error
        self.language = str(spec.language)
        self.argv = tuple(map(str, spec.argv))
        self._owns_process = owns_process
        self._output = folder / "kernel-output.txt"
        self._news = folder / "kernel-news"
        self._is_ipython = any(each.startswith("ipykernel") for each in self.argv)
        # Sockets with names where that can be: a port is free only until another program has it,
        # and the kernel that then comes too late may wait for ever.
        sockets = folder / f"kernel-ipc-{_NEWS_NUMBER}"
        has_names = self._is_ipython and len(os.fsencode(sockets)) <= _SOCKET_BYTES
        self._context = zmq.asyncio.Context()
        # No bound on messages that wait to be read: a save must not make outputs vanish.
        self._context.setsockopt(zmq.RCVHWM, 0)
        self._context.setsockopt(zmq.SNDTIMEO, _SEND_MILLISECONDS)
        self._make_manager = partial(
            AsyncKernelManager,
            kernel_name=name,
            kernel_spec_manager=specs,
            context=self._context,
            connection_file=str(folder / "kernel.json"),
            transport="ipc" if has_names else "tcp",
        )
        self.manager = self._make_manager()
        self._relaunch: Callable[[], Awaitable[None]] | None = None
        self.client: AsyncKernelClient | None = None
        self._is_listening = False
        self.language_info: dict[str, Any] = {}
        #: What a notebook says of the kernel that ran it.
        self.kernelspec = {
            "name": name,
            "display_name": str(spec.display_name),
            "language": self.language,
        }
        self._runner = asyncio.Runner()

    def describe(self) -> dict[str, str]:
        """What a record says of it; the version of its language, once it has answered."""
        version = self.language_info.get("version")
        return {**self.kernelspec, "version": version if isinstance(version, str) else ""}

    @property
    def pid(self) -> int | None:
        """Process id of the kernel, or None before its launch."""
        return getattr(self.manager.provisioner, "pid", None)

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine in the loop that the kernel's sockets belong to."""
        return self._runner.run(coroutine)

    def launch(self, cwd: Path, environment: Mapping[str, str]) -> None:
        """Start the process, without waiting for it.

        Raises:
            KernelUnfitError: its program cannot be run here.
            KernelStartError: it cannot be run now.
        """
        self._runner.run(self._launch(cwd, environment))

    async def _launch(self, cwd: Path, environment: Mapping[str, str]) -> None:
        self._relaunch = partial(self._launch, cwd, environment)
        arguments = []
        if self._is_ipython:
            # History in a file is of no use here, and SQLite on a network file system may hang.
            arguments.append("--HistoryManager.hist_file=:memory:")
            where = f"-{_NEWS_NUMBER}" if self.manager.transport == "ipc" else ":*"
            address = f"{self.manager.transport}://{self.manager.ip}{where}"
            names = (
                "{'news': get_ipython().kernel.iopub_thread,"
                f" 'path': {str(self._news)!r}, 'address': {address!r}}}"
            )
            arguments.append(f"--IPKernelApp.code_to_run=exec({_SEND_ALL!r}, {names})")
        try:
            with self._output.open("ab") as output:
                await self.manager.start_kernel(
                    extra_arguments=arguments,
                    cwd=str(cwd),
                    env=dict(environment),
                    stdout=output,
                    stderr=output,
                )
        except OSError as error:
            if error.errno in _UNFIT:
                said = f"Kernel {self.kernelspec['name']} cannot run {self.argv[0]}"
                mend = "make its environment anew in a session of this image"
                raise KernelUnfitError(f"{said} ({error.strerror}): {mend}.") from error
            raise KernelStartError(str(error)) from error

    async def make_ready(self, seconds: float) -> None:
        """Connect, and wait until the kernel answers. Where a port was taken, launch it anew.

        Raises:
            KernelUnfitError: it lacks what makes a kernel of it.
            KernelStartError: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + seconds
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                await self._connect(deadline, seconds)
                return
            except _PortTakenError:
                if not tries_left:
                    raise
                await self._launch_anew()

    async def _launch_anew(self) -> None:
        """Launch a kernel that came too late for a port once more, with ports of its own."""
        assert self.client is not None  # noqa: S101 - made by _connect
        assert self._relaunch is not None  # noqa: S101 - made by _launch
        if self.pid is not None:
            processes.kill_tree(self.pid)
        self._collect()
        self.client.stop_channels()
        self.manager.cleanup_connection_file()
        for file in (self._output, self._news):
            file.unlink(missing_ok=True)
        self._is_listening = False
        self.manager = self._make_manager()
        await self._relaunch()

    async def _connect(self, deadline: float, seconds: float) -> None:
        # Given nothing, the client makes a context of its own.
        self.client = self.manager.client(context=self._context)
        self.client.start_channels(iopub=False, hb=False)
        while not await self._answers():
            is_alive, said = await self.manager.is_alive(), self.last_output()
            if is_alive and self._lacks_port(said):
                raise _PortTakenError("The kernel waits for a port that another program took.")
            if not is_alive:
                if _NO_IPYTHON.search(said):
                    name = self.kernelspec["name"]
                    raise KernelUnfitError(describe_no_ipykernel(name, self.argv, Path.home()))
                kind = _PortTakenError if _PORT_TAKEN in said else KernelStartError
                raise kind(f"The kernel ended while it started. {said}")
            if time.monotonic() > deadline:
                raise KernelStartError(f"The kernel did not answer in {seconds:.0f} s.")
        self.client.allow_stdin = False

    def _lacks_port(self, said: str) -> bool:
        """Whether a kernel told of a port that was taken; without its news it lives, and waits."""
        lines = [line for line in said.splitlines() if _PORT_TAKEN in line]
        return any(f":{port}'" in line for line in lines for port in self.manager.ports)

    async def _answers(self) -> bool:
        """Whether the kernel answers on both channels: a reply, and the news that it is idle.

        Only who comes after the first reply gets news without a limit (:data:`_SEND_ALL`).
        """
        assert self.client is not None  # noqa: S101 - made by make_ready
        try:
            message_id = self.client.kernel_info()
            while True:
                reply = await self.client.get_shell_msg(timeout=_STEP_SECONDS)
                if reply["parent_header"].get("msg_id") == message_id:
                    break
            self.language_info = reply["content"].get("language_info", {})
            if not self._is_listening:
                self._listen(self.client)
                return False
            while True:
                news = await self.client.get_iopub_msg(timeout=_NEWS_SECONDS)
                if news["parent_header"].get("msg_id") == message_id and (
                    news["content"].get("execution_state") == "idle"
                ):
                    return True
        except (Empty, zmq.Again):
            return False

    def _listen(self, client: AsyncKernelClient) -> None:
        """Connect to where the kernel sends its news; it has told by the time that it replies."""
        with suppress(OSError, ValueError):
            told = self._news.read_text(encoding="utf-8")
            client.iopub_port = int(told.replace(":", "-").rpartition("-")[2])
        client.iopub_channel.start()
        self._is_listening = True

    async def interrupt(self) -> None:
        """Interrupt what the kernel is doing."""
        if self.manager.has_kernel:
            await self.manager.interrupt_kernel()

    async def say_goodbye(self) -> None:
        """Let a kernel that lives shut itself down, for a moment."""
        if self.manager.has_kernel and await self.manager.is_alive():
            await self.manager.request_shutdown()
            looks = int(_FAREWELL_SECONDS / _LOOK_SECONDS)
            for _ in range(looks):
                if not await self.manager.is_alive():
                    break
                await asyncio.sleep(_LOOK_SECONDS)

    def kill(self) -> None:
        """Kill the kernel and every process that it started."""
        if self._owns_process:
            processes.kill_tree()
        elif self.pid is not None:
            processes.kill_tree(self.pid)

    def end(self) -> None:
        """Kill what is left, and close the channels. May be called twice."""
        self.kill()
        self._collect()
        if self.client is not None:
            self.client.stop_channels()
        self.manager.cleanup_connection_file()
        self._context.destroy(linger=0)
        self._runner.close()
        if self._owns_process:
            processes.reap(keep=None)

    def _collect(self) -> None:
        process = getattr(self.manager.provisioner, "process", None)
        if process is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_SECONDS)

    def trim_output(self) -> None:
        """Keep the raw output of the process (not of its cells) from filling the disk."""
        if self._output.exists() and self._output.stat().st_size > _MAX_OUTPUT_BYTES:
            os.truncate(self._output, 0)

    def last_output(self) -> str:
        """The end of what the process itself said, such as a crash report."""
        if not self._output.exists():
            return ""
        said = self._output.read_bytes()[-_OUTPUT_TAIL_BYTES:].decode(errors="replace")
        return "\n".join(line for line in said.splitlines() if _TCP_WARNING not in line).strip()
