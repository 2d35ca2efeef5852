"""The figures of an executed notebook: which there are, of which cell, and who gets them."""

import base64
import io
import json
import struct
import sys
import zlib
from typing import Any

import pytest

from offline_jobs.service.object_store import result_key
from offline_jobs.service.viewer import figures
from offline_jobs.service.viewer.figures import PAPERMILLS_TAG, list_figures
from offline_jobs.service.web import viewing
from tests.service.web.factories import Client, Service


def make_png(width: int = 4, height: int = 3) -> str:
    """A picture of one colour, as notebooks have it: in base64, with an end of line."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + b"\xff\0\0" * width for _ in range(height)))
    content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return base64.b64encode(content).decode() + "\n"


def make_jpeg(width: int, height: int, *, filler: int = 0) -> str:
    """The segments of a JPEG up to its frame, after one that says nothing."""
    comment = b"\xff\xfe" + struct.pack(">H", filler + 2) + bytes(filler)
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 8, 8, height, width, 0)
    return base64.b64encode(b"\xff\xd8" + comment + frame).decode()


def show(data: Any, **metadata: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": metadata, "data": data}


def make_cell(*outputs: Any, source: Any = "plot()", **changes: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "c", "metadata": {}, "execution_count": 1}
    return {**cell, "outputs": list(outputs), "source": source, **changes}


def make_executed(*cells: Any) -> bytes:
    notebook = {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook).encode()


def read(*cells: Any, first: int = 1) -> dict[str, Any]:
    return list_figures(io.BytesIO(make_executed(*cells)), first)


def keep(service: Service, ada: Client, content: bytes) -> str:
    """A running job of ada's with what was handed over so far; its id."""
    job: str = ada.submit().json()["id"]
    service.rooms.objects.put(result_key(job, 1), content)
    return job


def test_figures_come_with_their_cell_and_what_is_to_be_seen(service: Service, ada: Client) -> None:
    chip = show({"image/png": make_png(4, 3)}, **{"image/png": {"alt": " the\nchip "}})
    photo = show({"image/jpeg": make_jpeg(640, 480, filler=5_000)})
    job = keep(service, ada, make_executed(make_cell(), make_cell(chip, photo)))
    answer = ada.get(f"jobs/{job}/figures")
    assert answer.status_code == 200
    assert answer.json() == {
        "figures": [
            {
                "number": 1,
                "cell": 2,
                "type": "image/png",
                "width": 4,
                "height": 3,
                "alt": "the chip",
                "data": make_png(4, 3).strip(),
            },
            {
                "number": 2,
                "cell": 2,
                "type": "image/jpeg",
                "width": 640,
                "height": 480,
                "alt": "",
                "data": make_jpeg(640, 480, filler=5_000),
            },
        ],
        "total": 2,
        "next": None,
    }
    rest = ada.get(f"jobs/{job}/figures?first=2").json()
    assert [figure["number"] for figure in rest["figures"]] == [2]
    assert ada.get(f"jobs/{job}/figures?first=0").status_code == 422


