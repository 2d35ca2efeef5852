"""Begins an image of one's own: `make new-image NAME= [FROM=notebook] [FROM_FILE=]`.

Place in the path: `python -m images._tool.new_image NAME`, called by the Makefile with the
platform's environment. Writes `images/NAME` (requirements with their lock, Debian packages,
verification, README) and its entry in the catalogue: all of it, or nothing. What it writes builds,
verifies and works as a local environment as it is.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.catalogue import Image
from hub_config.platform.catalogue_file import load_catalogue, parse_catalogue
from hub_config.platform.catalogue_parts import SLUG, SLUG_RULE
from hub_config.platform.errors import CatalogueError, ConfigurationError
from hub_config.platform.rewriting import add_item
from images._tool.context import MODEL
from images._tool.environment import IMAGES_OF_THE_PLATFORM
from images._tool.lock import compile_lock, list_locks, read_pins
from images._tool.steps import StepFailed, log
from images._tool.tools import Places, find_places, find_uv, install_uv
from offline_jobs.environments.files import FileRefused, load_conda
from offline_jobs.environments.uv import explain, find_unknown

CATALOGUE = Path("helm-values", "catalogue.yaml")
IMAGES = ("custom", "catalogue", "images")
OLDEST_PYTHON = (3, 11)
#: Names that the set-up's words have.
TAKEN = ("platform", "setup", "lab", "hub6", "tools", "jupyter")
LINE = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<rest>[\[<>=!~;].*)?")
SHOWN_PACKAGES = 4


@dataclass(frozen=True)
class Plan:
    """What an image is to be.

    Attributes:
        name: its slug.
        base: the image that it has all of.
        requirements: what it has besides, as pip writes them.
        left_out: of a conda file, what PyPI has not.
        file: name of the file that asks for them; empty: nobody did yet.
    """

    name: str
    base: str
    requirements: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    file: str = ""


def plan_image(root: Path, name: str, base: str, file: Path | None) -> Plan:
    """Check what was asked for.

    Args:
        root: the checkout.
        name: of the new image.
        base: image to begin from.
        file: requirements.txt or a conda file with what the image is to have besides.

    Raises:
        StepFailed: with the first thing that is wrong, and what is allowed.
    """
    if not SLUG.fullmatch(name):
        raise StepFailed(f"NAME={name} cannot name an image: {SLUG_RULE}")
    images = root / "images"
    if (images / name).exists() or name in TAKEN:
        raise StepFailed(f"there is an images/{name} already: choose another NAME")
    if name in load_catalogue(root / CATALOGUE).images:
        raise StepFailed(f"the catalogue has an image {name} already: choose another NAME")
    bases = list_bases(root)
    if base not in bases:
        raise StepFailed(f"FROM={base} is no image to begin from: {', '.join(bases)}")
    if file is None:
        return Plan(name, base)
    if file.suffix in (".yml", ".yaml"):
        asked = load_conda(file)
        check_python(asked.python, file.name)
        requirements = check_lines(list(asked.requirements), file.name)
        return Plan(name, base, requirements, asked.left_out, file.name)
    return Plan(name, base, check_lines(read_lines(file), file.name), (), file.name)


def list_bases(root: Path) -> list[str]:
    """List the images that one can begin from: those that people work in."""
    found = (path.parent.name for path in root.glob("images/*/requirements.in"))
    return sorted(name for name in found if name not in IMAGES_OF_THE_PLATFORM)


def read_lines(file: Path) -> list[str]:
    """Read the requirements of a file, without comments and hashes."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise StepFailed(f"FROM_FILE={file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StepFailed(f"FROM_FILE={file} is no text") from error
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in text.replace("\\\n", " ").splitlines())
    return [re.sub(r"\s*--hash=\S+", "", line).strip() for line in lines if line.strip()]


def check_lines(lines: list[str], file: str) -> tuple[str, ...]:
    """See that requirements name packages, which alone a lock can hold by their hashes.

    Raises:
        StepFailed: naming the first that does not.
    """
    for line in lines:
        if not LINE.fullmatch(line):
            raise StepFailed(
                f"{file}: '{line}' cannot be locked: an image takes packages by name and version"
            )
    return tuple(lines)


