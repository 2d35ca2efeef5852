"""``python -m cluster.driver.renderer``: leaves custom resources' definitions out of a release.

helm hands over what a chart makes and takes what comes back (``--post-renderer``). A release that
had Volcano's definitions would take them away when it is uninstalled, and with them every job and
queue. Used by :mod:`cluster.driver.tools`.
"""

import json
import sys
from collections.abc import Iterable
from typing import Any

import yaml

DEFINITION = "CustomResourceDefinition"


def parse(text: str) -> list[Any]:
    """Documents of YAML, by libyaml where it is there: the other takes seconds for a definition."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [each for each in yaml.load_all(text, loader) if each]


def leave_out(documents: Iterable[Any]) -> list[Any]:
    """All documents but definitions."""
    return [each for each in documents if each["kind"] != DEFINITION]


if __name__ == "__main__":
    for each in leave_out(parse(sys.stdin.read())):
        # JSON, which is YAML that everybody reads alike.
        sys.stdout.write(f"---\n{json.dumps(each)}\n")
