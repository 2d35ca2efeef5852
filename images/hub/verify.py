"""Verifies image `hub` from inside: JupyterHub, KubeSpawner and our configuration of them.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import os
import runpy
import sys

from images._inside.checks import COMMON, Wrong, check_absent, import_all, run, run_checks

LIBRARIES = (
    "jupyterhub.app",
    "kubespawner",
    "google.oauth2.service_account",
    "jupyterhub_idle_culler",
    "psycopg2",
)
OURS = (
    "hub_config.apply",
    "hub_config.logins.providers",
    "hub_config.platform.catalogue_file",
    "offline_jobs.contract.session",
)
CURL = "tornado.curl_httpclient"
CONFIGURATION = "/usr/local/etc/jupyterhub/jupyterhub_config.d/notebook_hpc.py"
NOT_OURS = ("jupyterlab", "jupyter_server", "notebook", "ipykernel", "papermill")


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


def check_configuration() -> str:
    """The chart finds our configuration, and it gets as far as the values that only a pod has."""
    try:
        runpy.run_path(CONFIGURATION, {"c": None})
    except Exception as error:
        if type(error).__name__ != "ConfigurationError":
            raise Wrong(f"{CONFIGURATION}: {error!r}") from error
        return f"the configuration asks for the chart's values: {error}"
    raise Wrong(f"{CONFIGURATION} found values in an image")


if __name__ == "__main__":
    sys.exit(run_checks([*COMMON, check_libraries, check_hub, check_configuration]))
