"""How jobs end on real machines: each cause, named with its cell, and what is kept of the run."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from cluster.driver.charts import JOBS_NAMESPACE
from hub_config.platform.pods import CHECKPOINTS
from offline_jobs.service.web import reading
from tests.bed import nodes
from tests.bed.client import NODE, POD, wait
from tests.browser.people import Visitor, build_notebook
from tests.node.with_hub.site import PodSite

pytestmark = pytest.mark.usefixtures("real")
EXAMPLES = Path(__file__).parents[3] / "images" / "notebook" / "examples"
FOREVER = "import time\nwhile True:\n    time.sleep(0.1)"


def read_result(site: PodSite, job: dict[str, Any]) -> dict[str, Any]:
    """The executed notebook in the home."""
    folder = site.read_files(job)
    result: dict[str, Any] = json.loads((folder / Path(job["output_path"]).name).read_text())
    return result


def list_printed(notebook: dict[str, Any]) -> list[str]:
    """What each code cell printed."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return ["".join("".join(o.get("text", "")) for o in cell["outputs"]) for cell in cells]


def test_the_failing_example_names_its_cell_and_keeps_what_was_done(
    site: PodSite, ada: Visitor
) -> None:
    example = json.loads((EXAMPLES / "3-fails-in-the-middle.ipynb").read_text())

    job = ada.wait_for_state(ada.submit(example, name="fails"), "failed")

    assert job["cause"] == "cell-error"
    assert job["sentence"].startswith(f"Cell {job['cell']['number']} raised ")
    errors = [
        index
        for index, cell in enumerate(
            [c for c in read_result(site, job)["cells"] if c["cell_type"] == "code"], 1
        )
        if any(output["output_type"] == "error" for output in cell["outputs"])
    ]
    assert errors == [job["cell"]["number"]]
    record = json.loads((site.read_files(job) / "run.json").read_text())
    assert (record["outcome"], record["cell"]) == ("cell-error", job["cell"]["number"])
    # Volcano has not tried again, nor have we.
    assert len(site.find_volcano_jobs(job["id"])) == 1


def test_a_cancelled_job_keeps_what_was_done_and_leaves_nothing_running(
    site: PodSite, ada: Visitor
) -> None:
    # Large, so that the service reads it in a process of its own, also in its container.
    large = f"# {'x' * reading.LARGE_BYTES}"
    id_ = ada.submit(build_notebook("print('kept')", FOREVER, large), name="cancelled")
    ada.wait_for_cell(id_, 2)

    answer = ada.user.api.post(f"/services/offline-jobs/api/v1/jobs/{id_}/cancel")
    assert answer.status_code == 202, answer.text
    job = ada.wait_for_state(id_, "cancelled")

    assert job["sentence"] == "Cancelled in cell 2"
    assert list_printed(read_result(site, job))[0] == "kept\n"
    wait(
        "the pod to end",
        lambda: [pod["status"]["phase"] for pod in site.find_job_pods(id_)],
        until=lambda phases: "Running" not in phases,
    )


def test_out_of_memory_is_named_with_its_cell_and_the_limit(site: PodSite, ada: Visitor) -> None:
    greedy = "kept = []\nwhile True:\n    kept.append(bytearray(64 << 20))"

    id_ = ada.submit(build_notebook("print('kept')", greedy), name="greedy")
    job = ada.wait_for_state(id_, "failed")

    assert job["cause"] == "out-of-memory"
    assert re.fullmatch(r"Out of memory in cell 2 at [\d.]+ of 1 GiB", job["sentence"])
    assert list_printed(read_result(site, job))[0] == "kept\n"


def test_the_time_limit_is_named_with_its_cell(site: PodSite, ada: Visitor) -> None:
    id_ = ada.submit(build_notebook("print('kept')", FOREVER), name="late", time_limit_seconds=15)
    job = ada.wait_for_state(id_, "failed")

    assert (job["cause"], job["sentence"]) == ("time-limit", "Time limit of 15 s reached in cell 2")
    assert list_printed(read_result(site, job))[0] == "kept\n"


def test_a_job_on_a_spot_machine_goes_on_from_its_checkpoint_on_the_next(
    site: PodSite, ada: Visitor
) -> None:
    count = """\
import os, time
from pathlib import Path
kept = Path(os.environ["CHECKPOINT_DIR"], "kept")
done = int(kept.read_text()) if kept.exists() else 0
print("from", done)
if not done:
    kept.write_text("5")
    print("saved", flush=True)
    while True:
        time.sleep(0.1)"""
    spot = {"metadata": {"labels": {"karpenter.sh/capacity-type": "spot"}}}
    # What a job left that ended days ago.
    earlier = site.homes / CHECKPOINTS / "ada" / "k3j9x0a1b2c3"
    earlier.mkdir(parents=True)
    for folder in (earlier, *list(earlier.parents)[:2]):
        os.chown(folder, 1000, 100)
    os.utime(earlier, (0, 0))
    site.client.patch(*NODE, nodes.JOBS, spot)
    try:
        id_ = ada.submit(build_notebook(count), name="spot", interruptible=True)
        ada.wait_for_cell(id_, 1)
        wait("its checkpoint", lambda: "saved" in ada.read_log(id_))
        (pod,) = site.find_job_pods(id_)
        # What a drain does, two minutes before the machine goes.
        site.client.evict(JOBS_NAMESPACE, pod["metadata"]["name"])
        job = ada.wait_for_state(id_, "succeeded", "failed")
    finally:
        site.client.patch(*NODE, nodes.JOBS, {"metadata": {"labels": nodes.BOUGHT}})

    assert (job["state"], job["attempt"]) == ("succeeded", 2)
    assert list_printed(read_result(site, job)) == ["from 5\n"]
    left = {each.name for each in earlier.parent.iterdir()}
    assert earlier.name not in left
    assert id_ in left
    (first,) = site.read_files(job).glob("attempt-1/*.ipynb")
    assert list_printed(json.loads(first.read_text()))[0].startswith("from 0\nsaved\n")
    turns = ada.user.api.get(f"/services/offline-jobs/api/v1/jobs/{id_}/history").json()["turns"]
    assert "Interrupted; tried again" in [turn["sentence"] for turn in turns]


def test_a_pod_that_is_deleted_by_hand_is_said_to_be_removed(site: PodSite, ada: Visitor) -> None:
    id_ = ada.submit(build_notebook("print('kept')", FOREVER), name="deleted")
    ada.wait_for_cell(id_, 2)
    (pod,) = site.find_job_pods(id_)

    site.client.delete(*POD, pod["metadata"]["name"], JOBS_NAMESPACE)
    job = ada.wait_for_state(id_, "failed")

    assert (job["cause"], job["sentence"]) == ("removed", "Removed in cell 2")
    assert list_printed(read_result(site, job))[0] == "kept\n"
    assert job["attempt"] == 1
