"""Verifies image `folders` from inside: what makes and moves folders is there, and no more.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path

from images._inside.checks import OF_EVERY_IMAGE, Wrong, check_absent, run, run_checks

MODE = 0o770


def check_folders() -> str:
    """Its programs make a folder and move one, as the pods that use it want them to."""
    with tempfile.TemporaryDirectory() as place:
        home, aside = Path(place, "home", "ada"), Path(place, "aside")
        run("mkdir", "-p", "-m", f"{MODE:04o}", "--", str(home))
        if stat.S_IMODE(home.stat().st_mode) != MODE:
            raise Wrong(f"mkdir made a folder with mode {home.stat().st_mode:o}")
        run("sh", "-c", 'mv -T -- "$1" "$2"', "move", str(home), str(aside))
        if home.exists() or not aside.is_dir():
            raise Wrong("mv did not move a folder")
    return "folders can be made and moved"


def check_nothing_more() -> str:
    """It is no image to work in."""
    check_absent(("jupyterhub", "jupyter_server", "kubernetes", "hub_config", "offline_jobs"))
    return "nothing to work with"


if __name__ == "__main__":
    sys.exit(run_checks([*OF_EVERY_IMAGE, check_folders, check_nothing_more]))
