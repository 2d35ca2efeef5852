"""A result is looked at on the job's page, with no server running, and can do nothing there."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import PAGE, Visitor, build_notebook, wait_for_file
from tests.site import wait_until

DRAW = """
import base64, zlib, struct
from IPython.display import display, Image
def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
rows = b''.join(b'\\0' + b'\\xff\\0\\0' * 40 for _ in range(30))
png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 40, 30, 8, 2, 0, 0, 0))
display(Image(png + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')))
"""
#: A formula, and a figure in SVG alone.
DRAW_LINES = r"""
from IPython.display import Math
display(Math(r"\begin{pmatrix} 1 & 2 \\ 3 & \frac{a}{b} \end{pmatrix}"))
svg = "<svg width='50' height='20'><rect width='50' height='20'/></svg>"
display({"image/svg+xml": svg}, raw=True)
"""
#: What an image would run or ask for, were it more than that.
HOSTILE_LINES = """
<svg xmlns='http://www.w3.org/2000/svg' width='50' height='20'><image href='URL/svg-image'/>
<script>window.top.ran = 5; fetch('URL/svg-fetch')</script><foreignObject width='9' height='9'>
<img xmlns='http://www.w3.org/1999/xhtml' src='URL/svg-html'/></foreignObject></svg>
"""
#: All ways that markup has to run something, or to ask somebody for something, unasked.
HOSTILE = """
<script>window.ran = parent.ran = 1; fetch('URL/fetch')</script>
<img src='URL/img' onerror='window.ran = 2'><img srcset='URL/srcset'>
<svg onload='window.ran = 3'><image href='URL/svg'/><use href='URL/use#x'/></svg>
<iframe src='URL/frame'></iframe><iframe srcdoc='<script>top.ran = 4</script>'></iframe>
<object data='URL/object'></object><embed src='URL/embed'><video autoplay src='URL/video'></video>
<link rel=stylesheet href='URL/style'><link rel=prefetch href='URL/prefetch'>
<link rel=preconnect href='URL'><link rel=icon href='URL/icon'>
<style>@import 'URL/import'; body { background: url(URL/background) }
@font-face { font-family: x; src: url(URL/font) } p { font-family: x }</style>
<meta http-equiv=refresh content='0;url=URL/refresh'><base href='URL/base/'>
<math href='URL/math'><maction actiontype='toggle'><mi>x</mi></maction><semantics><mi>x</mi>
<annotation-xml encoding='text/html'><img src='URL/annotation' onerror='window.ran = 6'>
<script>window.ran = 7</script></annotation-xml></semantics></math>
<form action='URL/form'><input autofocus onfocus='this.form.submit()'><button>Send</button></form>
<a href='javascript:location="URL/ran"'>run</a> <a href='URL/clicked'>outside</a>
"""


@pytest.fixture
def outside() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody should ask: its address, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"outside")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def get_request(self) -> Any:
            asked.append("connection")
            return super().get_request()

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def read_result(visitor: Visitor, job: str) -> str:
    """What is finished of a job, as far as the service has it; empty before there is anything."""
    answer = visitor.user.api.get(f"{PAGE}api/v1/jobs/{job}/result")
    outputs = [cell.get("outputs") for cell in answer.json()["cells"]] if answer.is_success else []
    return str(outputs)


def find_result(page: Page) -> FrameLocator:
    """The executed notebook on a job's page."""
    return page.frame_locator("#result")


def test_a_failed_job_shows_its_figure_and_the_cell_that_failed(
    ada: Visitor, open_window: OpenWindow
) -> None:
    long = "for i in range(300): print(f'line {i}')"
    job = ada.submit(
        build_notebook(DRAW + DRAW_LINES, long, "1 / 0", "print('never')"), name="looked at"
    )
    ada.wait_for_state(job, "failed")
    page = open_window(ada).open_job(job)
    result = find_result(page)
    figure = result.locator("#cell-1 .output_png img")
    expect(figure).to_have_js_property("naturalWidth", 40)
    expect(result.locator("#cell-1 .output_svg img")).to_have_js_property("naturalWidth", 50)
    formula = result.locator("#cell-1 math").bounding_box()
    assert formula is not None
    # Two lines, one of them a fraction, and not a line of text.
    assert formula["height"] > 30
    strip = page.locator("#figures img")
    expect(strip).to_have_count(2)
    expect(strip.last).to_have_js_property("naturalWidth", 50)
    expect(result.locator("#cell-3")).to_contain_text("ZeroDivisionError")
    expect(result.locator("#cell-3")).to_be_in_viewport()
    expect(figure).not_to_be_in_viewport()
    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    assert page.get_by_role("link", name="Open on its own").get_attribute("href") == (
        f"{PAGE}api/v1/jobs/{job}/view#cell-3"
    )
    # The system has a light one: light is chosen first, then dark.
    for colour in ("rgb(255, 255, 255)", "rgb(28, 26, 24)"):
        page.get_by_role("button", name="Theme").click()
        expect(result.locator("body")).to_have_css("background-color", colour)


def test_of_a_running_job_it_shows_what_there_is_and_at_the_end_all(
    ada: Visitor, open_window: OpenWindow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate = tmp_path_factory.mktemp("viewing") / "gate"
    notebook = build_notebook("print('fi' + 'rst')", wait_for_file(gate), "print('la' + 'st')")
    job = ada.submit(notebook, name="looked at as it runs")
    ada.wait_for_cell(job, 2)
    wait_until(lambda: "first" in read_result(ada, job), "a copy of what is finished")
    page = open_window(ada).open_job(job)
    expect(page.get_by_role("heading", name="So far")).to_be_visible()
    expect(find_result(page).locator("#cell-1 .output_stdout")).to_have_text("first")
    expect(find_result(page).get_by_text("last", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Load again").click()
    expect(find_result(page).locator("#cell-1 .output_stdout")).to_have_text("first")
    gate.touch()
    expect(page.get_by_role("heading", name="Result")).to_be_visible(timeout=60_000)
    expect(find_result(page).locator("#cell-3 .output_stdout")).to_have_text("last")


@pytest.mark.parametrize("alone", [False, True], ids=["on the page", "alone"])
def test_what_a_notebook_holds_runs_nothing_and_asks_nobody(
    ada: Visitor, open_window: OpenWindow, outside: tuple[str, list[str]], *, alone: bool
) -> None:
    address, asked = outside
    markup = HOSTILE.replace("URL", address)
    show = f"from IPython.display import HTML, display\ndisplay(HTML({markup!r}))"
    svg = HOSTILE_LINES.replace("URL", address)
    lines = f"display({{'image/svg+xml': {svg.strip()!r}}}, raw=True)"
    job = ada.submit(build_notebook(show, lines, "print('the ' + 'end')"), name="hostile")
    ada.wait_for_state(job, "succeeded")
    window = open_window(ada)
    page = window.open_job(job)
    result: Page | FrameLocator = find_result(page)
    if alone:
        page.goto(f"{PAGE}api/v1/jobs/{job}/view")
        result = page
    else:
        expect(page.locator("#result-note")).to_be_empty()
    expect(result.get_by_text("the end", exact=True)).to_be_visible()
    expect(result.locator("#cell-2 img")).to_have_js_property("naturalWidth", 50)
    result.get_by_role("button", name="Send").click()
    result.get_by_role("link", name="run").click()
    assert asked == []
    with page.context.expect_page() as opened:
        result.get_by_role("link", name="outside").click()
    wait_until(lambda: "/clicked" in asked, "the link that was clicked")
    opened.value.close()
    # What a browser asks of a site that somebody opens.
    assert set(asked) <= {"connection", "/clicked", "/favicon.ico"}
    assert page.evaluate("window.ran") is None
    origins = [frame.evaluate("[origin, window.ran]") for frame in page.frames[1 - alone :]]
    assert origins
    assert all(each == ["null", None] for each in origins[: 1 if alone else None]), origins
