"""Runs a script of the Lab extension's `package.json` with the pinned Node.

Place in the path: `python -m images._tool.jlpm SCRIPT`, called by the Makefile and by pre-commit
after `make setup`. Standard library only. Nobody imports it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from images._tool.builds import Builds
from images._tool.tools import build_tool_environment, find_places


def main(arguments: Sequence[str]) -> None:
    """Become the Lab builder's yarn, in the extension's folder."""
    places = find_places(os.environ)
    builds = Builds(places)
    environ = build_tool_environment(places, (builds.tools / "bin", builds.node))
    jlpm = str(builds.tools / "bin" / "jlpm")
    os.chdir(places.extension)
    os.execve(jlpm, [jlpm, "run", *arguments], environ)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
