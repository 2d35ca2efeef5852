"""What a run took over time: a bounded series of memory, cores and GPUs, coarser the longer it is.

Fed by :mod:`watchdog`; pure. Times are of ``time.monotonic()``.
"""

from dataclasses import dataclass, replace
from typing import Any

from offline_jobs.runner.gpus import GpuUse, average

_MIB = 1024**2


@dataclass(frozen=True)
class _Span:
    """The most memory (bytes), and the mean of busy cores and of busy GPUs (percent, if known)."""

    memory: int
    cores: float
    gpu_percent: float | None
    gpu_memory_mib: int

    def join(self, other: "_Span") -> "_Span":
        """Both as one."""
        return _Span(
            max(self.memory, other.memory),
            (self.cores + other.cores) / 2,
            average((self.gpu_percent, other.gpu_percent)),
            max(self.gpu_memory_mib, other.gpu_memory_mib),
        )


class Course:
    """Memory, cores and GPUs from the first look on, in spans of equal length.

    Of each span the most memory that was seen in it, and how many cores were busy on average; of
    GPUs the same, and where none was looked at in a span, what was seen last. When there are
    :data:`MOST_POINTS` spans, each two become one: a run of days has as many as one of minutes,
    and the highest stays the highest.
    """

    #: An even number, so that spans are joined two by two.
    MOST_POINTS = 240
    #: In a shorter span the time of a look itself would show.
    FIRST_SECONDS = 2.0

    def __init__(self) -> None:
        #: As :class:`~offline_jobs.contract.run.Progress` has it, another object after each
        #: change; None before a span has passed.
        self.series: dict[str, Any] | None = None
        self._seconds = self.FIRST_SECONDS
        self._spans: list[_Span] = []
        self._begun: float | None = None
        self._looked = (0.0, 0.0)
        self._highest = 0
        #: Seen since the last span, and what counts until another is seen.
        self._gpus: list[GpuUse | None] = []
        self._last_gpus: GpuUse | None = None
        #: How many there were, and their memory in MiB.
        self._gpus_known: tuple[int, int] | None = None
        self._first_cell: float | None = None
        self._is_over = False

    def see_memory(self, memory_bytes: int) -> None:
        """Take in what memory is in use now."""
        self._highest = max(self._highest, memory_bytes)

    def see_gpus(self, use: GpuUse | None) -> None:
        """Take in what the GPUs do now, or that nobody tells any more."""
        self._gpus.append(use)

    def is_due(self, now: float) -> bool:
        """Whether a span is over, so that somebody has to look."""
        return self._begun is None or self._count_spans(now) > len(self._spans)

    def look(self, now: float, cpu_seconds: float) -> None:
        """Take in what the processes took so far; spans in which nobody looked are as this one."""
        if self._begun is None:
            self._begun, self._looked = now, (now, cpu_seconds)
            return
        while self._count_spans(now) > self.MOST_POINTS:
            self._halve()
        missing = self._count_spans(now) - len(self._spans)
        if missing > 0:
            self._add(missing, now, cpu_seconds)

    def begin_cells(self, now: float) -> None:
        """The first cell begins."""
        if self._begun is not None and self._first_cell is None:
            self._first_cell = now - self._begun

    def end(self, now: float, cpu_seconds: float) -> None:
        """Nothing is looked at any more: the last span counts where half of it has passed."""
        if self._is_over:
            return
        self.look(now, cpu_seconds)
        self._is_over = True
        if self._begun is None or not self._spans:
            return
        last = self._spans[-1]
        rest = now - self._begun - len(self._spans) * self._seconds
        if rest < self._seconds / 2:
            _, gpu_memory_mib = self._take_gpus()
            self._spans[-1] = replace(
                last,
                memory=max(last.memory, self._highest),
                gpu_memory_mib=max(last.gpu_memory_mib, gpu_memory_mib),
            )
            self._tell()
        elif now > self._looked[0]:
            self._add(1, now, cpu_seconds)
        else:
            # It was looked at right now, for nobody came in time: the rest is as that.
            self._spans.append(last)
            self._tell()

    def _count_spans(self, now: float) -> int:
        begun = now if self._begun is None else self._begun
        return int((now - begun) / self._seconds)

    def _add(self, number: int, now: float, cpu_seconds: float) -> None:
        at, before = self._looked
        cores = max(0.0, (cpu_seconds - before) / (now - at))
        self._spans += [_Span(self._highest, cores, *self._take_gpus())] * number
        self._looked, self._highest = (now, cpu_seconds), 0
        if len(self._spans) >= self.MOST_POINTS:
            self._halve()
        self._tell()

    def _take_gpus(self) -> tuple[float | None, int]:
        """Mean percent and most memory (MiB) of what was seen since the last span."""
        # Another thread may see more meanwhile.
        seen, self._gpus = self._gpus or [self._last_gpus], []
        self._last_gpus = seen[-1]
        known = [each for each in seen if each is not None]
        if known:
            self._gpus_known = known[-1].count, known[-1].memory_limit_mib
        percent = average(each.percent for each in known)
        return percent, max((each.memory_mib for each in known), default=0)

    def _halve(self) -> None:
        """Have spans of twice the length; of an odd number the last one stands for two."""
        self._seconds *= 2
        ends = [*self._spans, *self._spans[-1:]]
        self._spans = [ends[i].join(ends[i + 1]) for i in range(0, len(self._spans), 2)]

    def _tell(self) -> None:
        self.series = {
            "every_seconds": self._seconds,
            "memory_mib": [round(span.memory / _MIB) for span in self._spans],
            "cores": [round(span.cores, 2) for span in self._spans],
            "gpus": self._tell_gpus(),
            "first_cell_seconds": self._first_cell and round(self._first_cell, 1),
        }

    def _tell_gpus(self) -> dict[str, Any] | None:
        if self._gpus_known is None:
            return None
        count, memory_limit_mib = self._gpus_known
        percents = (span.gpu_percent for span in self._spans)
        return {
            "count": count,
            "memory_limit_mib": memory_limit_mib,
            "percent": [None if each is None else round(each) for each in percents],
            "memory_mib": [span.gpu_memory_mib for span in self._spans],
        }
