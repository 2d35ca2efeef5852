"""papermill's engine ``offline-jobs``: runs the cells, saves seldom, tells the truth at the end.

papermill calls :class:`OfflineJobsEngine` (entry point ``papermill.engine``), from a runner with a
:class:`RunContext` or from anybody's ``papermill --engine offline-jobs`` without one. Against
papermill's own engine: the notebook is not rewritten around every cell, cells that never ran stay
``pending`` whatever ends the run, and a stopped cell keeps what it had printed. papermill imports
this module while it is itself half imported, so import ``papermill`` first; only ``execution``
imports this module by name.
"""

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, ValidationError
from nbformat.v4 import new_output
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine
from papermill.log import logger as papermill_log

from offline_jobs.contract.executed import is_code
from offline_jobs.contract.names import ENGINE_NAME
from offline_jobs.runner import languages, marks
from offline_jobs.runner.carrying import carry_over, keep_vectors
from offline_jobs.runner.kernel import Kernel
from offline_jobs.runner.manager import Manager
from offline_jobs.runner.stopping import RunStoppedError, Stopping, StopReason

languages.install()

#: An interrupted cell may clean up for so long before its kernel is killed.
GRACE_SECONDS = 5.0
#: Twice so long without a word after a cell's reply means that its last words were lost.
_SILENCE_SECONDS = 30.0
_LOST = "[Outputs of this cell may be missing: the kernel was not heard to the end.]\n"
#: The waits of the client that end by :data:`_SILENCE_SECONDS` instead.
_NEVER = 10**9
_START_SECONDS = 120
_TICK_SECONDS = 0.5
#: Pieces of one stream are joined up to this size, so that a progress bar makes one output.
_STREAM_BYTES = 64 * 1024
#: Jupyter's tag of a cell that is meant to raise.
_RAISES_TAG = "raises-exception"
#: Errors with which a notebook ends itself in order.
_GOOD_EXITS = (("SystemExit", ""), ("SystemExit", "0"))


def _ignore(*_: object) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Failure:
    """The first cell that failed, by its number among those that run, and what it raised."""

    number: int
    name: str
    value: str


