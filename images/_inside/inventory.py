"""Says what is installed in an image, for its bill of materials: a JSON object on standard output.

Place in the path: `images/_tool/build.py` has it run in each built image. Standard library only.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

FORM = "${Package}\t${Version}\t${Architecture}\n"


def list_python() -> list[list[str]]:
    """List name and version of each distribution of Python, once."""
    found = ((each.metadata["Name"], each.version) for each in importlib.metadata.distributions())
    return sorted([name, version] for name, version in set(found))


def list_debian() -> list[list[str]]:
    """List name, version and architecture of each Debian package."""
    command = ["dpkg-query", "--show", f"--showformat={FORM}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in said.splitlines()]


if __name__ == "__main__":
    json.dump({"python": list_python(), "debian": list_debian()}, sys.stdout)
