"""Homes of users who are deleted: put aside, never handed on.

A home is called after its user's name, so it has to be out of the way before that name is free. It
is moved, not removed: what was in it may still be wanted. So are checkpoints, beside it. Pure.
"""

from datetime import datetime
from typing import Any

from hub_config.platform.pods import (
    CHECKPOINTS,
    HOME_VOLUME,
    HOMES_CLAIM,
    LABEL_PREFIX,
    build_container_security,
    build_pod_security,
)
from hub_config.platform.quantities import quantity
from hub_config.platform.workspace import GROUP_ID, USER_ID

#: The folder beside the homes; no home is called so.
RETIRED = ".retired"
_PLACE = "/homes"
#: Seconds within which the file system has to answer; a rename needs none.
LONGEST_SECONDS = 120
_CORES, _MEMORY_BYTES = 0.1, 64 * 1024**2
_PROGRAM = """\
cd "$1" && mkdir -p -m 0700 "$2" || exit 1
if [ -e "$3" ] || [ -L "$3" ]; then mv -T -- "$3" "$2/$4" || exit 1; fi
if [ -e "$5/$3" ]; then mv -T -- "$5/$3" "$2/$4$5"; fi
"""


def name_retired(home: str, now: datetime) -> str:
    """What a home is called once it is retired: ``ada-2026-11-28T230512``."""
    return f"{home}-{now:%Y-%m-%dT%H%M%S}"


def build_retirement(home: str, name: str, image: str) -> dict[str, Any]:
    """The pod that retires a home; where there is none it has nothing to do.

    Args:
        home: slug of the home.
        name: what it is called then, of :func:`name_retired`.
        image: reference of the platform's own image: the pod sees everybody's homes.
    """
    resources = {"cpu": f"{_CORES:g}", "memory": quantity(_MEMORY_BYTES)}
    return {
        "metadata": {
            "generateName": f"retire-{home}-",
            "labels": {f"{LABEL_PREFIX}/retires": home},
        },
        "spec": {
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "retire",
                    "image": image,
                    "command": [
                        *("sh", "-c", _PROGRAM, "retire"),
                        *(_PLACE, RETIRED, home, name, CHECKPOINTS),
                    ],
                    "resources": {"limits": resources, "requests": dict(resources)},
                    "securityContext": build_container_security(USER_ID, GROUP_ID),
                    "volumeMounts": [{"name": HOME_VOLUME, "mountPath": _PLACE}],
                }
            ],
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "securityContext": build_pod_security(),
            "volumes": [{"name": HOME_VOLUME, "persistentVolumeClaim": {"claimName": HOMES_CLAIM}}],
        },
    }
