"""The whole line in a browser on real machines: login, session, job, the session's end, result."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from kubernetes.utils.quantity import parse_quantity
from playwright.sync_api import Page, expect

from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from hub_config.platform.catalogue import InstanceClass
from tests.bed import nodes
from tests.bed.client import JOB, NODE_CLAIM, POD, Kind, Object, wait
from tests.browser.lab import COMMAND, Lab
from tests.browser.people import Visitor, Window, build_notebook
from tests.browser.windows import OpenWindow
from tests.node.with_hub.looking import (
    GROUP,
    USER,
    Gate,
    assert_bar,
    insert_cell,
    list_counts,
    read_record,
    record,
)
from tests.node.with_hub.site import PodSite

EXAMPLES = Path(__file__).parents[3] / "images" / "notebook" / "examples"
EXAMPLE = "2-spatial-transcriptomics.ipynb"
STANDARD = {"group": "spatial-lab", "image": "notebook", "class": "standard"}
#: What a student is told who asks for a GPU in the name of a group.
ALLOWED = {"teaching": "Allowed: small, standard.", "gpu-users": "Allowed: teaching."}


@pytest.fixture
def gate(ada: Visitor) -> Iterator[Gate]:
    """A gate in ada's home; none of her jobs waits at it for ever."""
    made = Gate(ada)
    yield made
    if ada.home.exists():
        made.open()


@pytest.fixture
def idle_ada(ada: Visitor) -> Iterator[Visitor]:
    """Ada without a session, now and afterwards; her JupyterLab opens as on the first day."""
    ada.user.stop_session()
    shutil.rmtree(ada.home / ".jupyter" / "lab" / "workspaces", ignore_errors=True)
    yield ada
    ada.user.stop_session()


@pytest.fixture
def example(ada: Visitor) -> Iterator[Path]:
    """Ada's copy of the example, which her first session makes; afterwards as it was."""
    path = ada.home / "examples" / EXAMPLE
    yield path
    if path.exists():
        path.write_bytes((EXAMPLES / EXAMPLE).read_bytes())


@pytest.fixture(scope="session")
def ben(site: PodSite) -> Visitor:
    """A student, whose group may have no GPU."""
    return Visitor(site, "ben", "teaching", "small")


@pytest.mark.usefixtures("real")
def test_a_job_goes_on_without_a_session_and_its_result_is_had_there(
    site: PodSite,
    idle_ada: Visitor,
    example: Path,
    gate: Gate,
    open_window: OpenWindow,
    tmp_path: Path,
) -> None:
    ada, window = idle_ada, open_window()
    page = window.page
    record(page, "start", "#progress-message")
    record(page, "sentences", "#offline-jobs-panel li:first-child p")

    window.sign_in("ada")
    start_session(page)
    lab = Lab(page)
    lab.wait_until_ready()
    (session,) = site.find_session_pods("ada")
    assert session["spec"]["nodeName"] == nodes.SESSIONS
    assert_class(session, site.hub.catalogue.classes["standard"])
    said = read_record(page, "start")
    assert "Starting JupyterLab." in said, said

    # Her copy is the image's; she adds a cell before the last one, so that there is time to look.
    assert example.read_bytes() == (EXAMPLES / EXAMPLE).read_bytes()
    held, total = insert_cell(example, gate.cell)
    lab.open_example(EXAMPLE)
    lab.choose_in_run_menu(COMMAND)
    lab.wait_for_dialog().get_by_label("seed").fill("2")
    lab.wait_for_dialog()
    lab.submit()
    item = lab.open_panel().get_by_role("listitem").first
    # The cell with the changed parameter comes before the cell that waits.
    words = f"Cell {held + 1} of {total + 1}"
    expect(item).to_contain_text(words)
    job = ada.newest_job()
    check_progress(read_record(page, "sentences"), last=held + 1, total=total + 1)
    assert len(site.find_volcano_jobs(job["id"])) == 1
    (pod,) = site.find_job_pods(job["id"])
    assert (pod["spec"]["nodeName"], pod["status"]["phase"]) == (nodes.JOBS, "Running")
    assert_class(pod, site.hub.catalogue.classes["standard"])

    window.stop_session()
    check_end(site)

    page.get_by_role("link", name="Offline jobs").click()
    row = window.row(job["id"])
    expect(row.locator(".state")).to_have_text("Running")
    expect(row.locator(".sentence")).to_have_text(words)
    row.get_by_role("link", name="2-spatial").click()
    expect(page.locator("#state")).to_have_text("Running")
    expect(page.locator("#sentence")).to_have_text(words)
    assert_bar(page.get_by_role("progressbar"), held + 1, total + 1)
    expect(page.locator("#log")).to_contain_text("s] ")

    gate.open()
    expect(page.locator("#state")).to_have_text("Done")
    expect(page.locator("#log")).to_contain_text("ARI: 0.")
    expect(page.locator("#facts")).to_contain_text("seed = 2")
    assert not ada.user.server()
    result = download_result(page, tmp_path)
    in_home = site.homes / "ada" / ada.job(job["id"])["output_path"]
    assert result == json.loads(in_home.read_bytes())
    assert (in_home.stat().st_uid, in_home.stat().st_gid) == (USER, GROUP)
    assert list_counts(result) == list(range(1, total + 2))


