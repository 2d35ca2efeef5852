"""Verifies image `jobs-service` from inside: the service, and no notebook environment.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files

from images._inside.checks import COMMON, Wrong, check_absent, import_all, run_checks

OURS = (
    "offline_jobs.service.app",
    "offline_jobs.service.bucket",
    "hub_config.platform.pods",
    "hub_config.platform.sentences",
    "kubernetes.client",
    "psycopg2",
)
# What a notebook runs in has no place where the service's credentials are.
NOT_OURS = ("jupyterlab", "jupyter_server", "ipykernel", "IPython", "jupyterhub", "kubespawner")
REFUSED_EXIT = 2


def check_libraries() -> str:
    """The service can be imported, and there is nothing that could run a notebook."""
    import_all(OURS)
    check_absent(NOT_OURS)
    return "the service can be imported; no notebook environment"


def check_page() -> str:
    """The page's script, which is built and not in the sources, came with the package."""
    script = files("offline_jobs.service.web") / "built" / "page.js"
    if not script.is_file():
        raise Wrong(f"there is no {script}: the wheel was made before the script was built")
    return "the page's script is there"


def check_service() -> str:
    """The service starts as far as its settings, and says what it lacks; its folder is its own."""
    done = subprocess.run(
        [sys.executable, "-s", "-P", "-m", "offline_jobs.service"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != REFUSED_EXIT or not done.stderr.startswith("offline-jobs: "):
        raise Wrong(f"ended with {done.returncode}: {done.stderr[-2000:]}")
    if not os.access("/var/lib/offline-jobs", os.W_OK):
        raise Wrong("/var/lib/offline-jobs cannot be written")
    return "the service reads its settings"


if __name__ == "__main__":
    sys.exit(run_checks([*COMMON, check_libraries, check_page, check_service]))
