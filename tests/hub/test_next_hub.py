"""The next major JupyterHub: one user logs in, spawns, submits, and the job succeeds."""

import json
import subprocess
from pathlib import Path

from tests.hub.test_jobs import submit, wait_for_state
from tests.platform_fixture import ROOT, Platform

NEXT = ROOT / "build" / "hub6"


def test_with_jupyterhub_6_a_session_starts_and_a_job_succeeds(tmp_path: Path) -> None:
    python = NEXT / "bin" / "python"
    version = subprocess.run(
        [python, "-c", "import jupyterhub; print(jupyterhub.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert version.stdout.startswith("6.1.")
    # A checkout whose image `notebook` has the same major, as hub and server must have.
    root = tmp_path / "root"
    (root / "build" / "environments").mkdir(parents=True)
    (root / "build" / "environments" / "notebook").symlink_to(NEXT)
    for part in ("helm-values", "images"):
        (root / part).symlink_to(ROOT / part)

    platform = Platform(tmp_path / "state", root=root, python=str(python))
    with platform.running():
        ada = platform.sign_in("ada")
        ada.start_session({"group": "spatial-lab", "image": "notebook", "class": "small"})
        status = ada.client.get("/user/ada/offline-jobs/session")
        assert status.status_code == 200, status.text
        assert status.json()["class"] == "small"
        done = wait_for_state(ada, submit(ada, "print(6 * 7)"), "succeeded")

    home = platform.state / "homes" / "ada"
    executed = json.loads((home / done["output_path"]).read_text())
    assert executed["cells"][0]["outputs"][0]["text"] in ("42\n", ["42\n"])
