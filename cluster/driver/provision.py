"""Makes databases, users and Secrets of hub and jobs service on a PostgreSQL server.

A pod of the jobs service's image does it, on a machine that reaches the server. Passwords are made
here and kept in the cluster's Secrets alone.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cluster.driver.databases import DATABASES, PORT, build_url, name_secret
from cluster.driver.tools import MANAGER, OURS, Manifest, Tools

#: The pod, and the policy that lets it out.
NAME = "databases"
#: The machines that may reach the server.
CORE = {"hub.jupyter.org/node-purpose": "core"}


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server and its administrator.

    Attributes:
        host: its name or address.
        user: who may make users and databases.
        password: of that user.
        port: where it listens.
    """

    host: str
    user: str
    password: str
    port: int = PORT


def make_databases(
    tools: Tools,
    namespace: str,
    server: Server,
    releases: Sequence[str],
    image: str,
    say: Callable[[str], None],
) -> None:
    """Have databases, users and Secrets; where the Secrets lead to this server, all is there.

    Args:
        tools: of the cluster.
        namespace: of hub and jobs service; it is there.
        server: where.
        releases: of :data:`DATABASES`.
        image: of the jobs service.
        say: told a line at a time.

    Raises:
        ToolFailed: the server is away or does not let it be done, or the cluster does not.
    """
    found = {each: _read(tools.find("secret", name_secret(each), namespace)) for each in releases}
    lacking = [each for each in releases if found[each].get("host") != server.host]
    if not lacking:
        return
    passwords = {each: found[each].get("password") or secrets.token_urlsafe(32) for each in lacking}
    said = {"host": server.host, "port": server.port}
    said |= {"user": server.user, "password": server.password}
    said |= {"databases": {DATABASES[each]: passwords[each] for each in lacking}}
    tools.apply([_build_policy(namespace, server.port)])
    try:
        answer = tools.run_pod(NAME, namespace, _build_pod(image), json.dumps(said))
    finally:
        tools.delete("networkpolicy", NAME, namespace=namespace)
    for line in answer.splitlines():
        say(line)
    for each in lacking:
        if "host" not in found[each] and tools.find_release(each, namespace):
            say(f"Note: what {each} kept until now, on a disk of its own, stays behind there.")
    place = f"{server.host}:{server.port}"
    tools.apply(
        _build_secret(namespace, each, server.host, passwords[each], place) for each in lacking
    )


def _build_secret(namespace: str, release: str, host: str, password: str, place: str) -> Manifest:
    data = {
        "host": host,
        "password": password,
        "url": build_url(DATABASES[release], place, password),
    }
    labels = {OURS: MANAGER}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name_secret(release), "namespace": namespace, "labels": labels},
        "stringData": data,
    }


def _build_policy(namespace: str, port: int) -> Manifest:
    """Lets the pod ask for names and reach the server; nobody else has its label."""
    names = [{"port": 53, "protocol": each} for each in ("UDP", "TCP")]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {OURS: MANAGER}},
        "spec": {
            # `kubectl run` gives a pod this label.
            "podSelector": {"matchLabels": {"run": NAME}},
            "policyTypes": ["Egress"],
            "egress": [{"ports": [*names, {"port": port, "protocol": "TCP"}]}],
        },
    }


def _build_pod(image: str) -> Manifest:
    container = {
        "name": NAME,
        "image": image,
        "command": ["python", "-s", "-P", "-m", "offline_jobs.service.provision"],
        "stdin": True,
        "stdinOnce": True,
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": CORE,
        "tolerations": [{"key": "hub.jupyter.org/dedicated", "operator": "Exists"}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "runAsGroup": 100,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }


def _read(secret: Manifest | None) -> dict[str, str]:
    data: Mapping[str, str] = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}
