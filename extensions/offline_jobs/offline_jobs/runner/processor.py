"""How busy a run kept its processor: from the time that its processes took, looked at now and then.

Fed by :mod:`watchdog`; pure.
"""


class ProcessorUse:
    """Processor time of the run so far, and on how many cores it was at its busiest.

    What a process takes between two looks counts with the second one, also where it has ended by
    then and somebody waited for it.
    """

    #: Seconds from one look to the next. In a shorter span a moment of all cores would be a need.
    SPAN_SECONDS = 10.0

    def __init__(self) -> None:
        self.seconds = 0.0
        #: Mean of the busiest span, in cores; 0 before a span has passed.
        self.most_cores = 0.0
        self._begun: tuple[float, float] | None = None

    def is_due(self, now: float) -> bool:
        """Whether it is time to look; ``now`` is a time of ``time.monotonic()``, here as below."""
        return self._begun is None or now - self._begun[0] >= self.SPAN_SECONDS

    def look(self, now: float, seconds: float) -> None:
        """Take in what the processes took so far; what was lost sight of is not taken back."""
        self.seconds = max(self.seconds, seconds)
        if not self.is_due(now):
            return
        if self._begun is not None:
            at, before = self._begun
            self.most_cores = max(self.most_cores, (self.seconds - before) / (now - at))
        self._begun = now, self.seconds
