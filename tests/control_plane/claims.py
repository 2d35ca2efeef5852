"""The claims that sessions and jobs mount, in a test's namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_config.platform.pods import HOMES_CLAIM, SHARED_CLAIM
from tests.bed.claims import VOLUME, build_pairs, name_volume, wait_until_bound
from tests.bed.client import Client

CLAIMS = (HOMES_CLAIM, SHARED_CLAIM)


@contextmanager
def bound_claims(client: Client, namespace: str) -> Iterator[None]:
    """Make volumes and claims; pretended nodes mount nothing, but schedulers look at them."""
    for each in build_pairs(CLAIMS, namespace, Path("/nowhere"), mode="ReadWriteMany"):
        client.create(each)
    wait_until_bound(client, namespace)
    try:
        yield
    finally:
        for claim in CLAIMS:
            client.delete(*VOLUME, name_volume(claim, namespace))
