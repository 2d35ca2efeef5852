"""Keys of the chart that the platform has its own word for, and what to write instead.

The configuration that our values become replaces what the chart made of these keys. Whoever sets
one would wait for an effect in vain, so the hub says so and does not start. A key that is not
here and not in :mod:`hub_config.values` works as the chart's documentation says. Used by
:mod:`hub_config.values`. Pure.

Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub/values.yaml
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from hub_config.chart import ChartValues
from hub_config.platform.workspace import HOME_PATH, USER_ID
from offline_jobs.contract.names import SERVICE_NAME


class Unused(NamedTuple):
    """A key without effect.

    Attributes:
        key: dotted.
        instead: what to do, a clause without a full stop.
        harmless: values that ask for nothing which the platform does not do: the chart's default,
            where it does not, and what ``helm-values/jupyterhub.yaml`` has. Absent, ``null`` and
            empty ones always are.
    """

    key: str
    instead: str
    harmless: tuple[object, ...] = ()


_CODE = "hub.extraConfig, which runs after the platform's own configuration"
_SIZE = "what a session gets is its class's, custom.catalogue.classes"
_PLACE = "where a session runs is its class's node pool, custom.catalogue.node_pools"
_POD = "a session's pod is made by the platform alone"
_FOLDERS = "home, shared folder and the groups' buckets are what a session sees"
_IMAGE = "put it into an image of custom.catalogue.images"

UNUSED = (
    Unused("hub.loadRoles", f"add roles in {_CODE}"),
    Unused("hub.consecutiveFailureLimit", "a start that fails never ends the hub", (5, 0)),
    Unused("hub.templatePaths", f"change pages in {_CODE}"),
    Unused("hub.templateVars", f"change pages in {_CODE}"),
    *(
        Unused(key, "the platform knows hub and proxy by the chart's own names")
        for key in ("fullnameOverride", "nameOverride")
    ),
    Unused("singleuser.profileList", "the offer is custom.catalogue"),
    Unused("singleuser.extraEnv", f"{_IMAGE}, as a variable"),
    Unused("singleuser.extraFiles", f"{_IMAGE}, as a file"),
    Unused("singleuser.cmd", f"{_IMAGE}, as its command", ("jupyterhub-singleuser",)),
    Unused("singleuser.defaultUrl", "sessions open in JupyterLab", ("/lab",)),
    Unused("singleuser.initContainers", _POD),
    Unused("singleuser.extraContainers", _POD),
    Unused("singleuser.extraPodConfig", _POD),
    Unused(
        "singleuser.extraLabels",
        f"{_POD}, and its labels say user, group, image and class",
        ({"hub.jupyter.org/network-access-hub": "true"},),
    ),
    Unused("singleuser.extraAnnotations", _POD),
    Unused("singleuser.allowPrivilegeEscalation", "a session never gets more rights", (False,)),
    Unused("singleuser.uid", f"sessions and jobs run as {USER_ID}", (USER_ID,)),
    Unused("singleuser.fsGid", "the folders have their owner already", (100,)),
    Unused(
        "singleuser.serviceAccountName",
        "a session has its group's account, service_account in custom.catalogue.groups",
    ),
    Unused(
        "singleuser.cloudMetadata.blockWithIptables",
        "set it to false; the network policy keeps sessions from the machine's credentials",
        (False,),
    ),
    Unused("singleuser.cpu.limit", _SIZE, (0.1,)),
    Unused("singleuser.cpu.guarantee", _SIZE, (0.1,)),
    Unused("singleuser.memory.limit", _SIZE, ("256M",)),
    Unused("singleuser.memory.guarantee", _SIZE, ("1G", "256M")),
    Unused("singleuser.extraResource.limits", _SIZE),
    Unused("singleuser.extraResource.guarantees", _SIZE),
    Unused("singleuser.nodeSelector", _PLACE),
    Unused("singleuser.extraTolerations", _PLACE),
    *(
        Unused(f"singleuser.{key}.{strength}", _PLACE)
        for key in ("extraNodeAffinity", "extraPodAffinity", "extraPodAntiAffinity")
        for strength in ("required", "preferred")
    ),
    Unused(
        "scheduling.userPods.tolerations",
        _PLACE,
        (
            [
                {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
                for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
            ],
        ),
    ),
    Unused(
        "scheduling.userPods.nodeAffinity.matchNodePurpose",
        f"set it to ignore; {_PLACE}",
        ("ignore",),
    ),
    Unused("scheduling.userScheduler.enabled", "set it to false; Karpenter packs", (False,)),
    Unused("scheduling.podPriority.enabled", "set it to false; Karpenter makes room", (False,)),
    Unused("singleuser.storage.type", f"set it to none; {_FOLDERS}", ("none",)),
    Unused("singleuser.storage.homeMountPath", f"a home is at {HOME_PATH}", (HOME_PATH,)),
    Unused("singleuser.storage.extraVolumes", _FOLDERS),
    Unused("singleuser.storage.extraVolumeMounts", _FOLDERS),
    Unused("singleuser.storage.extraLabels", _FOLDERS),
    Unused("cull.users", "the culler may stop servers and not delete people", (False,)),
    Unused("cull.adminUsers", "it only matters where people are deleted", (True,)),
)

_SERVICE = f"hub.services.{SERVICE_NAME}"


def refuse_unused(values: ChartValues) -> None:
    """Note every key that is set and has no effect."""
    for each in UNUSED:
        if not _is_harmless(values.find(each.key), each.harmless):
            values.refuse(each.key, f"is not used: {each.instead}")
    services: Mapping[str, Any] = values.get("hub.services", {})
    for name in services:
        if name != SERVICE_NAME:
            values.refuse(f"hub.services.{name}", f"is not used: add services in {_CODE}")
    own: Mapping[str, Any] = values.get(_SERVICE, {})
    for name in own:
        if name not in ("url", "apiToken"):
            values.refuse(f"{_SERVICE}.{name}", "is not used: url and apiToken are")


def refuse_overruled(values: ChartValues, sections: Mapping[str, Collection[str]]) -> None:
    """Note every trait below ``hub.config`` that the platform sets itself.

    Args:
        values: of the chart.
        sections: by the name of a class, the traits that the platform's configuration has the last
            word about.
    """
    config: Mapping[str, Any] = values.get("hub.config", {})
    for section, own in sections.items():
        for trait, value in (config.get(section) or {}).items():
            if trait in own and not _is_harmless(value, ()):
                key = f"hub.config.{section}.{trait}"
                values.refuse(key, f"is not used: the platform sets it; change it in {_CODE}")


def _is_harmless(value: Any, harmless: tuple[object, ...]) -> bool:
    return value in (None, "", [], {}) or value in harmless
