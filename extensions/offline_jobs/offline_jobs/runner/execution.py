"""One run from its specification to its end: what ``python -m offline_jobs.runner`` does.

Launches the kernel, lets papermill inject the parameters and call the engine, turns every way in
which that can end into one :class:`~offline_jobs.runner.ending.RunEnd`, and hands over what is
left: the notebook and the record to the home, both and the log to the service, the short form to
the termination message. Called by ``__main__``.
"""

import datetime
import hashlib
import json
import logging
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offline_jobs.contract.executed import read_sources
from offline_jobs.contract.exits import Exit
from offline_jobs.contract.names import ENGINE_NAME
from offline_jobs.contract.run import ResultRecord, Specification, Termination
from offline_jobs.contract.states import Cause, State
from offline_jobs.environments.kernels import find_environment, find_flaw, show_place
from offline_jobs.runner import ending, processes, spec
from offline_jobs.runner.checkpoints import clear_checkpoints
from offline_jobs.runner.ending import SUCCEEDED, RunEnd, RunFailedError, TerminationMessage
from offline_jobs.runner.handing import ServiceCopier
from offline_jobs.runner.kernel import (
    Kernel,
    KernelMissingError,
    KernelStartError,
    KernelUnfitError,
    find_kernels,
)
from offline_jobs.runner.packages import find_lock, find_search_path, list_packages
from offline_jobs.runner.progress import Reporter
from offline_jobs.runner.record import (
    describe_machine,
    describe_repository,
    find_versions,
    hash_file,
    hash_snapshot,
)
from offline_jobs.runner.saving import HomeCopier, OutputLostError, describe_error, write_file
from offline_jobs.runner.spec import Surroundings
from offline_jobs.runner.stopping import RunStoppedError, Stopping, StopReason
from offline_jobs.runner.transcript import Transcript, clean
from offline_jobs.runner.watchdog import Watchdog

if TYPE_CHECKING:
    from offline_jobs.runner.engine import Failure

LOG = logging.getLogger(__name__)

#: A run that a signal ended has this long to hand over its result: the machine is going away.
_HURRY_SECONDS = 10.0

#: At the end of a run its looks around, which began with it, are waited for so long.
_LOOK_SECONDS = 2.0
#: A kernel may take so long to answer: on a machine that is new its packages come from afar.
_KERNEL_START_SECONDS = 120

#: What papermill and jsonschema import wherever it is installed, and a runner has no use for:
#: stores of clouds, and checks of formats that no notebook has. Half of their import's time.
_NOT_NEEDED = (
    *("boto3", "azure", "gcsfs", "pyarrow", "github"),
    *("fqdn", "isoduration", "jsonpointer", "rfc3339_validator", "rfc3986_validator"),
    *("rfc3987", "rfc3987_syntax", "uri_template", "webcolors"),
)

#: What Python itself says of an error that nobody expected.
_EXIT_OF_A_BUG = 1

_STOPPED = {
    StopReason.CANCELLED: (State.CANCELLED.value, Exit.CANCELLED, "cancelled by its owner"),
    StopReason.INTERRUPTED: (Cause.INTERRUPTED.value, Exit.INTERRUPTED, "stopped by a signal"),
    StopReason.TIME_LIMIT: (Cause.TIME_LIMIT.value, Exit.TIME_LIMIT, "time limit reached"),
    StopReason.OUT_OF_MEMORY: (Cause.OUT_OF_MEMORY.value, Exit.OUT_OF_MEMORY, "out of memory"),
}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


