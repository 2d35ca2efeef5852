"""The Volcano Job of one attempt.

Place in the path: ``volcano/backend.py`` creates what :func:`build_job` makes. One task, one pod,
no second try by Volcano: whatever goes wrong ends the Job, and what comes next is decided by
:mod:`~offline_jobs.service.rules.steps`. Pure.

Source: https://volcano.sh/en/docs/vcjob/ (v1.15)
"""

from typing import Any

from offline_jobs.service.backends.backend import Launch
from offline_jobs.service.backends.kubernetes.pod import build_labels, build_template

API_VERSION = "batch.volcano.sh/v1alpha1"
KIND = "Job"
SCHEDULER = "volcano"
#: Volcano names the pod ``<job>-<task>-0``.
TASK = "run"
#: How long the Job of an attempt that ended tells of it: over a weekend without the service.
KEPT_SECONDS = 3 * 24 * 3600


def build_job(launch: Launch, namespace: str) -> dict[str, Any]:
    """The manifest of an attempt's Job.

    Args:
        launch: what is to run, for whom and where.
        namespace: of jobs and their pods.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": launch.object_name,
            "namespace": namespace,
            "labels": build_labels(launch),
        },
        "spec": {
            "schedulerName": SCHEDULER,
            "queue": launch.workspace.group,
            "minAvailable": 1,
            # Of attempts in all; Volcano cannot be told that there shall be no second in any case.
            "maxRetry": 1,
            # Without these a pod that was deleted or lost is made again, and nobody counts it.
            "policies": [{"events": ["PodEvicted", "PodFailed"], "action": "TerminateJob"}],
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "tasks": [
                {
                    "name": TASK,
                    "replicas": 1,
                    "minAvailable": 1,
                    "template": build_template(launch),
                }
            ],
        },
    }


def pod_name(object_name: str) -> str:
    """Name of the pod that Volcano makes for an attempt's Job."""
    return f"{object_name}-{TASK}-0"
