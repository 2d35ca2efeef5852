"""The pod of one attempt: the workspace's pod, and in it the runner.

Place in the path: ``volcano/build.py`` puts :func:`build_template` into its Job; the workspace's
part is :mod:`hub_config.platform.pods`', so that a job sees what a session of the same choice sees.
Pure.
"""

from typing import Any

from hub_config.platform.pods import (
    CHECKPOINTS,
    CONTAINER,
    HOME_VOLUME,
    LABEL_PREFIX,
    build_folders_container,
    build_pod_fields,
)
from offline_jobs.contract import run as wire
from offline_jobs.service.backends.backend import Launch

JOB_LABEL = f"{LABEL_PREFIX}/job-id"
ATTEMPT_LABEL = f"{LABEL_PREFIX}/attempt"
#: Isolated: neither the user's packages, nor variables, nor the folder can break the runner. These
#: are arguments, so the image's entry point is before it: an init process, which reaps and forwards
#: signals.
RUNNER = ("python", "-I", "-m", "offline_jobs.runner")
CHECKPOINT_PATH = "/checkpoints"
#: How long a runner waits for a service that is away, at its start and with its result.
PATIENCE_SECONDS = 600
#: From the signal to the end by force: the runner interrupts the kernel, saves and reports.
GRACE_SECONDS = 60


def build_labels(launch: Launch) -> dict[str, str]:
    """What tells whose an object is: job and attempt."""
    specification = launch.specification
    return {JOB_LABEL: specification.job, ATTEMPT_LABEL: str(specification.attempt)}


def build_template(launch: Launch) -> dict[str, Any]:
    """The template of the attempt's pod: ``{"metadata": {...}, "spec": {...}}``.

    The attempt's token is in it: who may read pods in the namespace may act as its runner.
    """
    workspace = launch.workspace
    template = build_pod_fields(workspace)
    template["metadata"]["labels"].update(build_labels(launch))
    spec = template["spec"]
    checkpoints = f"{CHECKPOINTS}/{workspace.home}"
    own = f"{checkpoints}/{launch.specification.job}"
    spec["initContainers"] = [build_folders_container(workspace, own)]
    spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
    (container,) = spec["containers"]
    container["name"] = CONTAINER
    container["args"] = list(RUNNER)
    container["env"] += [
        {"name": name, "value": value}
        for name, value in sorted(_build_run_environment(launch).items())
    ]
    container["volumeMounts"].append(
        {"name": HOME_VOLUME, "mountPath": CHECKPOINT_PATH, "subPath": checkpoints}
    )
    return template


def _build_run_environment(launch: Launch) -> dict[str, str]:
    return {
        **launch.build_environment(),
        wire.ENV_MEMORY: str(launch.workspace.memory_bytes),
        wire.ENV_PATIENCE: str(PATIENCE_SECONDS),
        wire.ENV_CHECKPOINT: f"{CHECKPOINT_PATH}/{launch.specification.job}",
        wire.ENV_CHECKPOINTS: CHECKPOINT_PATH,
    }
