"""A network namespace of a bed's own, joined to this machine by one pair of virtual interfaces.

Forwarding, kube-proxy's rules and the pods' interfaces exist only in there, nothing in there has a
route to the outside, and the machine's own interfaces and rules stay as they are. Everything on
this machine is found and removed by the bed's name. Used by `network.py` and `nodes.py`; it knows
nothing of Kubernetes but the numbers of some ports.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

#: What the names of all interfaces, namespaces and cgroup folders of beds begin with.
PREFIX = "nbhpc-"
#: Where the handles of network namespaces are mounted.
HANDLES = Path("/run/nbhpc")
#: Bed number N has 10.(203 + 2N).0.0/16 for itself and its pods, and the next /16 for Services.
FIRST_OCTET, MOST_BEDS = 203, 20
#: The interface inside the namespace.
INSIDE = "host0"
#: Ports that have a name of their own in the world; others are given out from `FIRST_PORT`.
KNOWN_PORTS = {
    "etcd": 2379,
    "etcd-peer": 2380,
    "kube-apiserver": 6443,
    "kube-controller-manager": 10257,
    "kube-scheduler": 10259,
    "kubelet": 10250,
}
FIRST_PORT = 20000
#: Interfaces' names have at most 15 characters.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,8}")
#: Set inside only.
FORWARDING = "/proc/sys/net/ipv4/ip_forward"


class NetworkTaken(Exception):
    """No ranges of addresses are free on this machine, or no interface can be made."""


@dataclass(frozen=True)
class Namespace:
    """A network namespace, kept by a mounted handle and joined to this machine.

    Attributes:
        name: of the bed; the interface on this machine is called `nbhpc-NAME`.
        number: of the ranges of addresses that it uses, which no other route has.
    """

    name: str
    number: int = 0
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a name that an interface cannot bear."""
        if not NAME.fullmatch(self.name):
            raise ValueError(f"a bed's name must match {NAME.pattern}, not {self.name!r}")

    @classmethod
    def make(cls, name: str) -> Namespace:
        """Make the namespace, its interfaces and routes; what bore the name before is removed.

        Raises:
            NetworkTaken: when it cannot be had.
        """
        cls(name).remove()
        routes = _list_routes()
        reason = f"routes lead to all of 10.{FIRST_OCTET}.0.0/16 and the ranges after it"
        for number in range(MOST_BEDS):
            network = cls(name, number)
            ranges = IPv4Network(network.pod_range), IPv4Network(network.service_range)
            if any(route.overlaps(each) for route in routes for each in ranges):
                continue
            try:
                network.join()
            except OSError as error:
                # Another bed may have taken the ranges since.
                network.remove()
                reason = str(error)
            else:
                return network
        raise NetworkTaken(reason)

    def join(self) -> None:
        """Make the namespace and join it to this machine."""
        HANDLES.mkdir(exist_ok=True)
        self.handle.touch()
        _run(["unshare", f"--net={self.handle}", "true"])
        # One program and one transaction each: this is on the way of every start.
        _run(
            ["ip", "-batch", "-"],
            f"link add {self.interface} type veth peer name {INSIDE} netns {self.handle}\n"
            f"link set {self.interface} addrgenmode none\n"
            f"address add {self.host_address}/24 dev {self.interface}\n"
            f"link set {self.interface} up\n"
            f"route add {self.pod_range} via {self.address} dev {self.interface}\n"
            f"route add {self.service_range} via {self.address} dev {self.interface}\n",
        )
        _run(
            [*self.within, "sh", "-ec", 'echo 1 > "$0"; exec ip -batch -', FORWARDING],
            # A Service's address needs a route for the packet to come as far as kube-proxy's rules.
            "link set lo up\n"
            f"link set {INSIDE} addrgenmode none\n"
            f"address add {self.address}/24 dev {INSIDE}\n"
            f"link set {INSIDE} up\n"
            f"route add {self.service_range} dev lo\n",
        )

    @property
    def base(self) -> str:
        """The first half of the bed's own addresses and of its pods'."""
        return f"10.{FIRST_OCTET + 2 * self.number}"

    @property
    def pod_range(self) -> str:
        """The range of the bed and its pods; the first /24 is the link to this machine."""
        return f"{self.base}.0.0/16"

    @property
    def service_range(self) -> str:
        """The range of Services' addresses."""
        return f"10.{FIRST_OCTET + 2 * self.number + 1}.0.0/16"

    @property
    def host_address(self) -> str:
        """This machine, as the bed and its pods reach it."""
        return f"{self.base}.0.1"

    @property
    def address(self) -> str:
        """The bed, as this machine and the pods reach it."""
        return f"{self.base}.0.2"

    @property
    def handle(self) -> Path:
        """The file over which the namespace is mounted; `nsenter --net=` takes it."""
        return HANDLES / self.name

    @property
    def interface(self) -> str:
        """The interface on this machine."""
        return f"{PREFIX}{self.name}"

    @property
    def within(self) -> tuple[str, ...]:
        """Not `ip netns exec`: that mounts a new /sys, which hides the cgroups."""
        return ("nsenter", f"--net={self.handle}", "--")

    def port(self, name: str) -> int:
        """The port of that name; all are free in a namespace of one's own."""
        if name in KNOWN_PORTS:
            return KNOWN_PORTS[name]
        return self.ports.setdefault(name, FIRST_PORT + len(self.ports))

    def add_address(self, address: str) -> None:
        """Give the namespace's interface another address; it may have it already."""
        _run([*self.within, "ip", "address", "replace", f"{address}/32", "dev", INSIDE])

    def remove_address(self, address: str) -> None:
        """Take an address away again; it may be gone already."""
        _try([*self.within, "ip", "address", "delete", f"{address}/32", "dev", INSIDE])

    def list_processes(self) -> list[int]:
        """All processes in the namespace, this one excepted."""
        if not self.handle.exists():
            return []
        own = self.handle.stat()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            # It may have ended, or be the kernel's own.
            with suppress(OSError):
                space = (entry / "ns" / "net").stat()
                if (space.st_dev, space.st_ino) == (own.st_dev, own.st_ino):
                    found.append(int(entry.name))
        return [pid for pid in found if pid != os.getpid()]

    def to_json(self) -> dict[str, Any]:
        """The kind, name and number, and the ports so far."""
        return {
            "kind": "namespace",
            "name": self.name,
            "number": self.number,
            "ports": self.ports,
        }

    def remove(self) -> None:
        """Remove interfaces, routes and the handle, and end whatever still runs in there."""
        for pid in self.list_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _try(["ip", "link", "delete", self.interface])
        while _try(["umount", str(self.handle)]):
            pass
        self.handle.unlink(missing_ok=True)
        # Another bed's may be in it, or just coming.
        with suppress(OSError):
            HANDLES.rmdir()


def sweep(name: str) -> None:
    """Remove a bed's namespace if there is one, though nothing but the name is known of it."""
    if NAME.fullmatch(name):
        network = Namespace(name)
        if network.handle.exists() or Path(f"/sys/class/net/{network.interface}").exists():
            network.remove()


def _list_routes() -> list[IPv4Network]:
    found = (line.split()[0] for line in _run(["ip", "-4", "route", "show"]).splitlines())
    # Others begin with a word, such as `default`.
    return [IPv4Network(each, strict=False) for each in found if each[0].isdigit()]


def _run(words: Sequence[str], text: str = "") -> str:
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)} said: {done.stderr.strip()}")
    return done.stdout


def _try(words: Sequence[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
