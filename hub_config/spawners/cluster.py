"""Short pods of the hub's own. Used by :mod:`hub_config.spawners.kubernetes`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientError
from kubernetes_asyncio.client import ApiException


async def run_briefly(api: Any, namespace: str, pod: Mapping[str, Any], seconds: int) -> None:
    """Make a pod, wait for its end, and remove it.

    Raises:
        OSError: it did not succeed within so many seconds.
    """
    try:
        made = await api.create_namespaced_pod(namespace, pod)
        name, deadline = made.metadata.name, time.monotonic() + seconds
        try:
            phase = ""
            while phase not in ("Succeeded", "Failed") and time.monotonic() < deadline:
                await asyncio.sleep(1)
                phase = (await api.read_namespaced_pod(name, namespace)).status.phase
        finally:
            await api.delete_namespaced_pod(name, namespace)
    except (ApiException, ClientError) as error:
        raise OSError(f"the cluster did not run a pod for it: {error}") from error
    if phase != "Succeeded":
        raise OSError(f"the pod for it stood at {phase or 'nothing'} in the end")
