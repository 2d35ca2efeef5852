"""What decides which nodes may take pods, on a real API server."""

from __future__ import annotations

import pytest

from tests.bed.client import NODE_POOL, Client
from tests.bed.worlds import Limits, closed_pools, opened_pools


@pytest.mark.usefixtures("pretended")
def test_closed_pools_have_no_room_but_while_they_are_opened(client: Client) -> None:
    before = read_limits(client)
    none = {name: dict.fromkeys(limits, "0") for name, limits in before.items()}
    assert before
    assert before != none

    with closed_pools(client) as limits:
        assert read_limits(client) == none
        with opened_pools(client, limits):
            assert read_limits(client) == before
        assert read_limits(client) == none

    assert read_limits(client) == before


def read_limits(client: Client) -> Limits:
    """What Karpenter may start, by the pools' names."""
    pools = client.list(*NODE_POOL)
    return {each["metadata"]["name"]: each["spec"]["limits"] for each in pools}
