"""Verifies image `hub` from inside: JupyterHub, KubeSpawner and our configuration of them.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import os
import sys

from images._inside.checks import COMMON, Wrong, check_absent, import_all, run, run_checks

LIBRARIES = ("jupyterhub.app", "kubespawner", "oauthenticator.generic", "jupyterhub_idle_culler")
OURS = ("hub_config.apply", "hub_config.catalogue_file")
CURL = "tornado.curl_httpclient"
NOT_OURS = ("jupyterlab", "notebook", "ipykernel", "offline_jobs", "papermill")


def check_libraries() -> str:
    """All that a hub on Kubernetes loads can be imported, and no more is there."""
    import_all((*LIBRARIES, *OURS, CURL))
    check_absent(NOT_OURS)
    return "hub, spawner and our configuration can be imported; no notebook environment"


def check_hub() -> str:
    """The hub's program runs, and what the hub writes can be written."""
    if not os.access("/srv/jupyterhub", os.W_OK):
        raise Wrong("/srv/jupyterhub cannot be written")
    return f"jupyterhub {run('jupyterhub', '--version').strip()}"


if __name__ == "__main__":
    sys.exit(run_checks([*COMMON, check_libraries, check_hub]))
