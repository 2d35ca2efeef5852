"""A workspace as fields of a pod.

The jobs service puts :func:`build_pod_fields` into its pod template; :mod:`hub_config.profiles`
hands the same pieces to KubeSpawner, so that a session and a job of one choice see the same home,
mounts, ids and limits. Both satisfy the restricted Pod Security Standard. Pure.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (v1.35)
"""

from typing import Any

from hub_config.platform.catalogue import DISK_MARGIN, GPU_RESOURCE, Toleration
from hub_config.platform.people import home_slug
from hub_config.platform.quantities import quantity
from hub_config.platform.workspace import HOME_PATH, SCRATCH_PATH, Mount, Workspace

LABEL_PREFIX = "notebook-hpc"
#: One claim per source in each namespace; a user's or group's part is a sub-path of it.
HOMES_CLAIM = "homes"
SHARED_CLAIM = "shared"
#: Name of the volume of the homes' claim in a pod; it is the source's of its mount.
HOME_VOLUME = "home"
#: Folder beside the homes, with a folder for each person's jobs; no home is called so.
CHECKPOINTS = ".checkpoints"
DATA_CLAIM_PREFIX = "data-"
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108  (the kernel's name, not a temporary file)
#: Where Jupyter's own files go that must be on the node's disk: SQLite hangs on network storage.
LOCAL_PATH = f"{SCRATCH_PATH}/.local"
#: The container that a person's work is in, of sessions (KubeSpawner's name) and jobs alike.
CONTAINER = "notebook"
#: Where the first container sees the claims' roots.
_CLAIMS_PATH = "/claims"
_FOLDER_MODE = "0770"


def build_pod_fields(workspace: Workspace) -> dict[str, Any]:
    """The fragment of a job's pod template that follows from its workspace.

    Returns:
        ``{"metadata": {"labels", "annotations"}, "spec": {...}}``. The spec has one container
        without name, command and token; whoever runs something in it adds those, and the variables
        of the run behind the container's ``env``.
    """
    container: dict[str, Any] = {
        "image": workspace.image_reference,
        "env": [
            {"name": name, "value": value}
            for name, value in sorted(build_environment(workspace).items())
        ],
        "resources": {"limits": build_resources(workspace), "requests": build_resources(workspace)},
        "securityContext": build_container_security(workspace.user_id, workspace.group_id),
        "volumeMounts": build_volume_mounts(workspace),
        "workingDir": HOME_PATH,
    }
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "enableServiceLinks": False,
        "initContainers": [build_folders_container(workspace)],
        "nodeSelector": dict(workspace.placement.selector),
        "restartPolicy": "Never",
        "securityContext": build_pod_security(),
        "tolerations": build_tolerations(workspace),
        "volumes": build_volumes(workspace),
    }
    if workspace.service_account:
        spec["serviceAccountName"] = workspace.service_account
    return {
        "metadata": {
            "labels": build_labels(workspace),
            "annotations": build_annotations(workspace),
        },
        "spec": spec,
    }


def build_environment(workspace: Workspace) -> dict[str, str]:
    """The workspace's variables, and where things are in a pod; ``processes`` says it of a machine.

    The search path is the image's.
    """
    return {
        **workspace.environment,
        "HOME": HOME_PATH,
        "USER": workspace.user,
        "LOGNAME": workspace.user,
        "SHELL": "/bin/bash",
        "JUPYTER_RUNTIME_DIR": f"{LOCAL_PATH}/runtime",
        "XDG_CACHE_HOME": f"{LOCAL_PATH}/cache",
        "MPLCONFIGDIR": f"{LOCAL_PATH}/cache/matplotlib",
    }


def build_folders_container(workspace: Workspace, *more: str) -> dict[str, Any]:
    """The first container: makes the folders behind the sub-paths, so that they have their owner.

    The kubelet makes a sub-path that is missing as root, and nobody could write there. This one
    runs as the user; the claims' roots belong to that user, too. It sees everybody's folders, so
    its image is the platform's and never one that somebody chose, and it is told where to make a
    folder only below parents that nobody can have replaced by a link.

    Args:
        workspace: whose home and shared folder are made.
        more: sub-paths of the homes' claim to be made as well, under a first name with a dot (a
            home's never has one).

    Source: https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath (v1.35)
    """
    mounts = [mount for mount in workspace.mounts if mount.source != "data"]
    resources = build_resources(workspace)
    # A pod's request is the most of its first containers and the sum of the others, so this adds
    # nothing; without any a namespace with a quota refuses the pod.
    resources.pop(GPU_RESOURCE, None)
    return {
        "name": "folders",
        "image": workspace.folders_image,
        "command": [
            "mkdir",
            "-p",
            "-m",
            _FOLDER_MODE,
            "--",
            *(f"{_CLAIMS_PATH}/{mount.source}/{mount.name}" for mount in mounts),
            *(f"{_CLAIMS_PATH}/home/{path}" for path in more),
        ],
        "resources": {"limits": resources, "requests": dict(resources)},
        "securityContext": build_container_security(workspace.user_id, workspace.group_id),
        "volumeMounts": [
            {"name": mount.source, "mountPath": f"{_CLAIMS_PATH}/{mount.source}"}
            for mount in mounts
        ],
    }


