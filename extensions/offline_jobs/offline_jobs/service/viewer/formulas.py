r"""Formulas in LaTeX as MathML, by latex2mathml; one that cannot be drawn shows its source.

Users wrote them: each may take so much time and no more, and all of a notebook together. Macros
(``\newcommand``) hold from where they are defined to the end of the notebook. Of the viewer
``markdown.py`` imports this, where there is a formula, for latex2mathml takes a while.
"""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from latex2mathml.converter import Converter

from offline_jobs.service.viewer.mathml import write_mathml

MOST_LETTERS = 20_000
#: Seconds of the processor, of one formula and of all in a notebook. Usual ones take a millisecond.
MOST_SECONDS_OF_ONE, MOST_SECONDS = 1.0, 15.0
#: A handler's error is lost where nobody could catch it: it is raised again.
_AGAIN_SECONDS = 0.25

#: Those of mathematics, each with what latex2mathml draws like it. Equations have no numbers, as in
#: JupyterLab.
_ENVIRONMENTS = {
    **{name: name for name in ("equation", "equation*", "math", "displaymath", "array", "split")},
    **{f"{kind}matrix": f"{kind}matrix" for kind in ("", "p", "b", "B", "v", "V", "small")},
    **dict.fromkeys(("align", "align*", "aligned", "alignat", "alignat*", "alignedat"), "align*"),
    **dict.fromkeys(("gather", "gather*", "gathered", "multline", "multline*"), "displaylines"),
    **dict.fromkeys(("cases", "dcases"), "cases"),
    **dict.fromkeys(("eqnarray", "eqnarray*"), "array"),
}
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]+\*?)\}")
#: How many columns there are, and how a block stands to its line: of no use here.
_COLUMNS = re.compile(r"(\\begin\{align(?:at\*?|edat)\})\s*\{\d+\}")
_PLACE = re.compile(r"(\\begin\{(?:aligned|alignedat|gathered|array|split)\})\s*\[[tbc]\]")
_SILENT = re.compile(r"\\label\s*\{[^{}]*\}|\\(?:nonumber|notag)(?![A-Za-z])")


class _OutOfTime(Exception):
    """A formula took more than it may."""


class Formulas:
    """Draws the formulas of one notebook, in their order."""

    def __init__(self) -> None:
        self._converter = Converter()
        self.left_seconds = MOST_SECONDS

    def draw(self, latex: str, *, is_block: bool) -> str | None:
        """A formula as markup; None of one that cannot be drawn.

        Args:
            latex: what stands between the dollars, or an environment with its begin and end.
            is_block: it stands on a line of its own.
        """
        if len(latex) > MOST_LETTERS or self.left_seconds <= 0:
            return None
        self._converter.display = "block" if is_block else "inline"
        try:
            with self._in_time():
                tree = self._converter.convert_to_element(_adapt(latex))
                return write_mathml(tree)
        # Whatever a user wrote: it is told by its source. Memory is free again by then.
        except (Exception, MemoryError):  # noqa: BLE001
            return None

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Give a formula its time; the processor's, so that a busy machine draws the same."""
        most = min(MOST_SECONDS_OF_ONE, self.left_seconds)
        usual = signal.signal(signal.SIGVTALRM, _stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, most, _AGAIN_SECONDS)
        began = time.process_time()
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, usual)
            self.left_seconds -= time.process_time() - began


def _stop(number: int, frame: FrameType | None) -> None:
    raise _OutOfTime


def _adapt(latex: str) -> str:
    """Say it in the environments that latex2mathml knows.

    Raises:
        KeyError: there is another one.
    """
    for pattern in (_COLUMNS, _PLACE):
        latex = pattern.sub(r"\1", latex)

    def rename(found: re.Match[str]) -> str:
        end, name = found[1], found[2]
        columns = "{rcl}" if end == "begin" and name.startswith("eqnarray") else ""
        return f"\\{end}{{{_ENVIRONMENTS[name]}}}{columns}"

    return _ENVIRONMENT.sub(rename, _SILENT.sub("", latex))
