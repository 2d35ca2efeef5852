"""An image's examples, brought into a home that was never given them.

Place in the path: the local spawner calls it before a session. In a pod `images/notebook/start.sh`
does the same, with the same note, so that a home may go from one to the other; tests hold the two
equal. Only :mod:`hub_config.spawners.local` imports it.
"""

import os
import shutil
import tempfile
from pathlib import Path

EXAMPLES = "examples"
#: Where an environment has them; in an image they are there below /usr/local.
PLACE = Path("share", "notebook-hpc", "examples")
#: Names of all that a home was given, one a line; below the home.
NOTE = Path(".local", "share", "notebook-hpc", "examples-given")


def give_examples(source: Path, home: Path) -> None:
    """Copy the examples that a home was never given into its folder ``examples``.

    What is there already stays as it is, and what its owner took away stays away. All or nothing:
    they are copied aside, and noted before they appear.

    Args:
        source: folder with the image's examples; nothing happens where it is missing.
        home: somebody's home.

    Raises:
        OSError: the home cannot be written.
    """
    folder, note = home / EXAMPLES, home / NOTE
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or not source.is_dir():
        return
    known = note.read_text(encoding="utf-8", errors="replace") if note.exists() else ""
    fresh = [each for each in sorted(source.iterdir()) if each.name not in known.splitlines()]
    if not fresh:
        return
    aside = Path(tempfile.mkdtemp(prefix=".examples-", dir=home))
    try:
        for each in fresh:
            copy = shutil.copytree if each.is_dir() else shutil.copy
            copy(each, aside / each.name)
        note.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        for each in fresh:
            with note.open("a", encoding="utf-8") as file:
                file.write(f"{each.name}\n")
            if not os.path.lexists(folder / each.name):
                (aside / each.name).rename(folder / each.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
