"""Amounts of the catalogue as a Kubernetes resource list. Pure; used by the builders beside it."""

from collections.abc import Mapping

from hub_config.platform.quantities import quantity

EPHEMERAL_STORAGE = "ephemeral-storage"
_IN_BYTES = ("memory", EPHEMERAL_STORAGE)


def build_resource_list(amounts: Mapping[str, float]) -> dict[str, str]:
    """Quantities of cores, bytes and counts, by resource.

    Args:
        amounts: cores for ``cpu``, bytes for ``memory`` and ``ephemeral-storage``, else a count.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ (v1.35)
    """
    return {
        resource: quantity(int(amount)) if resource in _IN_BYTES else f"{amount:.15g}"
        for resource, amount in amounts.items()
    }
