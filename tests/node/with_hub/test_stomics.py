"""A session and a job in image `stomics`: from the form and from REST to an executed notebook.

The image comes into the nodes when a test asks for it, which takes minutes, so this is for the
long run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.bed import nodes
from tests.bed.client import wait
from tests.bed.hub.images import name_of
from tests.browser.lab import Lab
from tests.browser.people import Visitor, build_notebook
from tests.browser.windows import OpenWindow
from tests.images.building import get_archive
from tests.node.with_hub.site import PodSite
from tests.site import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800), pytest.mark.usefixtures("real")]
EXAMPLE = "4-stereo-seq-file.ipynb"
STAGE = """
import h5py, numpy as np
rng = np.random.default_rng(seed)
x, y = np.repeat(rng.integers(0, 1000, (2, 4000)), 20, axis=1)
gene = rng.integers(0, 20, x.size) + np.where(x < 500, 0, 20)
order = np.argsort(gene, kind="stable")
records = np.empty(x.size, [("x", "<i4"), ("y", "<i4"), ("count", "u1")])
records["x"], records["y"], records["count"] = x[order], y[order], 1
number = np.bincount(gene, minlength=40)
genes = np.empty(40, [("gene", "S64"), ("offset", "<u4"), ("count", "<u4")])
genes["gene"] = [f"G{n}" for n in range(40)]
genes["offset"], genes["count"] = np.append(0, number.cumsum()[:-1]), number
with h5py.File("small.gef", "w") as file:
    table = file.create_dataset("geneExp/bin1/expression", data=records)
    table.attrs["resolution"] = np.array([500], np.uint32)
    file["geneExp/bin1/gene"] = genes
"""
FIND = """
import scanpy as sc, squidpy as sq
from stereo_seq import read_gef
data = read_gef("small.gef", bin_size=50)
halves = np.where(data.obs["x"] < 500, "left", "right")
sc.pp.normalize_total(data); sc.pp.log1p(data); sc.pp.pca(data, n_comps=5)
sc.pp.neighbors(data)
sc.tl.leiden(data, resolution=0.1, flavor="igraph", n_iterations=2, directed=False)
sq.gr.spatial_neighbors(data, coord_type="grid")
agree = data.obs["leiden"].groupby(halves).agg(lambda part: part.value_counts().iloc[0]).sum()
print("agree", agree, "of", data.n_obs)
"""
SHOW = """
import matplotlib.pyplot as plt
plt.scatter(*data.obsm["spatial"].T, c=data.obs["leiden"].cat.codes); plt.show()
"""


@pytest.fixture(scope="module")
def loaded(site: PodSite) -> str:
    """The image's name in pods; it is on both nodes."""
    archive = get_archive("stomics")
    for node in (nodes.SESSIONS, nodes.JOBS):
        nodes.load_kept_image(site.hub.bed, node, archive)
    return name_of("stomics")


@pytest.fixture
def idle_ada(ada: Visitor) -> Iterator[Visitor]:
    """Ada without a session, now and afterwards."""
    ada.user.stop_session()
    yield ada
    ada.user.stop_session()


def test_a_session_in_the_image_that_was_chosen(
    site: PodSite, loaded: str, idle_ada: Visitor, open_window: OpenWindow
) -> None:
    window = open_window(idle_ada)
    page = window.page
    page.goto("/hub/spawn")
    page.get_by_label("Charged to").select_option(label="Spatial lab")
    page.get_by_role("radio", name="Spatial omics", exact=True).check()
    page.get_by_role("radio", name="Standard", exact=True).check()
    page.get_by_role("button", name="Start").click()
    Lab(page).wait_until_ready()
    (pod,) = site.find_session_pods("ada")
    (container,) = pod["spec"]["containers"]
    assert container["image"] == loaded
    expect(page.get_by_text("examples").first).to_be_visible()


def test_a_job_reads_a_file_and_finds_its_halves(site: PodSite, loaded: str, ada: Visitor) -> None:
    notebook = build_notebook(STAGE, FIND, SHOW, parameters="seed = 1")
    job = ada.submit(notebook, name="halves", image="stomics", parameters={"seed": 2})
    wait("its Volcano Job", lambda: site.find_volcano_jobs(job))
    (made,) = site.find_volcano_jobs(job)
    (container,) = made["spec"]["tasks"][0]["template"]["spec"]["containers"]
    assert container["image"] == loaded
    # Half a core imports these libraries, and compiles what numba does, in minutes.
    wait_until(lambda: ada.job(job)["state"] in ("succeeded", "failed"), "the job's end", 900)
    ended = ada.job(job)
    assert ended["state"] == "succeeded", ada.read_log(job)
    written = json.loads((site.homes / "ada" / ended["output_path"]).read_bytes())
    outputs = [each for cell in written["cells"] for each in cell.get("outputs", [])]
    (said,) = [each for each in outputs if "agree" in "".join(each.get("text", ""))]
    _, agree, _, number = "".join(said["text"]).split()[-4:]
    assert int(agree) >= 0.95 * int(number)
    assert int(number) == 400
    assert [each for each in outputs if "image/png" in each.get("data", {})]
