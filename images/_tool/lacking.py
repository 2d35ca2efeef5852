"""Tells which of our images an installation's registry does not have yet: `make images-lacking`.

Place in the path: `python -m images._tool.lacking --settings FILE`; what makes a cluster asks it,
so that only these are built and pushed. An image counts as there when its digest is written down
and the registry has that. Names go to standard output, a line each; nothing is changed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hub_config.platform.errors import CatalogueError
from images._tool.offer import Target, load_offer
from images._tool.push import choose_targets, open_registry
from images._tool.registry import Registry
from images._tool.steps import StepFailed, log
from images._tool.tools import find_places


def find_lacking(root: Path, settings: Path) -> list[str]:
    """The images that are built here and are not in the registry as they are written down.

    Args:
        root: of this checkout.
        settings: of the installation.

    Raises:
        StepFailed: a registry is away, or refuses.
        CatalogueError: the catalogue has mistakes.
    """
    targets = choose_targets(load_offer(root, settings), (), root)
    # Of what has no digest nobody need be asked, nor be let in.
    hosts = sorted({each.host for each in targets if each.digest})
    registries = {host: open_registry(host).registry for host in hosts}
    return [each.image for each in targets if not _is_there(each, registries)]


def _is_there(target: Target, registries: dict[str, Registry]) -> bool:
    if not target.digest:
        return False
    found = registries[target.host].find_manifest(target.repository, target.digest)
    return found is not None


def main(arguments: Sequence[str]) -> int:
    """Print what lacks; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="make images-lacking")
    parser.add_argument("--settings", type=Path, required=True, help="of the installation")
    options = parser.parse_args(arguments)
    try:
        lacking = find_lacking(find_places(os.environ).root, options.settings)
    except (StepFailed, CatalogueError) as error:
        log.error("%s", error)
        return 1
    sys.stdout.write("".join(f"{each}\n" for each in lacking))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