@pytest.mark.usefixtures("real")
def test_panel_and_page_show_the_waiting_cell_until_its_file_appears(
    site: PodSite, idle_ada: Visitor, gate: Gate, open_window: OpenWindow
) -> None:
    ada, name = idle_ada, f"waits {gate.name[-6:]}"
    ada.user.start_session(STANDARD)
    notebook = build_notebook("print(1)", "print(2)", gate.cell, "print(4)")
    nbformat.write(notebook, ada.home / "waits.ipynb")
    lab, window = open_window(ada).open_lab(ada), open_window(ada)

    lab.choose_in_context_menu(lab.file("waits.ipynb"), COMMAND)
    lab.wait_for_dialog().get_by_label("Name").fill(name)
    lab.wait_for_dialog()
    lab.submit()
    lab.open_panel()
    window.open_jobs()
    job = ada.newest_job()["id"]
    item, row = lab.item(name), window.row(job)

    for place in (item, row):
        expect(place).to_contain_text("Cell 3 of 4")
        assert_bar(place.get_by_role("progressbar"), 3, 4)
    # Shown last, so that both were compared with what is still true.
    assert ada.job(job)["cell"] == {"number": 3, "total": 4}
    assert ada.job(job)["state"] == "running"
    for place in (item, row):
        expect(place).to_contain_text("Cell 3 of 4")

    gate.open()
    for place in (item, row):
        expect(place).to_contain_text("Done")
    written = site.homes / "ada" / ada.job(job)["output_path"]
    assert list_counts(json.loads(written.read_bytes())) == [1, 2, 3, 4]


@pytest.mark.usefixtures("opened")
def test_who_is_in_the_gpu_group_sees_its_class_and_who_is_not_is_refused(
    site: PodSite, ada: Visitor, ben: Visitor, open_window: OpenWindow
) -> None:
    seen = open_form(open_window(ada))
    seen.get_by_label("Charged to").select_option(label="GPU users")
    seen.get_by_role("radio", name="GPU", exact=True).check()
    not_seen = open_form(open_window(ben))
    expect(not_seen.get_by_role("radio", name="Standard", exact=True)).to_be_visible()
    expect(not_seen.locator("input[name='class'][value='gpu']")).to_have_count(0)

    claims, jobs = list_names(site, NODE_CLAIM), list_jobs_of(site, "ben")
    for group in ("teaching", "gpu-users"):
        answer = ben.user.post_server({"group": group, "image": "notebook", "class": "gpu"})
        assert answer.status_code == 400, answer.text
        assert ALLOWED[group] in answer.json()["message"]
        asking = Visitor(site, "ben", group, "gpu")
        answer = asking.post_job(build_notebook("print(1)"), name="not allowed")
        assert answer.status_code == 422, answer.text
        assert ALLOWED[group] in answer.json()["message"]
    assert not ben.user.server()

    # What was refused would be there before what comes after it.
    allowed = ben.submit(build_notebook("print(1)"), name="allowed")
    wait("the job that is allowed", lambda: site.find_volcano_jobs(allowed))
    (made,) = site.find_volcano_jobs(allowed)
    assert list_jobs_of(site, "ben") - jobs == {made["metadata"]["name"]}
    for namespace in (NAMESPACE, JOBS_NAMESPACE):
        labels = "notebook-hpc/user=ben,notebook-hpc/class=gpu"
        assert not site.client.list(*POD, namespace, labels=labels)
    assert not site.find_session_pods("ben")
    assert list_names(site, NODE_CLAIM) <= claims
    # The next test shall find nothing on its way.
    wait("its end", lambda: ben.job(allowed)["state"], until=lambda state: state == "succeeded")