def check_python(wanted: str, file: str) -> None:
    """See that a conda file's Python is one that images have."""
    named = re.match(r"==(\d+)\.(\d+)", wanted)
    if named and (int(named[1]), int(named[2])) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise StepFailed(
            f"{file} asks for Python {named[1]}.{named[2]}, and images have {oldest} or newer:"
            " change that line"
        )


def write_requirements(plan: Plan) -> str:
    """Write the image's list of requirements."""
    what = f", and what {plan.file} asks for" if plan.file else ""
    lines = [f"# Image `{plan.name}`: all of image `{plan.base}`{what}."]
    lines.append(f"-r ../{plan.base}/requirements.in")
    lines += plan.requirements
    if plan.left_out:
        lines.append("# Not on PyPI; what Debian has of it can go into packages.txt:")
        lines += [f"#   {name}" for name in plan.left_out]
    if not plan.file:
        lines.append("# Packages besides, one a line; then `make lock`.")
    return "".join(f"{line}\n" for line in lines)


PACKAGES = """\
# Debian packages besides those of image `{base}`, names apart by space or line, such as:
#   samtools bedtools
"""

VERIFY = '''\
"""Verifies image `{name}` from inside.

Place in the path: run by `images/_tool/build.py` in the built image. Nobody imports it.
"""

from __future__ import annotations

import sys

from images._inside.checks import run_checks
from images._inside.session_checks import import_requirements, verify_as


def check_base() -> str:
    """It is all that image `{base}` must be."""
    return verify_as("{base}")


def check_libraries() -> str:
    """What its requirements ask for can be imported."""
    return import_requirements("{name}")


if __name__ == "__main__":
    sys.exit(run_checks([check_base, check_libraries]))
'''

README = """\
# Image `{name}`

All of image [`{base}`](../{base}/README.md){what}.

| to | do |
|---|---|
| add a Python package | a line in `requirements.in`, then `make lock` |
| add a program of Debian's | its name in `packages.txt` |
| try it on this machine | `make environment IMAGE={name}`, then `make run` |
| build and verify it | `make images IMAGE={name}` |
"""


