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

from images._tool.layers import LAYERS, add_steps, read_layers, split_lock
from images._tool.stamps import hash_inputs, hash_tree
from images._tool.steps import StepFailed

LEFT_OUT = ("__pycache__", ".ipynb_checkpoints", "Dockerfile", "README.md", "*.in", "verify.py")
#: Images without a Dockerfile of their own are this one, with other packages.
MODEL = "notebook"
BASE_LINE = re.compile(r"^-r \.\./(?P<name>[^/\s]+)/requirements\.in", re.MULTILINE)
PACKAGES = "packages.txt"
#: What of its packages an image does without; the verification sees that the rest is there.
LEFT_OUT_OF_PACKAGES = "left-out.txt"
#: Of these an image gets the lines of all images that it begins from.
JOINED = (PACKAGES, LEFT_OUT_OF_PACKAGES, LAYERS)


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
    `jupyter/`, `locks/` (its own, and that of uv), `layers/` (the same for each lower layer
    of its environment, where it has some) and `wheels/`.

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
    for source in sources:
        shutil.copytree(source, folder / "image", ignore=leave_out, dirs_exist_ok=True)
    for name in JOINED:
        if text := _join(sources, name):
            (folder / "image" / name).write_text(text, encoding="utf-8")
    (folder / "locks").mkdir()
    if (folder / "image" / "requirements.txt").exists():
        _fill_locks(root, folder)
    # What an image lays over the system; the Dockerfile copies it, so there has to be one.
    (folder / "image" / "root").mkdir(exist_ok=True)
    # No checks: a change of theirs would make every step anew.
    scripts = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(root / "images" / "_inside", folder / "inside", ignore=scripts)
    shutil.copytree(root / "images" / "jupyter", folder / "jupyter")
    (folder / "wheels").mkdir()
    for wheel in wheels:
        shutil.copy(wheel, folder / "wheels")


def _join(sources: Sequence[Path], name: str) -> str:
    """Join the files of one name that several images have."""
    found = (source / name for source in sources)
    return "".join(path.read_text(encoding="utf-8") for path in found if path.exists())


def _fill_locks(root: Path, folder: Path) -> None:
    """Move what an environment is made from to where its steps see it; add those of its layers."""
    locks = folder / "locks"
    for name in ("requirements.txt", LEFT_OUT_OF_PACKAGES):
        if (folder / "image" / name).exists():
            (folder / "image" / name).rename(locks / name)
    shutil.copy(root / "requirements-uv.txt", locks)
    path = folder / "image" / LAYERS
    if path.exists():
        lock = (locks / "requirements.txt").read_text(encoding="utf-8")
        parts = split_lock(lock, read_layers(path.read_text(encoding="utf-8")))
        path.unlink()
        for number, part in enumerate(parts, start=1):
            shutil.copytree(locks, folder / "layers" / str(number))
            (folder / "layers" / str(number) / "requirements.txt").write_text(
                part, encoding="utf-8"
            )
        dockerfile = folder / "Dockerfile"
        text = add_steps(dockerfile.read_text(encoding="utf-8"), len(parts))
        dockerfile.write_text(text, encoding="utf-8")


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
    if left_out := _join(list_sources(root, image), LEFT_OUT_OF_PACKAGES):
        (folder / LEFT_OUT_OF_PACKAGES).write_text(left_out, encoding="utf-8")
    inside = folder / "images" / "_inside"
    inside.mkdir(parents=True)
    for name in ("checks.py", "inventory.py", "session_checks.py"):
        shutil.copy(root / "images" / "_inside" / name, inside)


def hash_context(folder: Path) -> str:
    """Hash all that a build gets from us."""
    return hash_inputs(hash_tree(folder, ("**/*",)))