def open_form(window: Window) -> Page:
    """The start form of a signed-in visitor."""
    window.page.goto("/hub/spawn")
    expect(window.page.get_by_role("heading", name="Start a session")).to_be_visible()
    return window.page


def start_session(page: Page) -> None:
    """Fill in the form that is open."""
    expect(page.get_by_role("heading", name="Start a session")).to_be_visible()
    page.get_by_label("Charged to").select_option(label="Spatial lab")
    page.get_by_role("radio", name="Python notebook", exact=True).check()
    page.get_by_role("radio", name="Standard", exact=True).check()
    page.get_by_role("button", name="Start").click()


def download_result(page: Page, folder: Path) -> dict[str, Any]:
    """The executed notebook, downloaded from a job's page."""
    with page.expect_download() as download:
        page.get_by_role("link", name="Download result").click()
    download.value.save_as(folder / "result.ipynb")
    result: dict[str, Any] = json.loads((folder / "result.ipynb").read_bytes())
    return result


def assert_class(pod: Object, instance_class: InstanceClass) -> None:
    """The pod may use what its class says."""
    limits = pod["spec"]["containers"][0]["resources"]["limits"]
    for name, amount in (("cpu", instance_class.cores), ("memory", instance_class.memory_bytes)):
        assert parse_quantity(limits[name]) == amount  # type: ignore[no-untyped-call]


def check_end(site: PodSite) -> None:
    """Ada's pod goes, and the ledger has her session, with what it waited for, to its end."""
    wait("the session's pod to go", lambda: not site.find_session_pods("ada"))
    turns = wait(
        "its end to be told",
        lambda: site.read_last_session("ada"),
        until=lambda found: found[-1][1] == "ended",
    )
    assert [number for number, _, _ in turns] == list(range(1, len(turns) + 1))
    states = [state for _, state, _ in turns]
    assert states == ["starting"] * (len(turns) - 2) + ["running", "ended"]
    reasons = [reason for _, _, reason in turns[:-2]]
    assert (*reasons[:2], reasons[-1]) == (None, "no-node", "jupyter-start")


def check_progress(sentences: list[str], *, last: int, total: int) -> None:
    """The panel showed one cell after the other, many of them, and none after ``last``."""
    found = [re.fullmatch(r"Cell (\d+) of (\d+)", sentence) for sentence in sentences]
    numbers = [int(each[1]) for each in found if each]
    assert {int(each[2]) for each in found if each} == {total}, sentences
    assert numbers == sorted(set(numbers)), sentences
    assert numbers[-1] == last, sentences
    assert len(numbers) >= total // 3, sentences


def list_names(site: PodSite, kind: Kind) -> set[str]:
    """The names of all objects of a kind without namespaces."""
    return {found["metadata"]["name"] for found in site.client.list(*kind)}


def list_jobs_of(site: PodSite, user: str) -> set[str]:
    """The names of the Volcano Jobs whose pods are a user's."""
    return {
        job["metadata"]["name"]
        for job in site.client.list(*JOB, JOBS_NAMESPACE)
        for task in job["spec"]["tasks"]
        if task["template"]["metadata"]["labels"]["notebook-hpc/user"] == user
    }
