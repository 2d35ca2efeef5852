"""Where a bed's parts listen and how they reach each other: loopback, or a network namespace.

Without real nodes everything is on 127.0.0.1 with free ports, and any number of beds run side by
side. With real nodes the whole bed lives in a network namespace of its own (`namespace.py`). First
to be made and last to be removed. Used by `bed.py` and whatever starts programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.bed.namespace import Namespace, NetworkTaken, sweep
from tests.ports import find_free_port

__all__ = ["Loopback", "Namespace", "Network", "NetworkTaken", "network_from_json", "sweep"]

SERVICE_RANGE, POD_RANGE = "10.204.0.0/16", "10.203.0.0/16"


class Network(Protocol):
    """What the rest of the bed sees of its network."""

    @property
    def address(self) -> str:
        """Where the API server, CoreDNS and the webhooks listen, reached by all."""

    @property
    def within(self) -> tuple[str, ...]:
        """Words before a program's own that take it into the network."""

    @property
    def service_range(self) -> str:
        """The range of Services' addresses."""

    @property
    def pod_range(self) -> str:
        """The range that holds every real pod's address."""

    def port(self, name: str) -> int:
        """The port of that name, the same each time."""

    def to_json(self) -> dict[str, Any]:
        """What :func:`network_from_json` needs."""

    def remove(self) -> None:
        """Take the network away; it may be gone already."""


@dataclass(frozen=True)
class Loopback:
    """127.0.0.1 and ports that were free when they were first asked for."""

    ports: dict[str, int] = field(default_factory=dict)
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    service_range: str = SERVICE_RANGE
    pod_range: str = POD_RANGE

    @classmethod
    def make(cls) -> Loopback:
        """A network that needs no making."""
        return cls()

    def port(self, name: str) -> int:
        """The port of that name: a free one at first, the same afterwards."""
        while name not in self.ports:
            if (port := find_free_port()) not in self.ports.values():
                self.ports[name] = port
        return self.ports[name]

    def to_json(self) -> dict[str, Any]:
        """The kind, and the ports so far."""
        return {"kind": "loopback", "ports": self.ports}

    def remove(self) -> None:
        """Nothing is to be removed."""


def network_from_json(facts: Mapping[str, Any]) -> Loopback | Namespace:
    """Make a handle on the network whose :meth:`Network.to_json` this is."""
    if facts["kind"] == "loopback":
        return Loopback(dict(facts["ports"]))
    return Namespace(str(facts["name"]), int(facts["number"]), dict(facts["ports"]))
