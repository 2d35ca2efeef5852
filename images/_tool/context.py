"""The folder that an image is built from: what its Dockerfile may use, and nothing else.

Place in the path: `build` fills a fresh folder for each image, so a build sees neither the checkout
nor what lies in it. Standard library only. Imported by `build` and by tests of images.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from images._tool.stamps import hash_inputs, hash_tree
from images._tool.steps import StepFailed

LEFT_OUT = ("__pycache__", ".ipynb_checkpoints", "Dockerfile", "README.md", "*.in", "verify.py")


def list_images(root: Path) -> list[str]:
    """List the images that can be built: folders of `images/` with a Dockerfile."""
    return sorted(path.parent.name for path in root.glob("images/*/Dockerfile"))


def fill_context(root: Path, image: str, wheels: Sequence[Path], folder: Path) -> None:
    """Fill an empty folder with what the build of an image needs.

    It gets `Dockerfile`, `image/` (the image's own files), `inside/` (scripts that run in a build),
    `labconfig/`, `wheels/`, and the lock of uv.

    Raises:
        StepFailed: there is no such image.
    """
    source = root / "images" / image
    if image not in list_images(root):
        known = ", ".join(list_images(root))
        raise StepFailed(
            f"there is no images/{image}/Dockerfile; images that can be built: {known}"
        )
    shutil.copy(source / "Dockerfile", folder)
    shutil.copy(root / "requirements-uv.txt", folder)
    leave_out = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(source, folder / "image", ignore=leave_out)
    shutil.copytree(root / "images" / "_inside", folder / "inside", ignore=leave_out)
    shutil.copytree(root / "images" / "labconfig", folder / "labconfig")
    (folder / "wheels").mkdir()
    for wheel in wheels:
        shutil.copy(wheel, folder / "wheels")


def fill_verification(root: Path, image: str, folder: Path) -> None:
    """Fill an empty folder with the image's `verify.py` and what it imports."""
    shutil.copy(root / "images" / image / "verify.py", folder)
    lock = root / "images" / image / "requirements.txt"
    if lock.exists():
        shutil.copy(lock, folder)
    inside = folder / "images" / "_inside"
    inside.mkdir(parents=True)
    shutil.copy(root / "images" / "_inside" / "checks.py", inside)


def hash_context(folder: Path) -> str:
    """Hash all that a build gets from us."""
    return hash_inputs(hash_tree(folder, ("**/*",)))
