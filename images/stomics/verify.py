"""Verifies image `stomics` from inside.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import sys

from images._inside.checks import import_all, run_checks
from images._inside.session_checks import OF_A_SESSION

LIBRARIES = ("anndata", "scanpy", "squidpy", "leidenalg", "igraph")


def check_libraries() -> str:
    """What the image promises can be imported."""
    import_all(LIBRARIES)
    return f"can be imported: {', '.join(LIBRARIES)}"


if __name__ == "__main__":
    sys.exit(run_checks([*OF_A_SESSION, check_libraries]))
