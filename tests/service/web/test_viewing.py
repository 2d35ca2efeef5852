"""The executed notebook as a page: what is in it, who gets it, and what a browser is told of it."""

import base64
import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest

from offline_jobs.contract.states import State
from offline_jobs.service.errors import Unavailable
from offline_jobs.service.object_store import StoredObject, result_key
from offline_jobs.service.viewer.figures import PAPERMILLS_TAG
from offline_jobs.service.viewer.formulas import Formulas
from offline_jobs.service.viewer.page import render
from offline_jobs.service.web import viewing
from tests.service.web.factories import API, Client, Service, make_notebook

ERROR = {"output_type": "error", "ename": "E", "evalue": "e", "traceback": ["\x1b[31mE\x1b[0m: e"]}


def make_executed(*outputs: dict[str, Any]) -> bytes:
    """A notebook of a cell for each output."""
    notebook = make_notebook(*(f"cell({n})" for n, _ in enumerate(outputs)))
    for cell, output in zip(notebook["cells"], outputs, strict=True):
        cell["outputs"] = [output]
    return json.dumps(notebook).encode()


def keep(service: Service, ada: Client, content: bytes) -> str:
    """A running job of ada's with what was handed over so far; its id."""
    job: str = ada.submit().json()["id"]
    service.rooms.objects.put(result_key(job, 1), content)
    return job


def test_a_result_is_shown_cell_by_cell(service: Service, ada: Client) -> None:
    said = {"output_type": "stream", "name": "stdout", "text": "<b>seven</b>\n"}
    job = keep(service, ada, make_executed(said, ERROR, said))
    answer = ada.get(f"jobs/{job}/view")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.count("&lt;b&gt;seven&lt;/b&gt;") == 2
    assert re.findall(r'id="(cell-\d)"', answer.text) == ["cell-1", "cell-2", "cell-3"]
    assert '<span class="ansi-red-fg">E</span>' in answer.text
    assert answer.text.rstrip().endswith("</html>")


def test_a_browser_is_told_to_run_nothing_of_it_and_to_fetch_nothing(
    service: Service, ada: Client
) -> None:
    headers = ada.get(f"jobs/{keep(service, ada, make_executed(ERROR))}/view").headers
    assert headers["content-security-policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'; base-uri 'none'"
    )
    assert headers["x-dns-prefetch-control"] == "off"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("chosen", "has"), [("dark", "dark"), ("light", "light"), ("x", "")])
def test_it_has_the_theme_that_was_chosen(
    service: Service, ada: Client, chosen: str, has: str
) -> None:
    job = keep(service, ada, make_executed(ERROR))
    page = ada.get(f"jobs/{job}/view", Cookie=f"{viewing.THEME_COOKIE}={chosen}").text
    assert re.findall(r"color-scheme: (light|dark);", page) == ([has] if has else [])
    assert ("prefers-color-scheme" in page) == (not has)


def test_it_is_shown_to_whoever_may_see_the_job(service: Service, ada: Client) -> None:
    job = keep(service, ada, make_executed(ERROR))
    assert service.client("lea").get(f"jobs/{job}/view").status_code == 200
    assert service.client("ben").get(f"jobs/{job}/view").status_code == 404


