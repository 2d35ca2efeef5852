"""Names that both sides of a wall must spell alike.

The service names an attempt's backend object and its output folder; the runner and the hub page
show them. Standard library only; anybody may import it.
"""

import re
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

SERVICE_NAME = "offline-jobs"
SERVICE_PREFIX = "/services/offline-jobs/"
API_PREFIX = "api/v1"
RUNS_PREFIX = "/internal/v1/runs"
ENGINE_NAME = "offline-jobs"
OUTPUT_ROOT = "offline-jobs"

#: A job's id: 12 lower-case letters and digits, the first a letter.
JOB_ID = re.compile(r"[a-z][a-z0-9]{11}")


def build_service_url(hub: str) -> str:
    """Where browsers find the service of a hub whose users have subdomains.

    Args:
        hub: scheme and host of the hub, maybe a port.

    Returns:
        the address as JupyterHub's own ``subdomain_hook`` makes it, ending in a slash.

    Source: ``subdomain_hook_idna`` of jupyterhub/utils.py, JupyterHub 5.5
    """
    url = urlsplit(hub)
    return f"{url.scheme}://{SERVICE_NAME}--service.{url.netloc}{SERVICE_PREFIX}"


def object_name(job_id: str, attempt: int) -> str:
    """Name of the backend's object for one attempt: a DNS label of at most 40 characters."""
    return f"job-{job_id}-{attempt}"


def notebook_stem(path: str) -> str:
    """The notebook's name without folder and ending: ``a/markers.ipynb`` gives ``markers``."""
    name = PurePosixPath(path).name
    return name.removesuffix(".ipynb") or "notebook"


def output_folder(path: str, submitted: datetime, job_id: str) -> str:
    """Folder of a job's results relative to the home.

    For example ``offline-jobs/markers/2026-11-24T061500-k3j9x0a1b2c3``.
    """
    stamp = submitted.strftime("%Y-%m-%dT%H%M%S")
    return f"{OUTPUT_ROOT}/{notebook_stem(path)}/{stamp}-{job_id}"