def test_they_are_for_whoever_may_see_the_job(service: Service, ada: Client) -> None:
    job = keep(service, ada, make_executed(make_cell(show({"image/png": make_png()}))))
    assert service.client("lea").get(f"jobs/{job}/figures").json()["total"] == 1
    assert service.client("ben").get(f"jobs/{job}/figures").status_code == 404
    none = ada.submit("key-00000002").json()["id"]
    answer = ada.get(f"jobs/{none}/figures")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-result")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"cells": 7}', b"\xff", b"[" * 100_000])
def test_what_is_no_notebook_has_none(service: Service, ada: Client, content: bytes) -> None:
    answer = ada.get(f"jobs/{keep(service, ada, content)}/figures")
    assert answer.json() == {"figures": [], "total": 0, "next": None}


def test_one_that_takes_too_much_is_said_to_and_harms_nobody(service: Service, ada: Client) -> None:
    vast = b'{"nbformat": 4, "metadata": {}, "cells": [' + b"[]," * 9_000_000 + b"[]]}"
    job = keep(service, ada, vast)
    answer = ada.get(f"jobs/{job}/figures")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert "download the notebook" in answer.json()["message"]
    service.rooms.objects.put(result_key(job, 1), make_executed())
    assert ada.get(f"jobs/{job}/figures").json()["total"] == 0


def test_the_program_knows_no_secret(
    service: Service, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFLINE_JOBS_KEY", "what the service alone knows")
    tell = "import os, sys; sys.stdin.read(); print(sorted(os.environ), sys.argv[1:])"
    monkeypatch.setattr(viewing, "FIGURES_COMMAND", (sys.executable, "-c", tell))
    answer = ada.get(f"jobs/{keep(service, ada, b'')}/figures?first=3")
    assert answer.text.strip() == "['LANG', 'PATH'] ['3']"


EVIL = base64.b64encode(b"<svg onload='alert(1)'></svg>").decode()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "image/png",
        {},
        {"image/png": None},
        {"image/png": 7},
        {"image/png": [7]},
        {"image/png": "no base64!"},
        {"image/png": "é"},
        {"image/png": EVIL},
        {"image/jpeg": EVIL},
        {"image/png": make_jpeg(4, 3)},
        {"image/jpeg": make_png()},
        {"image/png": make_png(0, 3)},
        {"image/jpeg": make_jpeg(4, 0)},
        {"image/jpeg": base64.b64encode(b"\xff\xd8\xff\xfe\0\0").decode()},
        {"image/jpeg": base64.b64encode(b"\xff\xd8" + b"\xff\xc4\0\0" * 9).decode()},
        {"image/svg+xml": "<svg onload='alert(1)'></svg>"},
        {"image/svg+xml": 7},
        {"image/svg+xml": "<html xmlns='http://www.w3.org/2000/svg'/>"},
        {"image/svg+xml": EVIL},
        {"image/gif": make_png()},
        {"text/html": "<img src=x onerror=alert(1)>"},
    ],
)
def test_what_is_no_picture_is_no_figure(data: Any) -> None:
    assert read(make_cell(show(data)))["total"] == 0


def make_svg(within: str = "<path/>", **said: str) -> dict[str, Any]:
    """An output that is a picture of lines alone, as matplotlib begins one."""
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    kind = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">'
    document = f'<?xml version="1.0" encoding="utf-8" standalone="no"?>\n{kind}\n<svg{attributes}>'
    return show({"image/svg+xml": [document, f"{within}</svg>"]}, **{"image/svg+xml": {"alt": "x"}})


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"width": "72pt", "height": "36pt"}, (96, 48)),
        ({"width": "4in", "viewBox": "0 0 20 10"}, (384, 192)),
        ({"height": "10", "viewBox": "0,0,20,10"}, (20, 10)),
        ({"width": "100%", "height": "100%", "viewBox": "0 0 640 480"}, (640, 480)),
        ({"width": "0", "height": "nonsense", "viewBox": "a b c d"}, (300, 150)),
        ({"width": "999999", "height": "1"}, (4096, 1)),
        ({}, (300, 150)),
    ],
)
def test_a_picture_of_lines_is_one_with_its_size(said: dict[str, str], size: Any) -> None:
    found = read(make_cell(make_svg(**said)))
    (figure,) = found["figures"]
    assert (figure["type"], figure["alt"]) == ("image/svg+xml", "x")
    assert (figure["width"], figure["height"]) == size
    # Markup in a page need not say what language it is; an image must.
    assert b'<svg xmlns="http://www.w3.org/2000/svg"' in base64.b64decode(figure["data"])
    both = show({**make_svg()["data"], "image/png": make_png()})
    assert read(make_cell(both))["figures"][0]["type"] == "image/png"


BOMB = "<g id='a0'><path/></g>" + "".join(
    f"<g id='a{n}'>" + f"<use href='#a{n - 1}'/>" * 10 + "</g>" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "within",
    [
        "<script>alert(1)</script>",
        "<x:script xmlns:x='http://www.w3.org/2000/svg'/>",
        "<SCRIPT/>",
        "<g onclick='alert(1)'/>",
        "<a href='java&#10;script:alert(1)'/>",
        "<set attributeName='href' to='JavaScript:alert(1)'/>",
        "<foreignObject/>",
        "<b xmlns='http://www.w3.org/1999/xhtml'/>",
        "<?xml-stylesheet type='text/xsl' href='data:'?>",
        "<not closed>",
        BOMB,
        BOMB.replace("<use href='#", "<rect fill='url(#").replace("'/>", ")'/>"),
        "<g id='d'>" * 3_000 + "</g>" * 3_000,
    ],
)
def test_a_picture_that_could_run_something_is_none(within: str) -> None:
    assert read(make_cell(make_svg(within), make_svg()))["total"] == 1