def test_before_there_is_one_it_is_said_in_words(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    answer = ada.get(f"jobs/{job}/view")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-result")
    assert "Wait for its end" in answer.json()["message"]
    service.finish(job, State.FAILED)
    assert "ended before there was one" in ada.get(f"jobs/{job}/view").json()["message"]
    framed = ada.get(f"jobs/{job}/view", **{"Sec-Fetch-Dest": "iframe"})
    assert (framed.status_code, framed.headers["content-type"]) == (409, "text/html; charset=utf-8")
    assert "ended before there was one" in framed.text
    assert "frame-ancestors 'self'" in framed.headers["content-security-policy"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"nbformat": 4, "cells": 7}', b"\xff"])
def test_what_is_no_notebook_is_said_so(service: Service, ada: Client, content: bytes) -> None:
    answer = ada.get(f"jobs/{keep(service, ada, content)}/view")
    assert answer.status_code == 200
    assert "This is not a notebook that can be shown" in answer.text
    assert answer.text.rstrip().endswith("</html>")


def test_one_that_takes_too_much_ends_with_a_line_and_harms_nobody(
    service: Service, ada: Client
) -> None:
    vast = b'{"nbformat": 4, "metadata": {}, "cells": [' + b"[]," * 4_000_000 + b"[]]}"
    answer = ada.get(f"jobs/{keep(service, ada, vast)}/view")
    assert answer.status_code == 200
    assert "more memory or time than there is for it" in answer.text
    small = keep_another(service, ada)
    assert "cell-1" in ada.get(f"jobs/{small}/view").text


def keep_another(service: Service, ada: Client) -> str:
    job: str = ada.submit("key-00000002").json()["id"]
    service.rooms.objects.put(result_key(job, 1), make_executed(ERROR))
    return job


def test_a_store_that_fails_amid_it_is_said_in_words(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = keep(service, ada, make_executed(ERROR))

    def fail(self: StoredObject, size: int = -1) -> bytes:
        raise Unavailable("The store cannot be read now.")

    monkeypatch.setattr(StoredObject, "read", fail)
    answer = ada.get(f"jobs/{job}/view")
    assert (answer.status_code, answer.json()["message"]) == (503, "The store cannot be read now.")


def test_the_program_knows_no_secret(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE_JOBS_KEY", "what the service alone knows")
    tell = "import os, sys; sys.stdin.read(); print(sorted(os.environ))"
    monkeypatch.setattr(viewing, "COMMAND", (sys.executable, "-c", tell))
    answer = ada.get(f"jobs/{keep(service, ada, b'')}/view")
    assert answer.text.strip() == "['LANG', 'PATH']"


def test_whoever_goes_away_or_takes_too_long_keeps_nobody_from_looking(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a person's is made at a time: were that one not ended, the next would wait for it."""
    job = keep(service, ada, make_executed(ERROR))
    endless = "import sys; sys.stdin.read()\nwhile True: print('.' * 4000)"
    with monkeypatch.context() as patch:
        patch.setattr(viewing, "COMMAND", (sys.executable, "-c", endless))
        address = f"{API}jobs/{job}/view"
        with ada.http.stream("GET", address, headers=ada.headers()) as answer:
            next(answer.iter_raw())
        patch.setattr(viewing, "LONGEST_SECONDS", 0.1)
        with (
            pytest.raises(httpx.RemoteProtocolError),
            ada.http.stream("GET", address, headers=ada.headers()) as answer,
        ):
            assert sum(map(len, answer.iter_raw())) > 0
    assert "cell-1" in ada.get(f"jobs/{job}/view").text


#: Fills a pipe with more than is read from it at once, tells that it has, and waits.
FILL = """
import fcntl, os, signal
fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)
os.write(1, bytes(900_000))
open({told!r}, "w").close()
signal.pause()
"""


def test_whoever_goes_away_leaves_no_pipe_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Going away cancels each wait, and of a pipe that is not read on nobody sees the end."""
    told = tmp_path / "told"
    os.mkfifo(told)
    code = FILL.format(told=str(told))
    monkeypatch.setattr(viewing, "COMMAND", (sys.executable, "-c", code))

    def find_pipes() -> set[str]:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return {os.readlink(link) for link in links if os.path.lexists(link)}

    async def go_away() -> None:
        before = find_pipes()
        with anyio.CancelScope() as leaving:
            async with viewing.Viewers().start("ada", *viewing.COMMAND) as program:
                program.stdin.close()
                await anyio.to_thread.run_sync(told.read_bytes)
                assert await program.stdout.read(1)
                leaving.cancel()
        assert {each for each in find_pipes() - before if each.startswith("pipe:")} == set()

    anyio.run(go_away)


@pytest.mark.parametrize(
    ("data", "shown", "hidden"),
    [
        ({"image/png": "UE5H", "text/plain": "Figure"}, "data:image/png;base64,UE5H", "Figure"),
        ({"text/html": "<table></table>", "text/plain": "rows"}, "<table></table>", "rows"),
        ({"text/html": "<script>draw()</script>", "image/png": "UE5H"}, "base64,UE5H", "draw()"),
        ({"text/html": "<div></div><Script>draw()</Script>"}, "needs scripts", "nothing else"),
        ({"application/javascript": "draw()"}, "needs scripts", "draw()"),
        ({"application/vnd.plotly.v1+json": {}, "text/plain": "plot"}, "plot", "needs scripts"),
        ({"application/vnd.plotly.v1+json": {"a": 1}}, "needs scripts", "plotly"),
        ({"text/html": "<iframe srcdoc='&lt;script>'></iframe>"}, "needs scripts", "nothing"),
        ({"text/html": "<IFrame/src=//x>"}, "needs scripts", "//x"),
        ({"text/html": "<LINK rel=preconnect href=//x>y"}, "y", "preconnect"),
        ({"text/plain": "<i>7</i>"}, "&lt;i&gt;7", "needs scripts"),
    ],
)
def test_of_each_output_the_best_is_shown_that_needs_no_script(
    data: dict[str, Any], shown: str, hidden: str
) -> None:
    output = {"output_type": "display_data", "metadata": {}, "data": data}
    page = "".join(render(io.BytesIO(make_executed(output))))
    body = page.partition("<main>")[2]
    assert shown in body
    assert hidden not in body


def show_markdown(*sources: str) -> str:
    """The page of a notebook of text."""
    cells = [
        {"cell_type": "markdown", "id": f"t{n}", "metadata": {}, "source": source}
        for n, source in enumerate(sources)
    ]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return "".join(render(io.BytesIO(json.dumps(notebook).encode()))).partition("<main>")[2]


def show_output(**data: Any) -> str:
    """The page of what a cell showed; `__` stands for a slash."""
    named = {key.replace("__", "/").replace("svg", "svg+xml"): each for key, each in data.items()}
    output = {"output_type": "display_data", "metadata": {}, "data": named}
    return "".join(render(io.BytesIO(make_executed(output)))).partition("<main>")[2]


@pytest.mark.parametrize(
    ("source", "drawn"),
    [
        ("the $n$th", '<math display="inline"><mrow><mi>n</mi></mrow></math>th'),
        ("$ x $ and $\\alpha $ is", "<mi>\N{GREEK SMALL LETTER ALPHA}</mi>"),
        ("\\\\(y\\\\)", '<math display="inline"><mrow><mi>y</mi>'),
        ("$$\\sum_i^n i$$", "<munderover><mo>∑</mo>"),
        ("$\\lim_x f$", '<munder><mo lspace="0" movablelimits="true" rspace="0">lim</mo>'),
        ("\\begin{align}a&=b\\\\c&=d\\end{align}", '<mtable class="aligned" displaystyle="true">'),
        ("$$\\begin{aligned}a&=b\\end{aligned}$$", '<mtd class="right"><mi>a</mi></mtd>'),
        ("$$\\begin{array}[t]{c|c}1&2\\end{array}$$", '<mtd class="beside"><mn>1</mn></mtd>'),
        ("\\begin{eqnarray}a&=&b\\end{eqnarray}", '<mtd class="right"><mi>a</mi></mtd>'),
        ("$$\\begin{vmatrix}a\\end{vmatrix}$$", '<mo stretchy="true">|</mo>'),
        ("$x\\log y$", '<mspace width="0.167em"></mspace><mi>log</mi>'),
        (
            "$\\mathbb{AR}\\boldsymbol{\\beta}$",
            "<mi>\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL A}</mi><mi>\N{DOUBLE-STRUCK CAPITAL R}</mi>"
            "</mrow><mrow><mi>\N{MATHEMATICAL BOLD ITALIC SMALL BETA}</mi>",
        ),
        ("$a\\!b$", '<mspace width="-0.167em">'),
        ("# On $x$", "<mi>x</mi>"),
    ],
)
def test_formulas_are_drawn(source: str, drawn: str) -> None:
    page = show_markdown(source)
    assert drawn in page
    assert "$" not in page


@pytest.mark.parametrize(
    "source",
    [
        "it costs $5 and $6",
        "$HOME and $PATH",
        "from $5-$10 on",
        "from A$-$10 on",
        "US$30, $5 or 5 $ more",
        "`$x$`",
        "\\$x\\$",
        "$\\unknown{x}$",
        "$\\frac{a$",
        "$a & b$",
        "$x^$",
        "\\begin{tabular}{l}a\\end{tabular}",
        "$\\text{" + "x" * 20_001 + "}$",
        "$" + "\\sqrt{" * 400 + "x" + "}" * 400 + "$",
        "$" + "\\sqrt{" * 120 + "x" + "}" * 120 + "$",
        "$\\def\\a{\\a\\a}\\a$",
        "$\\def\\a#1{#1#1}" + "\\a{" * 40 + "x" + "}" * 40 + "$",
    ],
)
def test_what_is_no_formula_stays_as_it_is_written(source: str) -> None:
    page = show_markdown(source, "after it $z$")
    before, _, after = page.partition("after it")
    assert "<math" not in before
    assert source.strip("`").replace("\\$", "$").replace("&", "&amp;") in before
    assert "<mi>z</mi>" in after


def test_a_macro_holds_for_the_rest_of_the_notebook() -> None:
    assert "<mi>\N{DOUBLE-STRUCK CAPITAL R}</mi>" in show_markdown(
        r"$\newcommand{\R}{\mathbb{R}}$", r"$\R$"
    )


def test_nothing_of_a_formula_becomes_markup() -> None:
    hostile = (
        r"$\text{<img src=x>&lt;script>}\unicode{x3c}b\unicode{x3e}\verb|<i>|$"
        r" $\href{javascript:run()}{x}\style{background:url(//x)}{y}\class{a}{z}\color{red\"x}w$"
        r" $\textcolor{url(//x)}{u}\operatorname{<b>}\hspace{9999999em}v$"
    )
    for page in (show_markdown(hostile), show_output(text__latex=hostile)):
        tags = set(re.findall(r"<(?!/)(\w+)", page)) - {"section", "div", "p", "pre", "span"}
        assert tags <= {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mstyle"}
        inside = "".join(re.findall(r"<math.*?</math>", page))
        assert inside
        assert not re.search(r"<[^>]*(href|style=|class|url|javascript|9999)", inside)


# The error that ends a formula is told where a generator of it is thrown away, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_formulas_have_their_time_and_all_together_too() -> None:
    drawing = Formulas()
    # Each macro is ten of the one before: no formula that is written so is ever drawn to its end.
    names = "abcdefgh"
    bomb = r"\def\a#1{#1}" + "".join(
        rf"\def\{name}#1{{" + rf"{{\{before}{{#1}}}}" * 10 + "}"
        for before, name in itertools.pairwise(names)
    )
    bomb += r"\h{x}"
    drawing.left_seconds = 0.2
    assert drawing.draw(bomb, is_block=False) is None
    assert drawing.left_seconds <= 0
    assert drawing.draw("x", is_block=False) is None
    assert "<mi>x</mi>" in str(Formulas().draw("x", is_block=False))


def test_only_where_there_is_a_formula_is_it_made_ready() -> None:
    code = (
        "import io, sys; from offline_jobs.service.viewer.page import render; "
        "list(render(io.BytesIO(sys.argv[1].encode()))); print('latex2mathml' in sys.modules)"
    )
    for source, is_loaded in (("costs $5 and $6", "False"), ("$x$", "True")):
        cell = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": source}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        command = [sys.executable, "-c", code, json.dumps(notebook)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == is_loaded


@pytest.mark.parametrize(
    "latex", [r"$\displaystyle x$", r"\(x\)", r"\[x\]", r"$$x$$", r"\begin{align*}x\end{align*}"]
)
def test_what_a_cell_shows_as_latex_is_drawn(latex: str) -> None:
    page = show_output(text__latex=f"<i> {latex} of $5 and $6", text__plain="x")
    assert "&lt;i&gt; <math" in page
    assert "</math> of $5 and $6" in page


def test_a_vast_output_in_latex_is_written_out() -> None:
    assert "<math" not in show_output(text__latex="$x$ " + "y" * 20_000)


def test_a_picture_of_lines_is_an_image() -> None:
    page = show_output(image__svg="<svg width='4'><script>run()</script></svg>")
    (letters,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert base64.b64decode(letters).startswith(b'<svg xmlns="http://www.w3.org/2000/svg" width=')
    assert "<svg" not in page
    vast = "<svg>" + "<path/>" * 1_000_000 + "</svg>"
    assert "an SVG of more than 6 MiB" in show_output(image__svg=vast)
    assert "base64,UE5H" in show_output(image__svg=vast, image__png="UE5H")


def test_cells_have_the_numbers_that_the_job_says() -> None:
    notebook = json.loads(make_executed(ERROR, ERROR, ERROR))
    text = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# Text"}
    papermills = {
        **text,
        "id": "p",
        "metadata": {"tags": [PAPERMILLS_TAG]},
        "source": "said by papermill",
    }
    empty = {**notebook["cells"][0], "id": "e", "source": " ", "outputs": []}
    notebook["cells"] = [papermills, text, empty, *notebook["cells"]]
    page = "".join(render(io.BytesIO(json.dumps(notebook).encode())))
    assert re.findall(r'id="(cell-\d)"', page) == ["cell-1", "cell-2", "cell-3"]
    assert '<a target="_self" class="anchor-link" href="#Text"' in page
    assert "said by papermill" not in page


def test_a_cell_that_cannot_be_shown_is_written_out() -> None:
    notebook = json.loads(make_executed(ERROR))
    lost = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "![<x>](attachment:no)"}
    raw = {"cell_type": "raw", "id": "r", "metadata": {}, "source": "<i>raw</i>"}
    notebook["cells"] = [lost, raw, *notebook["cells"]]
    page = "".join(render(io.BytesIO(json.dumps(notebook).encode())))
    assert "![&lt;x&gt;](attachment:no)</pre>" in page
    assert "<pre>&lt;i&gt;raw&lt;/i&gt;</pre>" in page
    assert 'id="cell-1"' in page
