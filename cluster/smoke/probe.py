"""What a cell is to find out where it runs, and what of that is wrong.

Pure. The code that runs there needs Python's standard library only.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Before the one line that tells what was found.
MARK = "found: "
#: Where EC2 tells a machine's secrets. No pod of a person may have them.
METADATA = "http://169.254.169.254"
#: Port of a session's server.
SESSION_PORT = 8888
_SECONDS = 3

_CODE = f"""
import json, os, platform, socket, urllib.request

def reaches(host, port):
    try:
        socket.create_connection((host, int(port)), {_SECONDS}).close()
    except (OSError, ValueError):
        return False
    return True

def answers(address, method="GET", **headers):
    request = urllib.request.Request(address, method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    try:
        with opener.open(request, timeout={_SECONDS}) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False

def knows_credentials():
    address = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not address:
        return None
    try:
        with open(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]) as file:
            return answers(address, Authorization=file.read())
    except (KeyError, OSError):
        return False

kubernetes = os.environ.get("KUBERNETES_SERVICE_HOST", "")
lifetime = {{"X-aws-ec2-metadata-token-ttl-seconds": "60"}}
print({MARK!r} + json.dumps({{
    "python": platform.python_version(),
    "in_cluster": bool(kubernetes),
    "address": socket.gethostbyname(socket.gethostname()) if kubernetes else "",
    "metadata": answers(METADATA + "/latest/api/token", "PUT", **lifetime)
    or answers(METADATA + "/latest/meta-data/"),
    "kubernetes": bool(kubernetes) and reaches(kubernetes, os.environ["KUBERNETES_SERVICE_PORT"]),
    "credentials": knows_credentials(),
    "others": [each for each in OTHERS if reaches(*each)],
}}))
"""


def build_code(others: Sequence[tuple[str, int]] = (), metadata: str = METADATA) -> str:
    """Python for a cell, which prints one line that :func:`read_found` reads.

    Args:
        others: addresses and ports of other people's pods, which are to be out of reach.
        metadata: where EC2's metadata would be.
    """
    return f"METADATA = {metadata!r}\nOTHERS = {list(others)!r}\n{_CODE}"


def read_found(printed: str) -> dict[str, Any] | None:
    """What a cell found; ``None`` where it printed nothing of the kind."""
    for line in printed.splitlines():
        if line.startswith(MARK):
            found: dict[str, Any] = json.loads(line.removeprefix(MARK))
            return found
    return None


def find_wrong(found: Mapping[str, Any]) -> Iterator[str]:
    """Sentences on what a pod reaches that it must not, or lacks that it should have."""
    if found["metadata"]:
        yield (
            "EC2's metadata answers, and with it the machine's own role: the network policies do"
            " not hold, or machines let pods ask (docs/deploy.md)"
        )
    if found["kubernetes"]:
        yield "Kubernetes' API can be reached: the network policies do not hold"
    if found["others"]:
        hosts = ", ".join(f"{host}:{port}" for host, port in found["others"])
        yield f"another pod can be reached ({hosts}): the network policies do not hold"
    if found["credentials"] is False:
        yield (
            "the account has a role, and no credentials are handed out: the agent of Pod Identity"
            " does not answer"
        )
