"""Karpenter's CloudFormation file: fetched when it is wanted, and held against its checksum.

It makes the machines' role, the six policies of Karpenter's program, and the queue by which AWS
tells that a spot machine will be taken away. It is its makers' file, so there is no copy here.
"""

import hashlib
import http.client
import urllib.request

#: Where the file of a version is.
ADDRESS = (
    "https://raw.githubusercontent.com/aws/karpenter-provider-aws/v{version}/website/content/en"
    "/preview/getting-started/getting-started-with-karpenter/cloudformation.yaml"
)
#: Seconds for an answer, and bytes that it may have: it has 20 KiB.
_PATIENCE_SECONDS, _MOST_BYTES = 20, 1 << 20


class StackAway(Exception):
    """The file cannot be fetched from here; the message says why, for an administrator."""


class StackChanged(Exception):
    """The file is not the one whose checksum is pinned; it is not to be used."""


def fetch_stack(address: str, checksum: str) -> bytes:
    """The file, once it is known to be the right one.

    Args:
        address: where it is.
        checksum: SHA-256 of its bytes, in hexadecimal digits.

    Raises:
        StackAway: it cannot be fetched.
        StackChanged: it is another file.
    """
    try:
        # Ours with https, or an administrator's own: either way the sum decides.
        with urllib.request.urlopen(address, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310
            content: bytes = answer.read(_MOST_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StackAway(f"{address} cannot be fetched from here: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise StackChanged(
            f"{address} has SHA-256 {found}, and {checksum} is pinned (KARPENTER_STACK_SHA256 in"
            " helm-values/versions.env): it is not used. Look at what has changed"
        )
    return content
