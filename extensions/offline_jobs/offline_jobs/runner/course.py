"""What a run took over time: a bounded series of memory and cores, coarser the longer it lasts.

Fed by :mod:`watchdog`; pure. Times are of ``time.monotonic()``.
"""

from typing import Any

_MIB = 1024**2


class Course:
    """Memory and cores from the first look on, in spans of equal length.

    Of each span the most memory that was seen in it, and how many cores were busy on average. When
    there are :data:`MOST_POINTS` spans, each two become one: a run of days has as many as one of
    minutes, and the highest stays the highest.
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
        self._memory: list[int] = []
        self._cores: list[float] = []
        self._begun: float | None = None
        self._looked = (0.0, 0.0)
        self._highest = 0
        self._first_cell: float | None = None
        self._is_over = False

    def see_memory(self, memory_bytes: int) -> None:
        """Take in what memory is in use now."""
        self._highest = max(self._highest, memory_bytes)

    def is_due(self, now: float) -> bool:
        """Whether a span is over, so that somebody has to look."""
        return self._begun is None or self._count_spans(now) > len(self._memory)

    def look(self, now: float, cpu_seconds: float) -> None:
        """Take in what the processes took so far; spans in which nobody looked are as this one."""
        if self._begun is None:
            self._begun, self._looked = now, (now, cpu_seconds)
            return
        while self._count_spans(now) > self.MOST_POINTS:
            self._halve()
        missing = self._count_spans(now) - len(self._memory)
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
        if self._begun is None or not self._memory:
            return
        rest = now - self._begun - len(self._memory) * self._seconds
        if rest < self._seconds / 2:
            self._memory[-1] = max(self._memory[-1], self._highest)
            self._tell()
        elif now > self._looked[0]:
            self._add(1, now, cpu_seconds)
        else:
            # It was looked at right now, for nobody came in time: the rest is as that.
            self._memory.append(self._memory[-1])
            self._cores.append(self._cores[-1])
            self._tell()

    def _count_spans(self, now: float) -> int:
        begun = now if self._begun is None else self._begun
        return int((now - begun) / self._seconds)

    def _add(self, number: int, now: float, cpu_seconds: float) -> None:
        at, before = self._looked
        cores = max(0.0, (cpu_seconds - before) / (now - at))
        self._memory += [self._highest] * number
        self._cores += [cores] * number
        self._looked, self._highest = (now, cpu_seconds), 0
        if len(self._memory) >= self.MOST_POINTS:
            self._halve()
        self._tell()

    def _halve(self) -> None:
        """Have spans of twice the length; of an odd number the last one stands for two."""
        self._seconds *= 2
        pairs = range(0, len(self._memory), 2)
        self._memory = [max(self._memory[i : i + 2]) for i in pairs]
        means = (self._cores[i : i + 2] for i in pairs)
        self._cores = [sum(pair) / len(pair) for pair in means]

    def _tell(self) -> None:
        self.series = {
            "every_seconds": self._seconds,
            "memory_mib": [round(memory / _MIB) for memory in self._memory],
            "cores": [round(cores, 2) for cores in self._cores],
            "first_cell_seconds": self._first_cell and round(self._first_cell, 1),
        }