def write_files(plan: Plan, folder: Path) -> None:
    """Write all of an image's folder but the lock."""
    what = f", and what `{plan.file}` asked for" if plan.file else ""
    words = {"name": plan.name, "base": plan.base, "what": what}
    texts = {
        "requirements.in": write_requirements(plan),
        "packages.txt": PACKAGES.format(**words),
        "verify.py": VERIFY.format(**words),
        "README.md": README.format(**words),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def resolve(places: Places, plan: Plan, folder: Path) -> Plan:
    """Write files and lock into a folder; what two images have is of one version.

    Args:
        places: of the checkout.
        plan: what is asked for.
        folder: `images/NAME` of a folder in which `images` has the other images as well.

    Returns:
        The plan as it can be: without what a conda file asks for and the package index has not.

    Raises:
        StepFailed: it cannot be resolved.
    """
    pins = folder / "pins.txt"
    locks = (places.root / f"{name}.txt" for name in list_locks(places.root))
    held = {name: version for lock in locks for name, version in read_pins(lock).items()}
    pins.write_text("".join(f"{name}=={version}\n" for name, version in held.items()))
    while True:
        write_files(plan, folder)
        try:
            source, lock = folder / "requirements.in", folder / "requirements.txt"
            compile_lock(places, source, lock, "--generate-hashes", "-c", str(pins))
        except StepFailed as error:
            smaller = leave_out(plan, find_unknown(str(error)))
            if smaller is None:
                raise StepFailed(word_refusal(plan, str(error))) from error
            plan = smaller
            continue
        pins.unlink()
        return plan


def leave_out(plan: Plan, unknown: str) -> Plan | None:
    """Leave out what a conda file asks for and PyPI has not; None: it was asked for as PyPI's."""
    if not plan.file.endswith((".yml", ".yaml")):
        return None
    gone = [each for each in plan.requirements if re.split(r"[\[<>=!~; ]", each)[0] == unknown]
    if not gone:
        return None
    kept = tuple(each for each in plan.requirements if each not in gone)
    return Plan(plan.name, plan.base, kept, (*plan.left_out, *gone), plan.file)


def word_refusal(plan: Plan, said: str) -> str:
    """Say in one line why the requirements cannot be resolved."""
    where = plan.file or f"image {plan.base}"
    if "No solution found" in said and not find_unknown(said):
        where += " does not go together with what the images have now (their locks hold it)"
        return f"{where}: {explain(said)}"
    return f"{where} cannot be resolved: {explain(said)}"


def add_entry(text: str, plan: Plan, base: Image | None) -> str:
    """Add an image to the catalogue's text, after the one that it begins from.

    Args:
        text: of the catalogue; comments and order stay.
        plan: the new image.
        base: the catalogue's entry of the image that it begins from.

    Raises:
        StepFailed: the text has no list of images, one below another.
    """
    try:
        return add_item(text, IMAGES, plan.base, write_entry(plan, base))
    except ConfigurationError as error:
        raise StepFailed(f"{CATALOGUE}: {error}: add the image by hand") from error


def write_entry(plan: Plan, base: Image | None) -> list[str]:
    """Write the lines of an image's entry."""
    named = [re.split(r"[\[<>=!~; ]", each)[0] for each in plan.requirements[:SHOWN_PACKAGES]]
    more = " and more" if len(plan.requirements) > SHOWN_PACKAGES else ""
    what = f" with {', '.join(named)}{more}" if named else ""
    return [
        f"slug: {plan.name}",
        f"name: {plan.name.replace('-', ' ').capitalize()}",
        f"description: All of image {base.name if base else plan.base}{what}.",
        f"repository: notebook-hpc/{plan.name}",
        'tag: "0.1.0"',
        'digest: ""',
        f"architectures: [{', '.join(base.architectures if base else ('amd64',))}]",
        f"kernels: [{', '.join(base.kernels if base else ('python3',))}]",
        *(["needs_gpu: true"] if base and base.needs_gpu else []),
    ]


def make_image(places: Places, plan: Plan) -> Plan:
    """Write an image's folder and its entry: both or neither.

    Raises:
        StepFailed: it cannot be resolved, or the catalogue would not be whole.
    """
    root = places.root
    places.build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.build, prefix="new-image-") as scratch:
        images = Path(scratch, "images")
        folder = images / plan.name
        folder.mkdir(parents=True)
        for name in list_bases(root):
            (images / name).symlink_to(root / "images" / name)
        plan = resolve(places, plan, folder)
        catalogue = root / CATALOGUE
        known = load_catalogue(catalogue).images
        text = add_entry(catalogue.read_text(encoding="utf-8"), plan, known.get(plan.base))
        parse_catalogue(text)  # what is written is whole
        fresh = Path(scratch, catalogue.name)
        shutil.copy(catalogue, fresh)  # as it is: its mode, too
        fresh.write_text(text, encoding="utf-8")
        folder.rename(root / "images" / plan.name)
        fresh.replace(catalogue)
    return plan


def main(arguments: Sequence[str]) -> int:
    """Begin an image and say how it goes on; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    parser = argparse.ArgumentParser(prog="make new-image")
    parser.add_argument("--name", required=True)
    parser.add_argument("--base", default="")
    parser.add_argument("--file", default="")
    options = parser.parse_args(arguments)
    places = find_places(os.environ)
    try:
        file = Path(options.file) if options.file else None
        plan = plan_image(places.root, options.name, options.base or MODEL, file)
        if find_uv(places) is None:
            install_uv(places)
        log.info("Resolving the packages of image %s ...", plan.name)
        plan = make_image(places, plan)
    except (StepFailed, CatalogueError, FileRefused) as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("%s cannot be written or read: %s", error.filename, error.strerror)
        return 1
    except KeyboardInterrupt:
        return 130
    if plan.left_out:
        log.info("Not on PyPI, and so not in it: %s (see packages.txt)", ", ".join(plan.left_out))
    log.info("images/%s is there, and its entry in %s.", plan.name, CATALOGUE)
    log.info("  try it here       make environment IMAGE=%s, then make run", plan.name)
    log.info("  build, verify it  make images IMAGE=%s", plan.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