def build_labels(workspace: Workspace) -> dict[str, str]:
    """Labels of ours; the user's is the safe slug, any other name is no label."""
    return {
        f"{LABEL_PREFIX}/user": home_slug(workspace.user),
        f"{LABEL_PREFIX}/group": workspace.group,
        f"{LABEL_PREFIX}/image": workspace.image,
        f"{LABEL_PREFIX}/class": workspace.instance_class,
    }


def build_annotations(workspace: Workspace) -> dict[str, str]:
    """Karpenter does not take the node away to save money while the pod runs.

    Not so on a spot machine: before EC2 takes that away Karpenter drains it, and leaves out pods
    with this annotation, which would then be killed without a word.

    Source: https://karpenter.sh/docs/concepts/disruption/ (v1.14); IsEvictable in
    sigs.k8s.io/karpenter v1.14.1, pkg/utils/pod/scheduling.go
    """
    return {} if workspace.placement.spot else {"karpenter.sh/do-not-disrupt": "true"}


def build_resources(workspace: Workspace) -> dict[str, str]:
    """Limits and requests alike: nobody lives on what others leave.

    The disk is scratch and all else that is written on the machine; who writes more is ended alone.
    """
    resources = {
        "cpu": f"{workspace.cores:g}",
        "memory": quantity(workspace.memory_bytes),
        "ephemeral-storage": quantity(workspace.scratch_bytes + DISK_MARGIN),
    }
    if workspace.gpus:
        resources[GPU_RESOURCE] = str(workspace.gpus)
    return resources


def build_volumes(workspace: Workspace) -> list[dict[str, Any]]:
    """Claims of the mounts, scratch on the node's disk, shared memory."""
    claims = {_volume_name(workspace, mount): mount for mount in workspace.mounts}
    volumes: list[dict[str, Any]] = []
    for name, mount in claims.items():
        claim: dict[str, Any] = {"claimName": _claim_name(mount)}
        if mount.read_only:
            claim["readOnly"] = True
        volumes.append({"name": name, "persistentVolumeClaim": claim})
    scratch: dict[str, Any] = {}
    if workspace.scratch_bytes:
        scratch["sizeLimit"] = quantity(workspace.scratch_bytes)
    volumes.append({"name": "scratch", "emptyDir": scratch})
    if workspace.shared_memory_bytes:
        # Its pages count against the container's memory.
        memory = {"medium": "Memory", "sizeLimit": quantity(workspace.shared_memory_bytes)}
        volumes.append({"name": "shared-memory", "emptyDir": memory})
    return volumes


def build_volume_mounts(workspace: Workspace) -> list[dict[str, Any]]:
    """Where the volumes appear in the container."""
    mounts: list[dict[str, Any]] = []
    for mount in workspace.mounts:
        fields: dict[str, Any] = {
            "name": _volume_name(workspace, mount),
            "mountPath": mount.path,
        }
        if mount.source != "data":
            fields["subPath"] = mount.name
        if mount.read_only:
            fields["readOnly"] = True
        mounts.append(fields)
    mounts.append({"name": "scratch", "mountPath": SCRATCH_PATH})
    if workspace.shared_memory_bytes:
        mounts.append({"name": "shared-memory", "mountPath": SHARED_MEMORY_PATH})
    return mounts


def build_tolerations(workspace: Workspace) -> list[dict[str, str]]:
    """The placement's tolerations."""
    return [_build_toleration(toleration) for toleration in workspace.placement.tolerations]


def build_pod_security() -> dict[str, Any]:
    """The pod's security context."""
    return {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def build_container_security(user_id: int, group_id: int) -> dict[str, Any]:
    """The container's security context."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "runAsGroup": group_id,
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _volume_name(workspace: Workspace, mount: Mount) -> str:
    # A bucket's name may have dots, a volume's may not; so buckets are counted.
    if mount.source == "data":
        data = [other.name for other in workspace.mounts if other.source == "data"]
        return f"data-{data.index(mount.name)}"
    return mount.source


def _claim_name(mount: Mount) -> str:
    if mount.source == "data":
        return f"{DATA_CLAIM_PREFIX}{mount.name}"
    return HOMES_CLAIM if mount.source == "home" else SHARED_CLAIM


def _build_toleration(toleration: Toleration) -> dict[str, str]:
    fields = {
        "key": toleration.key,
        "operator": toleration.operator,
        "effect": toleration.effect,
    }
    if toleration.operator == "Equal":
        fields["value"] = toleration.value
    return fields