@dataclass
class Execution:
    """One attempt. ``begun`` is the ``time.monotonic()`` from which the time limit counts."""

    surroundings: Surroundings
    specification: Specification
    stopping: Stopping
    termination: TerminationMessage
    folder: Path
    begun: float
    started: str = field(default_factory=_now)
    git: dict[str, Any] | None = None
    packages: bytes = b""

    def __post_init__(self) -> None:
        limit = self.specification.request.time_limit_seconds
        self.kernel: Kernel | None = None
        self._looking: threading.Thread | None = None
        self.transcript = Transcript(self.folder)
        self.watchdog = Watchdog(
            self.stopping,
            self.surroundings.memory_limit_bytes,
            self.begun + limit if limit else None,
            lambda: self.kernel.pid if self.kernel else None,
        )
        self.reporter = Reporter(
            self.surroundings.client,
            self.stopping,
            self.watchdog.memory,
            lambda: self.transcript.tail,
            self.watchdog.series,
        )
        self.local = self.folder / "notebook.ipynb"
        self.copier = HomeCopier(
            self.surroundings.home,
            self.specification.output,
            spec.output_name(self.specification),
            self.specification.attempt,
            self.local,
            self.transcript.content,
        )
        self.service_copier = ServiceCopier(self.surroundings.client, self.transcript.content)

    def run(self) -> RunEnd:
        """Run the notebook, hand over the result, and say how it ended."""
        try:
            end = self._run()
        finally:
            self.watchdog.leave_gpus()
            processes.kill_tree()
        self.reporter.ending()
        self.watchdog.stop()
        try:
            return self._hand_over(end)
        finally:
            self.transcript.close()

    def _run(self) -> RunEnd:
        """Every way in which a run can end, in one place."""
        try:
            self._prepare()
            self._call_papermill()
        except RunFailedError as error:
            return error.ending
        except RunStoppedError as error:
            outcome, code, message = _STOPPED[error.reason]
            return RunEnd(outcome, code, message)
        except OutputLostError as error:
            return _output_lost(error)
        except KernelStartError as error:
            return _kernel_not_started(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what was done is handed over
            return self._unexpected(error)
        return SUCCEEDED

    def _unexpected(self, error: Exception) -> RunEnd:
        LOG.error("the run broke", exc_info=error)
        said = describe_error(error) if isinstance(error, OSError) else str(error)
        message = f"The runner broke: {type(error).__name__}: {said}"
        if self.reporter.cell:
            return RunEnd(Cause.INTERNAL.value, _EXIT_OF_A_BUG, message)
        if isinstance(error, OSError):
            return RunEnd(Cause.INTERNAL.value, Exit.INFRASTRUCTURE, message)
        return RunEnd(Cause.INTERNAL.value, Exit.BAD_SPECIFICATION, message)

    def _prepare(self) -> None:
        specification = self.specification
        self.termination.write(Termination())
        processes.adopt_orphans()
        spec.wait_for_home(
            self.surroundings.home, self.surroundings.patience_seconds, self.stopping.wait
        )
        self.stopping.check()
        folder = spec.find_working_folder(self.surroundings.home, specification)
        self.kernel = self._find_kernel()
        self.kernel.launch(folder, self.surroundings.kernel_environment)
        self.watchdog.start()
        self.reporter.start()
        self._looking = threading.Thread(target=self._look_around, args=(folder,), daemon=True)
        self._looking.start()
        self.service_copier.start()
        self.copier.start(self._copied)

    def _find_kernel(self) -> Kernel:
        name = self.specification.request.kernel["name"]
        source = self.specification.request.kernel.get("source", "image")
        specs = find_kernels(source, self.surroundings.home)
        try:
            kernel = Kernel(name, specs, self.folder, owns_process=True)
        except KernelMissingError as error:
            place = "this image" if source == "image" else "your home"
            there = ", ".join(sorted(specs.find_kernel_specs())) or "none"
            raise ending.refused(
                f"There is no kernel {name!r} in {place}; kernels there: {there}"
            ) from error
        home, variables = self.surroundings.home, self.surroundings.kernel_environment
        if source == "home" and (flaw := find_flaw(name, kernel.argv, home, variables)):
            raise ending.refused(flaw)
        return kernel

    def _look_around(self, folder: Path) -> None:
        """Find out for the record what nobody has to wait for."""
        kernel = self.kernel
        if kernel is not None and kernel.language.lower() == "python":
            environment = self.surroundings.kernel_environment
            if folders := find_search_path(kernel.argv, environment):
                lines = "".join(f"{each}\n" for each in list_packages(folders))
                self.packages = lines.encode(errors="replace")
        self.git = describe_repository(folder)

    def _call_papermill(self) -> None:
        for name in _NOT_NEEDED:
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # who imports it is told no
        # Imported only now, while the kernel boots: this import takes as long as that.
        import nbformat  # noqa: PLC0415
        import papermill.execute  # noqa: PLC0415
        from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: PLC0415
        from papermill.exceptions import PapermillException, PapermillExecutionError  # noqa: PLC0415

        from offline_jobs.runner.engine import RunContext  # noqa: PLC0415
        from offline_jobs.runner.languages import explain_refusal  # noqa: PLC0415

        specification, kernel = self.specification, self.kernel
        assert kernel is not None  # noqa: S101 - made by _prepare
        source = self.folder / "input.ipynb"
        source.write_text(json.dumps(specification.notebook), encoding="utf-8")
        context = RunContext(
            self.stopping,
            kernel,
            on_cell_start=self._cell_started,
            on_cell_end=self.reporter.cell_ended,
            on_text=self._printed,
            input_name=specification.request.path,
            output_name=f"{specification.output}/{spec.output_name(specification)}",
            notebook_parameters=self._read_own_parameters(),
        )
        try:
            papermill.execute.execute_notebook(
                _escape(source),
                _escape(self.local),
                parameters=specification.request.parameters,
                engine_name=ENGINE_NAME,
                kernel_name=specification.request.kernel["name"],
                language=kernel.language,
                progress_bar=False,
                start_timeout=_KERNEL_START_SECONDS,
                context=context,
            )
        except PapermillExecutionError as error:
            if context.failure:
                raise RunFailedError(_cell_error(context.failure)) from error
            # Each cell that raised has the tag that announces it; for papermill that is an error.
            notebook = papermill.execute.remove_error_markers(nbformat.read(self.local, 4))
            write_file(self.local, nbformat.writes(notebook).encode(errors="replace"))
        except (DeadKernelError, CellTimeoutError) as error:
            raise RunFailedError(self._kernel_died(kernel)) from error
        except (PapermillException, ValueError, NotImplementedError) as error:
            if self.reporter.cell:
                raise
            # A language without a translator of parameters, for example, or with one that has no
            # word for a list or an object.
            said = f"The notebook cannot be prepared: {error}"
            if isinstance(error, NotImplementedError):
                said = explain_refusal(kernel.language, specification.request.parameters)
            raise ending.refused(said) from error

    def _cell_started(self, number: int, total: int) -> None:
        memory, _, limit = self.watchdog.memory()
        message = Termination(
            cell=number, total=total, memory_bytes=memory, memory_limit_bytes=limit
        )
        # That a cell began must outlive us, or the job might be run a second time from its start.
        is_first = self.reporter.cell == 0
        if not self.termination.write(message, durable=is_first) and is_first:
            raise RunFailedError(
                RunEnd(
                    Cause.INTERNAL.value,
                    Exit.INFRASTRUCTURE,
                    "The runner cannot keep the number of the cell that it begins.",
                )
            )
        if is_first:
            self.watchdog.begin_cells()
        self.transcript.line(f"[cell {number} of {total}]")
        self.reporter.cell_started(number, total)

    def _printed(self, text: str) -> None:
        self.transcript.write(text)
        self.reporter.printed()

    def _copied(self, notebook: bytes) -> None:
        if self.reporter.cell_seconds:
            # Before the first cell has ended there is nothing that anybody would look for.
            self.service_copier.offer(notebook)

    def _kernel_died(self, kernel: Kernel) -> RunEnd:
        said = kernel.last_output()
        if said:
            self.transcript.line(f"[the kernel process said]\n{said}")
        return RunEnd(Cause.KERNEL_DIED.value, Exit.KERNEL_DIED, "the kernel died")

    def _hand_over(self, end: RunEnd) -> RunEnd:
        """Termination message first, then the home, then the service, in bounded time."""
        ended = _now()
        if self._looking is not None:
            self._looking.join(_LOOK_SECONDS)
        packages = self.packages
        record = self._record(end, ended, packages)
        self._tell_last_words(record)
        self.transcript.line(f"[{end.outcome}{': ' + end.message if end.message else ''}]")
        if not self.local.exists():
            self.local.write_text(json.dumps(self.specification.notebook, indent=1), "utf-8")
        try:
            self.copier.finish(record, packages)
        except OutputLostError as error:
            LOG.warning("the result cannot be written to the home: %s", error)
            if end.exit_code == Exit.SUCCEEDED:
                end = _output_lost(error)
            record = self._record(end, ended, packages)
            self._tell_last_words(record)
        is_hurried = end.exit_code == Exit.INTERRUPTED
        patience = self.surroundings.patience_seconds
        self.reporter.finish()
        seconds = min(patience, _HURRY_SECONDS) if is_hurried else patience
        self.service_copier.finish(self.local.read_bytes(), record, seconds)
        return end

    def _tell_last_words(self, record: ResultRecord) -> None:
        self.termination.write(
            Termination(
                cell=record.cell,
                total=record.total,
                outcome=record.outcome,
                exit_code=record.exit_code,
                memory_bytes=record.memory_peak_bytes,
                memory_limit_bytes=record.memory_limit_bytes,
            )
        )

    def _record(self, end: RunEnd, ended: str, packages: bytes) -> ResultRecord:
        specification, reporter = self.specification, self.reporter
        _, peak, limit = self.watchdog.memory()
        processor = self.watchdog.processor()
        lock = find_lock(sys.prefix)
        return ResultRecord(
            job=specification.job,
            attempt=specification.attempt,
            outcome=end.outcome,
            exit_code=int(end.exit_code),
            request=specification.request,
            cell=reporter.cell,
            total=reporter.total,
            cell_seconds=list(reporter.cell_seconds),
            error=end.error,
            message=end.message,
            started=self.started,
            ended=ended,
            memory_peak_bytes=peak,
            memory_limit_bytes=limit,
            cpu_seconds=round(processor.seconds, 2),
            cores_peak=round(processor.most_cores, 2),
            series=self.watchdog.series(),
            output=specification.output,
            kernel={
                **specification.request.kernel,
                **(self.kernel.describe() if self.kernel else {}),
                **self._describe_environment(),
            },
            notebook_parameters=self._read_own_parameters(),
            snapshot_sha256=hash_snapshot(specification.notebook),
            image_reference="" if lock else specification.image_reference,
            lock_sha256=lock,
            packages_sha256=hashlib.sha256(packages).hexdigest() if packages else "",
            machine=describe_machine(),
            result_sha256=hash_file(self.local) if self.local.exists() else "",
            git=self.git,
            versions=find_versions(),
        )

    def _describe_environment(self) -> dict[str, str]:
        """The environment of a kernel of the home, which is not the image's."""
        if self.kernel is None or self.specification.request.kernel.get("source") != "home":
            return {}
        found = find_environment(self.kernel.argv[0])
        return {"environment": show_place(found, self.surroundings.home)} if found else {}

    def _read_own_parameters(self) -> dict[str, str]:
        """The notebook's parameters that were not given, each as its source has it."""
        language = self.kernel.language.lower() if self.kernel else ""
        sources = read_sources(self.specification.notebook["cells"], language)
        given = self.specification.request.parameters
        return {name: source for name, source in sources.items() if name not in given}


def _kernel_not_started(error: KernelStartError) -> RunEnd:
    if isinstance(error, KernelUnfitError):
        return ending.refused(str(error)).ending
    # Nothing has run yet, so another attempt is safe.
    return RunEnd(Cause.KERNEL_DIED.value, Exit.INFRASTRUCTURE, str(error))


def _cell_error(failure: "Failure") -> RunEnd:
    details = {
        "name": clean(failure.name),
        "value": clean(failure.value)[:2000],
        "cell": str(failure.number),
    }
    return RunEnd(Cause.CELL_ERROR.value, Exit.CELL_FAILED, "a cell raised", details)


def _output_lost(error: OutputLostError) -> RunEnd:
    message = f"the result cannot be written to the home: {error}"
    return RunEnd(Cause.OUTPUT_LOST.value, Exit.OUTPUT_LOST, message)


def _escape(path: Path) -> str:
    """A path as papermill wants it: it fills in parameters between braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def execute(surroundings: Surroundings, stopping: Stopping, begun: float) -> RunEnd:
    """Fetch the specification and run it."""
    termination = TerminationMessage(surroundings.termination_file)
    try:
        specification = spec.load_specification(surroundings, stopping.wait)
    except RunFailedError as error:
        end = error.ending
        if stopping.reason is not None:
            outcome, code, message = _STOPPED[stopping.reason]
            end = RunEnd(outcome, code, message)
        termination.write(Termination(outcome=end.outcome, exit_code=int(end.exit_code)))
        return end
    if surroundings.checkpoints is not None:
        clear_checkpoints(surroundings.checkpoints, specification.kept_checkpoints)
    with tempfile.TemporaryDirectory(prefix="offline-job-") as folder:
        return Execution(
            surroundings, specification, stopping, termination, Path(folder), begun
        ).run()
