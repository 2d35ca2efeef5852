"""Quotas that Kubernetes has not begun to count yet, brought to its notice.

A quota of a kind that was just defined, such as Volcano's jobs, is looked at when the controller of
quotas does not know that kind. Until it looks again every object of the kind is refused, and it
does so every five minutes, or when a limit of the quota changes. Used by
:mod:`cluster.driver.deployment`.
Source: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/controller/resourcequota/resource_quota_controller.go
"""

import time
from collections.abc import Mapping, Sequence

from cluster.driver.tools import Manifest, ToolFailed, Tools

_KIND = "resourcequota"
#: Seconds between two looks; the controller learns new kinds every thirty.
_PERIOD_SECONDS = 5.0


def _list_uncounted(quota: Manifest) -> Mapping[str, str]:
    """Limits that a quota has and nobody counts against yet: resource -> quantity."""
    counted = quota.get("status", {}).get("used", {})
    limits: Mapping[str, str] = quota["spec"].get("hard", {})
    return {name: limit for name, limit in limits.items() if name not in counted}


def wait_until_counted(tools: Tools, namespaces: Sequence[str], patience_seconds: float) -> None:
    """Return when all quotas of some namespaces count what they limit.

    What is not counted is taken out of its quota and put back, for the controller to look.

    Raises:
        ToolFailed: they are not counted in time.
    """
    deadline = time.monotonic() + patience_seconds
    while uncounted := _find_uncounted(tools, namespaces):
        if time.monotonic() > deadline:
            which = "; ".join(
                f"{', '.join(limits)} in quota {name} of {namespace}"
                for (namespace, name), limits in uncounted.items()
            )
            raise ToolFailed(
                f"Kubernetes does not count {which}, and refuses what it limits until then. It may"
                " do so within five minutes; else see that its controller manager runs"
            )
        for (namespace, name), limits in uncounted.items():
            paths = {f"/spec/hard/{_escape(each)}": limit for each, limit in limits.items()}
            out: list[Manifest] = [{"op": "remove", "path": path} for path in paths]
            back: list[Manifest] = [
                {"op": "add", "path": path, "value": limit} for path, limit in paths.items()
            ]
            tools.patch(_KIND, name, out, namespace)
            tools.patch(_KIND, name, back, namespace)
        time.sleep(_PERIOD_SECONDS)


def _find_uncounted(
    tools: Tools, namespaces: Sequence[str]
) -> dict[tuple[str, str], Mapping[str, str]]:
    found = {}
    for namespace in namespaces:
        for quota in tools.list(_KIND, namespace):
            if limits := _list_uncounted(quota):
                found[namespace, quota["metadata"]["name"]] = limits
    return found


def _escape(name: str) -> str:
    """A key as a part of a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