@dataclass
class RunContext:
    """What a runner shares with the engine; the defaults are those of a bare papermill.

    The engine sets ``failure``: papermill itself names the last cell that shows an error, and not
    what was raised where no output says it.
    """

    stopping: Stopping
    kernel: Kernel
    on_cell_start: Callable[[int, int], None] = _ignore
    on_cell_end: Callable[[float], None] = _ignore
    on_text: Callable[[str], None] = _ignore
    input_name: str = ""
    output_name: str = ""
    notebook_parameters: Mapping[str, str] = field(default_factory=dict)
    grace_seconds: float = GRACE_SECONDS
    failure: Failure | None = None


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells in a kernel that may still be booting."""

    def __init__(self, manager: Manager, context: RunContext, **options: Any) -> None:
        super().__init__(manager, km=context.kernel.manager, iopub_timeout=_NEVER, **options)
        self.manager = manager
        self.context = context
        self._total = sum(self._runs(cell) for cell in self.nb.cells)
        self._heard = 0

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Run the notebook.

        Raises:
            RunStoppedError: the end was asked for.
            DeadKernelError: the kernel is gone.
            KernelStartError: the kernel did not come up.
        """
        self.reset_execution_trackers()
        kernel = self.context.kernel
        try:
            kernel.run(self._run())
        finally:
            kernel.end()
        return self.nb  # type: ignore[no-any-return]

    def _runs(self, cell: NotebookNode) -> bool:
        """Whether the kernel will see the cell: it is then counted."""
        tags = cell.metadata.get("tags", [])
        return is_code(cell) and self.skip_cells_with_tag not in tags

    async def _run(self) -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask() -> None:
            loop.call_soon_threadsafe(asked.set)

        self.context.stopping.listen(ask)
        stopper = asyncio.ensure_future(self._stop_kernel_when(asked))
        ticker = asyncio.ensure_future(self._save_when_due())
        try:
            await self._make_ready(asked)
            await self._run_cells()
            self.set_widgets_metadata()
            stopper.cancel()
            await self.context.kernel.say_goodbye()
        finally:
            self.context.stopping.listen(None)
            for task in (stopper, ticker):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _make_ready(self, asked: asyncio.Event) -> None:
        kernel = self.context.kernel
        ready = asyncio.ensure_future(kernel.make_ready(self.startup_timeout))
        stopped = asyncio.ensure_future(asked.wait())
        await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ready.done():
            ready.cancel()
        if self.context.stopping.reason is not None:
            await asyncio.wait({ready})
            self._check(self.nb.cells[0])
        await ready
        # Both may be others than at first: a kernel whose port was taken is launched anew.
        self.km, self.kc = kernel.manager, kernel.client
        self.nb.metadata["language_info"] = kernel.language_info
        self.nb.metadata["kernelspec"] = kernel.kernelspec

    async def _run_cells(self) -> None:
        number = 0
        for index, cell in enumerate(self.nb.cells):
            self._check(cell)
            is_run = self._runs(cell)
            if is_run:
                number += 1
                self.context.on_cell_start(number, self._total)
            start = time.monotonic()
            self.manager.cell_start(cell, index)
            is_whole = False
            try:
                await self.async_execute_cell(cell, index)
                is_whole = True
                self._note_failure(number, cell)
            except CellExecutionError as error:
                self._check(cell)
                self._note_failure(number, cell, error)
                break
            except (DeadKernelError, CellTimeoutError) as error:
                self._check(cell)
                marks.mark_stop(self.nb, cell, marks.ENDS[type(error)])
                raise
            finally:
                if not is_whole:
                    self.manager.cell_exception(cell, cell_index=index)
                self.manager.cell_complete(cell, cell_index=index)
                if is_run:
                    self.context.on_cell_end(time.monotonic() - start)

    def _note_failure(
        self, number: int, cell: NotebookNode, error: CellExecutionError | None = None
    ) -> None:
        """Note what the first failed cell raised: as the kernel replied, or else as it showed it.

        A magic may show an error and go on, and a tag may announce that a cell will raise.
        """
        if self.context.failure or _RAISES_TAG in cell.metadata.get("tags", []):
            return
        shown = [each for each in cell.get("outputs", []) if each.output_type == "error"]
        raised = [(each.ename, each.evalue) for each in ([error] if error else []) + shown]
        if wrong := [each for each in raised if each not in _GOOD_EXITS]:
            self.context.failure = Failure(number, *map(str, wrong[0]))

    def _check(self, cell: NotebookNode) -> None:
        """Stop before (or in) this cell where the end was asked for, and say so in the notebook."""
        reason = self.context.stopping.reason
        if reason is not None:
            marks.mark_stop(self.nb, cell, marks.WORDS[reason])
        self.context.stopping.check()

    async def _stop_kernel_when(self, asked: asyncio.Event) -> None:
        """Interrupt the cell when the end is asked for, and kill the kernel if that is not enough.

        A second interrupt covers a cell that was only about to begin at the first.
        """
        await asked.wait()
        kernel = self.context.kernel
        if self.context.stopping.reason is not StopReason.OUT_OF_MEMORY:
            for _ in range(2):
                await kernel.interrupt()
                await asyncio.sleep(self.context.grace_seconds / 2)
        kernel.kill()
        await asyncio.sleep(0.2)  # what the kernel had sent is still on its way
        if self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()

    async def _save_when_due(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.manager.saver.save_if_due()
            self.context.kernel.trim_output()

    async def _async_poll_for_reply(
        self,
        msg_id: str,
        cell: NotebookNode,
        timeout: int | None,  # noqa: ASYNC109 - the library's
        task_poll_output_msg: asyncio.Future[Any],
        task_poll_kernel_alive: asyncio.Future[Any],
    ) -> dict[str, Any]:
        """Wait for a cell's reply, then for its outputs, for however long these keep coming."""
        hearing = self._hear_out(task_poll_output_msg, cell)
        try:
            return await super()._async_poll_for_reply(  # type: ignore[no-any-return]
                msg_id, cell, timeout, hearing, task_poll_kernel_alive
            )
        finally:
            hearing.close()

    async def _hear_out(self, outputs: asyncio.Future[Any], cell: NotebookNode) -> None:
        """Wait for the last output of a cell that has replied.

        A kernel drops news for which its reader is too slow, the last one too: the kernel lives,
        and so does the run.
        """
        quiet = 0
        while not outputs.done():
            before = self._heard
            await asyncio.wait({outputs}, timeout=_SILENCE_SECONDS)
            quiet = quiet + 1 if self._heard == before else 0
            if quiet > 1 and not outputs.done():
                outputs.cancel()
                self.context.on_text(_LOST)
                cell.outputs.append(new_output("stream", name="stderr", text=_LOST))
                return
        outputs.result()

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take a message of the kernel; one that is not as Jupyter has it ends nothing."""
        self._heard += 1
        try:
            return super().process_message(msg, cell, cell_index)  # type: ignore[no-any-return]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.context.on_text(f"[A message of the kernel was left out: {error!r:.200}]\n")
            return None

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str, cell_index: int
    ) -> NotebookNode | None:
        """Take an output; a piece of the stream before it is joined to it."""
        try:
            output = super().output(outs, msg, display_id, cell_index)
        except ValidationError:
            plain = {**msg, "content": marks.plain_content(msg["content"])}
            output = super().output(outs, plain, display_id, cell_index)
        if output is None:
            return None
        self.context.on_text(marks.text_of(output))
        if len(outs) > 1 and marks.is_same_stream(outs[-2], output, _STREAM_BYTES):
            outs[-2]["text"] += output["text"]
            outs.pop()
        return output  # type: ignore[no-any-return]


class OfflineJobsEngine(Engine):  # type: ignore[misc]
    """The engine that papermill finds as ``offline-jobs``."""

    @classmethod
    def execute_notebook(  # noqa: PLR0913, PLR0917 - papermill's signature
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        context: RunContext | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Run a notebook whose parameters are injected; see papermill's ``Engine``.

        Options are those of papermill and of nbclient's client, but for what concerns the start of
        a kernel, which is the engine's own. ``autosave_cell_every`` is taken and not needed: the
        result is saved at most a second after each change.

        Raises:
            ValueError: there is no such option.
        """
        _check_options(kwargs)
        if _is_in_loop():
            # Of a notebook or an asynchronous program: the kernel needs a loop that is its own.
            with ThreadPoolExecutor(1) as pool:
                options = {**kwargs, "log_output": log_output, "context": context}
                run = partial(cls.execute_notebook, nb, kernel_name, output_path, progress_bar)
                return pool.submit(run, **options).result()
        manager = Manager(nb, output_path, progress_bar)
        with ExitStack() as stack:
            if context is None:
                context = stack.enter_context(_bare_context(kernel_name))
            else:
                nb.metadata.papermill["input_path"] = context.input_name
                nb.metadata.papermill["output_path"] = context.output_name
                nb.metadata.papermill["default_parameters"] = dict(context.notebook_parameters)
            carry_over(nb, kwargs.get("input_path"), kernel_name, context.kernel.language)
            keep_vectors(nb, kernel_name, context.kernel.language)
            manager.notebook_start()
            is_whole = False
            try:
                cls.execute_managed_notebook(
                    manager, kernel_name, log_output=log_output, context=context, **kwargs
                )
                is_whole = True
            finally:
                manager.notebook_complete()
                if not is_whole:
                    manager.save_last()
        return manager.nb  # type: ignore[no-any-return]

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Manager, kernel_name: str, *, context: RunContext, **kwargs: Any
    ) -> None:
        """Run the cells of a notebook."""
        options = {name: value for name, value in kwargs.items() if name in _CLIENT_OPTIONS}
        options |= {
            "kernel_name": kernel_name,
            "log": papermill_log,
            "startup_timeout": kwargs.get("start_timeout", _START_SECONDS),
            "timeout": kwargs.get("execution_timeout") or kwargs.get("timeout"),
        }
        Client(nb_man, context, **options).execute()


