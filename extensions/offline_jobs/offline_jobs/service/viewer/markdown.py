r"""Finds formulas in Markdown and in LaTeX that a cell showed, and has them drawn.

Which dollars are a formula follows nbconvert and JupyterLab, and is stricter where money would
become one: *it costs $5 and $6*. In Markdown that is ``$…$``, ``$$…$$``, ``\\(…\\)``, ``\\[…\\]``
and ``\begin{…}…\end{…}``; LaTeX has one backslash before a bracket. Of the viewer ``page.py``
imports it.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import pass_context
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import (
    IPythonRenderer,
    MarkdownWithMath,
    MathInlineParser,
)

if TYPE_CHECKING:
    from jinja2.runtime import Context

    from offline_jobs.service.viewer.formulas import Formulas

#: Of one output; beyond it there are tables.
MOST_LETTERS = 20_000
#: No formula ends at a dollar that begins something: a number, or a word after a blank. Nor does
#: one begin with a number and end with a blank, as *$5 to 10 $* would.
_INLINE = (
    r"(?<![$\\])\$(?!\$)(?!\d(?:[^$\\]|\\.)*\s\$)"
    r"(?P<math_inline_tex>(?:[^$\\]|\\.)+?)"
    r"(?:(?<=\s)\$(?!\w)|(?<!\s)\$(?!\d))"
)
_LATEX = re.compile(
    r"(?<!\\)\$\$(?P<tex>.+?)(?<!\\)\$\$"
    r"|(?<!\\)\\\[(?P<block>.+?)(?<!\\)\\\]"
    r"|(?<!\\)\\\((?P<inline>.+?)(?<!\\)\\\)"
    rf"|{_INLINE}"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]*\*?)\}.*?\\end\{(?P=name)\})",
    re.DOTALL,
)


class Artist:
    """Draws the formulas of one notebook; before the first there is nothing to load."""

    def __init__(self) -> None:
        self._formulas: Formulas | None = None

    def draw(self, latex: str, source: str, *, is_block: bool) -> str:
        """A formula as markup; where it cannot be drawn, what was written."""
        if self._formulas is None:
            # Most notebooks have none, and this takes as long as a small one.
            from offline_jobs.service.viewer.formulas import Formulas  # noqa: PLC0415

            self._formulas = Formulas()
        drawn = self._formulas.draw(latex, is_block=is_block)
        return drawn or html.escape(source, quote=False)

    def draw_output(self, latex: str) -> str:
        """What a cell showed as LaTeX: text with formulas in it, as markup."""
        if len(latex) > MOST_LETTERS:
            return html.escape(latex)
        parts: list[str] = []
        end = 0
        for found in _LATEX.finditer(latex):
            parts.append(html.escape(latex[end : found.start()]))
            end = found.end()
            within = found["tex"] or found["block"] or found["inline"] or found["math_inline_tex"]
            is_block = not (found["inline"] or found["math_inline_tex"])
            parts.append(self.draw(within or found["environment"], found[0], is_block=is_block))
        return "".join(parts) + html.escape(latex[end:])


class Exporter(HTMLExporter):
    """nbconvert's, whose Markdown has its formulas drawn."""

    def __init__(self) -> None:
        super().__init__(template_name="basic")  # type: ignore[no-untyped-call]
        self.artist = Artist()

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Markdown as markup."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = Renderer(self.artist, attachments)
        parser = Parser(hard_wrap=False)
        return str(MarkdownWithMath(renderer=renderer, inline=parser).render(source))


class Parser(MathInlineParser):
    """nbconvert's, for which money is no formula."""

    SPECIFICATION: ClassVar[dict[str, str]] = {
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": f"(?s:{_INLINE})",
    }


class Renderer(IPythonRenderer):
    """nbconvert's, that has formulas drawn."""

    def __init__(self, artist: Artist, attachments: Any) -> None:
        super().__init__(escape=False, attachments=attachments)
        self._artist = artist

    def block_math(self, body: str) -> str:
        """A formula on lines of its own."""
        return self._artist.draw(body, f"$${body}$$", is_block=True)

    def inline_math(self, body: str) -> str:
        """A formula within a line."""
        return self._artist.draw(body, f"${body}$", is_block=False)

    def latex_environment(self, name: str, body: str) -> str:
        """A formula that is an environment."""
        source = f"\\begin{{{name}}}{body}\\end{{{name}}}"
        return self._artist.draw(source, source, is_block=True)
