"""A session and a job in image `r`, through the whole line: dialog, Volcano Job, executed notebook.

The image is loaded into the nodes by this file alone, for it is large.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import nbformat
import pytest

from tests.bed import nodes
from tests.bed.bed import Bed
from tests.browser.people import Visitor
from tests.images.building import get_archive
from tests.node.with_hub.site import PodSite
from tests.platform.checkout import ROOT

pytestmark = [pytest.mark.usefixtures("real"), pytest.mark.long, pytest.mark.timeout(1800)]
CHOICE = {"group": "spatial-lab", "image": "r", "class": "standard"}
EXAMPLE = "examples/4-cell-types-r.ipynb"
SHIPPED = ROOT / "images" / "r" / EXAMPLE


@pytest.fixture(scope="module")
def researcher(site: PodSite, bed: Bed) -> Iterator[Visitor]:
    """Somebody whose session runs in the image."""
    for node in (nodes.SESSIONS, nodes.JOBS):
        nodes.load_kept_image(bed, node, get_archive("r"))
    admin = Visitor(site, "admin", CHOICE["group"], CHOICE["class"])
    admin.user.stop_session()
    admin.user.start_session(CHOICE)
    # Also where there were others before.
    assert (site.homes / "admin" / EXAMPLE).read_bytes() == SHIPPED.read_bytes()
    yield admin
    admin.user.stop_session()


def ask_session(visitor: Visitor, address: str, **body: Any) -> httpx.Response:
    """Ask a session's server as JupyterLab does."""
    user = visitor.user
    token = user.client.cookies.get("_xsrf", path=f"/user/{user.name}/") or ""
    headers = {"X-XSRFToken": token, "Idempotency-Key": uuid.uuid4().hex}
    return user.client.post(f"/user/{user.name}/offline-jobs/{address}", headers=headers, json=body)


def test_the_session_has_the_kernel_of_r(researcher: Visitor) -> None:
    specs = researcher.user.client.get(f"/user/{researcher.name}/api/kernelspecs").json()
    assert specs["kernelspecs"].keys() >= {"ir", "python3"}


def test_the_dialog_shows_what_a_notebook_of_r_declares(researcher: Visitor) -> None:
    said = ask_session(researcher, "check", path=EXAMPLE).json()
    assert said["problems"] == []
    assert said["kernel"] == {"name": "ir", "source": "image"}
    assert [(each["name"], each["type"], each["default"]) for each in said["parameters"]] == [
        ("seed", "integer", 1),
        ("cells", "integer", 600),
        ("resolution", "number", 0.5),
        ("shown", "array", ["type-1", "type-2"]),
    ]
    refused = ask_session(researcher, "check", path=EXAMPLE, parameters={"sed": 2}).json()
    (problem,) = refused["problems"]
    assert problem["message"] == (
        "The notebook does not name this parameter: it names cells, resolution, seed, shown."
    )


def test_a_job_of_r_leaves_a_figure_and_finds_what_was_planted(
    site: PodSite, researcher: Visitor
) -> None:
    given = {"seed": 2, "shown": ["type-3"]}
    made = ask_session(researcher, "jobs", path=EXAMPLE, parameters=given)
    assert made.status_code == 202, made.text
    job = researcher.wait_for_state(made.json()["id"], "succeeded", "failed")
    assert job["state"] == "succeeded", researcher.read_log(job["id"])
    assert len(site.find_volcano_jobs(job["id"])) == 1
    (path,) = site.read_files(job).glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(each.text for each in outputs if each.output_type == "stream")
    (figure,) = [each for each in outputs if "image/png" in each.get("data", {})]
    assert base64.b64decode(figure.data["image/png"]).startswith(b"\x89PNG")
    (ari,) = re.findall(r"^ARI: (\d\.\d+)$", text, re.M)
    (recovered,) = re.findall(r"^Markers recovered: (\d+) of 60$", text, re.M)
    assert float(ari) > 0.8
    assert int(recovered) > 40
    (injected,) = [c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert injected.source == '# Parameters\nseed = 2\nshown = c("type-3")\n'