#: What papermill hands to every engine, and what it has for its own.
_PAPERMILL_OPTIONS = frozenset({"input_path", "start_timeout", "execution_timeout"})
#: What nbclient does with a kernel that is up.
_CLIENT_OPTIONS = frozenset(
    {
        "allow_error_names",
        "allow_errors",
        "coalesce_streams",
        "error_on_timeout",
        "force_raise_errors",
        "interrupt_on_timeout",
        "log_output",
        "on_cell_complete",
        "on_cell_error",
        "on_cell_execute",
        "on_cell_executed",
        "on_cell_skipped",
        "on_cell_start",
        "record_timing",
        "skip_cells_with_tag",
        "stderr_file",
        "stdout_file",
        "store_widget_state",
        "timeout",
        "timeout_func",
    }
)


def _check_options(options: Mapping[str, Any]) -> None:
    known = _CLIENT_OPTIONS | _PAPERMILL_OPTIONS
    if unknown := sorted(options.keys() - known):
        raise ValueError(
            f"The engine {ENGINE_NAME} has no option {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}."
        )


def _is_in_loop() -> bool:
    """Whether this thread runs an event loop, and so cannot run another one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _bare_context(kernel_name: str) -> Iterator[RunContext]:
    """A context for a papermill that nobody watches: own kernel, signals, no news."""
    stopping = Stopping()
    with tempfile.TemporaryDirectory(prefix="offline-jobs-") as folder:
        kernel = Kernel(kernel_name, KernelSpecManager(), Path(folder), owns_process=False)
        with _signals(stopping):
            kernel.launch(Path.cwd(), os.environ)
            try:
                yield RunContext(stopping, kernel)
            except RunStoppedError:
                raise KeyboardInterrupt from None


@contextmanager
def _signals(stopping: Stopping) -> Iterator[None]:
    """SIGTERM and SIGINT stop the run, so that the notebook is saved; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {
        number: signal.signal(number, lambda *_: stopping.ask(StopReason.INTERRUPTED))
        for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