def test_no_entity_is_written_out() -> None:
    text = '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>'
    assert read(make_cell(show({"image/svg+xml": text})))["total"] == 0


def test_one_that_uses_itself_does_not_keep_us() -> None:
    around = "<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/><use href='#none'/></g>"
    assert read(make_cell(make_svg(around)))["total"] == 1


def test_a_vast_picture_of_lines_is_told_of_without_its_data() -> None:
    (figure,) = read(make_cell(make_svg("<path/>" * 1_000_000)))["figures"]
    assert (figure["type"], figure["data"]) == ("image/svg+xml", None)


def test_where_one_form_is_damaged_the_other_is_taken() -> None:
    both = show({"image/png": "damaged", "image/jpeg": make_jpeg(4, 3)})
    assert [each["type"] for each in read(make_cell(both))["figures"]] == ["image/jpeg"]


@pytest.mark.parametrize(
    "output",
    [None, 7, {}, {"metadata": 7, "data": {"image/png": 1}}, {"data": {"image/png": "x"}}],
)
def test_what_a_user_wrote_breaks_nothing(output: Any) -> None:
    png = {"image/png": make_png()}
    odd = [None, 7, {}, {"cell_type": "code"}, make_cell(output), make_cell(outputs=7)]
    said = show(png, **{"image/png": 7}), {"data": png, "metadata": {"image/png": {"alt": 7}}}
    assert [each["alt"] for each in read(*odd, make_cell(*said))["figures"]] == ["", ""]


def test_cells_have_the_numbers_that_the_page_gives_them() -> None:
    png = show({"image/png": make_png().splitlines(keepends=True)})
    papermills = make_cell(png, metadata={"tags": [PAPERMILLS_TAG]})
    # An empty cell is written as no lines at all, one of two as two.
    cells = (
        papermills,
        make_cell(cell_type="markdown"),
        make_cell(png, source=[]),
        make_cell(png, source=["a\n", "b"]),
        make_cell(source="b"),
        make_cell(png),
    )
    assert [each["cell"] for each in read(*cells)["figures"]] == [1, 3]


def test_an_answer_has_an_end_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    png = show({"image/png": make_png()})
    letters = len(make_png().strip())
    monkeypatch.setattr(figures, "MOST_OF_ANSWER", 2 * letters)
    cell, numbers, asked, first = make_cell(*[png] * 5), [], [], 1
    while first:
        answer = read(cell, first=first)
        asked.append(first)
        assert answer["total"] == 5
        numbers += [each["number"] for each in answer["figures"]]
        first = answer["next"]
    assert (numbers, asked) == ([1, 2, 3, 4, 5], [1, 3, 5])
    # One that is larger than an answer comes by itself.
    monkeypatch.setattr(figures, "MOST_OF_ANSWER", 1)
    assert (len(read(cell)["figures"]), read(cell)["next"]) == (1, 2)
    monkeypatch.setattr(figures, "MOST_FIGURES", 3)
    assert (read(cell, first=3)["next"], read(cell, first=4)["figures"]) == (None, [])
    assert read(cell, first=4)["total"] == 5


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**32 - 1, 1)])
def test_one_too_large_is_told_of_without_its_data(size: tuple[int, int]) -> None:
    width, height = size
    head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)
    bomb = show({"image/png": base64.b64encode(head).decode()})
    figure = read(make_cell(bomb))["figures"][0]
    assert (figure["width"], figure["height"], figure["data"]) == (width, height, None)


def test_one_of_too_many_letters_is_told_of_without_its_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(figures, "MOST_OF_ONE", 20)
    assert read(make_cell(show({"image/png": make_png()})))["figures"][0]["data"] is None
