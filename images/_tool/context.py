"""The folder that an image is built from: what its Dockerfile may use, and nothing else.

Place in the path: `build` fills a fresh folder for each image, so a build sees neither the checkout
nor what lies in it. Images that people work in are alike but for their packages: one without a
Dockerfile of its own is built by that of `notebook`, from the files of `notebook` with its own laid
over them. Standard library only. Imported by `build` and by tests of images.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from images._tool.stamps import hash_inputs, hash_tree
from images._tool.steps import StepFailed

LEFT_OUT = ("__pycache__", ".ipynb_checkpoints", "Dockerfile", "README.md", "*.in", "verify.py")
#: Images without a Dockerfile of their own are this one, with other packages.
MODEL = "notebook"
BASE_LINE = re.compile(r"^-r \.\./(?P<name>[^/\s]+)/requirements\.in", re.MULTILINE)
PACKAGES = "packages.txt"


def list_images(root: Path) -> list[str]:
    """List the images that can be built: folders of `images/` with a Dockerfile or a lock."""
    found = (*root.glob("images/*/Dockerfile"), *root.glob("images/*/requirements.txt"))
    return sorted({path.parent.name for path in found})


def list_sources(root: Path, image: str) -> list[Path]:
    """List the folders whose files an image gets; a later one's outrank those before it."""
    own = root / "images" / image
    if (own / "Dockerfile").exists():
        return [own]
    chain = list_chain(root, image)
    if MODEL not in chain:
        chain.append(MODEL)
    return [root / "images" / name for name in reversed(chain)]


def list_chain(root: Path, image: str) -> list[str]:
    """List an image, the one that its requirements begin from (`-r ../NAME/...`), and so on."""
    chain = [image]
    while (source := root / "images" / chain[-1] / "requirements.in").exists():
        found = BASE_LINE.search(source.read_text(encoding="utf-8"))
        if found is None or found["name"] in chain:
            break
        chain.append(found["name"])
    return chain


def list_examples(root: Path, image: str) -> list[Path]:
    """List the folders of examples that an image gets, in the order of `list_sources`."""
    found = (source / "examples" for source in list_sources(root, image))
    return [folder for folder in found if folder.is_dir()]


def read_packages(context: Path) -> list[str]:
    """Read which Debian packages an image gets besides those of its Dockerfile.

    They stand in its `packages.txt` and those of the images that it begins from, names apart by
    space or line, comments after `#`.

    Args:
        context: as `fill_context` filled it.
    """
    path = context / "image" / PACKAGES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [name for line in lines for name in line.partition("#")[0].split()]


def fill_context(root: Path, image: str, wheels: Sequence[Path], folder: Path) -> None:
    """Fill an empty folder with what the build of an image needs.

    It gets `Dockerfile`, `image/` (the image's own files), `inside/` (scripts that run in a build),
    `labconfig/`, `locks/` (its own, and that of uv) and `wheels/`.

    Raises:
        StepFailed: there is no such image.
    """
    if image not in list_images(root):
        if (root / "images" / image / "requirements.in").exists():
            raise StepFailed(f"images/{image} has no lock yet: run `make lock`")
        known = ", ".join(list_images(root))
        raise StepFailed(
            f"there is no image {image!r}, images/NAME with a Dockerfile or requirements.txt;"
            f" images that can be built: {known}"
        )
    sources = list_sources(root, image)
    shutil.copy(sources[0] / "Dockerfile", folder)
    leave_out = shutil.ignore_patterns(*LEFT_OUT)
    packages = ""
    for source in sources:
        shutil.copytree(source, folder / "image", ignore=leave_out, dirs_exist_ok=True)
        if (source / PACKAGES).exists():
            packages += (source / PACKAGES).read_text(encoding="utf-8")
    if packages:
        (folder / "image" / PACKAGES).write_text(packages, encoding="utf-8")
    (folder / "locks").mkdir()
    lock = folder / "image" / "requirements.txt"
    if lock.exists():
        lock.rename(folder / "locks" / lock.name)
        shutil.copy(root / "requirements-uv.txt", folder / "locks")
    # What an image lays over the system; the Dockerfile copies it, so there has to be one.
    (folder / "image" / "root").mkdir(exist_ok=True)
    # No checks: a change of theirs would make every step anew.
    scripts = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(root / "images" / "_inside", folder / "inside", ignore=scripts)
    shutil.copytree(root / "images" / "labconfig", folder / "labconfig")
    (folder / "wheels").mkdir()
    for wheel in wheels:
        shutil.copy(wheel, folder / "wheels")


def fill_verification(root: Path, image: str, folder: Path) -> None:
    """Fill an empty folder with the image's `verify.py` and what it imports.

    Those of the images that it begins from lie below `images/NAME`, with what each asks for.
    """
    shutil.copy(root / "images" / image / "verify.py", folder)
    for name in list_chain(root, image):
        target = folder / "images" / name
        target.mkdir(parents=True)
        for file in ("verify.py", "requirements.in"):
            if (root / "images" / name / file).exists():
                shutil.copy(root / "images" / name / file, target)
    lock = root / "images" / image / "requirements.txt"
    if lock.exists():
        shutil.copy(lock, folder)
    inside = folder / "images" / "_inside"
    inside.mkdir(parents=True)
    for name in ("checks.py", "inventory.py", "session_checks.py"):
        shutil.copy(root / "images" / "_inside" / name, inside)


def hash_context(folder: Path) -> str:
    """Hash all that a build gets from us."""
    return hash_inputs(hash_tree(folder, ("**/*",)))
