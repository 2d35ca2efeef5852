"""Builds the container images and verifies each: `make images [IMAGE=NAME]`.

Place in the path: `python -m images._tool.build [IMAGE...]`, called by the Makefile after
`make setup`, and by tests of images. An image is built from a folder that holds only what it needs,
by the first builder whose engine answers, and then its `verify.py` runs in it. A user's image gets
the repository and tag of its entry in the catalogue; the platform's own get the project's version.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.errors import CatalogueError
from images._tool.builds import Builds
from images._tool.context import fill_context, fill_verification, list_images, read_packages
from images._tool.engines import Build, Engine, find_engine
from images._tool.environment import IMAGES_OF_THE_PLATFORM
from images._tool.registry_access import write_secrets
from images._tool.sbom import build_sbom
from images._tool.stamps import hash_inputs, hash_tree
from images._tool.steps import StepFailed, log
from images._tool.tools import Places, find_places

PREFIX = "notebook-hpc"
VERIFY = "verify.py"
INVENTORY = "images/_inside/inventory.py"
# How the builders begin the line of a Dockerfile's instruction.
STEP = re.compile(r"(\[\d+/\d+\] )?STEP |#\d+ \[")
SHOWN_LETTERS = 100


@dataclass(frozen=True)
class Order:
    """What to build, and how.

    Attributes:
        images: names of folders of `images/`.
        base: image to build upon; empty for the one that the Dockerfile names.
        engine: the builder to take; empty for the first that answers.
        archives: folder to save the images into, as NAME.tar; None for nowhere.
        loud: show all that the builder prints.
    """

    images: tuple[str, ...]
    base: str = ""
    engine: str = ""
    archives: Path | None = None
    loud: bool = False


def name_image(root: Path, image: str) -> str:
    """Name an image, with its tag: as the catalogue does, or by the project's version.

    Without a registry it is one of this machine (`localhost/`).
    """
    catalogue = load_catalogue(root / "helm-values" / "catalogue.yaml")
    if image in catalogue.images:
        entry = catalogue.images[image]
        name = f"{entry.repository}:{entry.tag}"
    else:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        name = f"{PREFIX}/{image}:{project['project']['version']}"
    first = name.split("/", 1)[0]
    return name if "." in first or ":" in first or first == "localhost" else f"localhost/{name}"


def make_wheels(places: Places, image: str, folder: Path) -> list[Path]:
    """Make the wheels that an image installs: `offline_jobs`' is there, the others anew.

    The platform's own images get `hub_config`; those that people work in, what they bring.

    Args:
        places: of the checkout.
        image: its name.
        folder: for what is made anew; of this caller alone.

    Raises:
        StepFailed: `make setup` did not run.
    """
    builds = Builds(places)
    jobs = _find_wheel(builds)
    if image not in IMAGES_OF_THE_PLATFORM:
        return [jobs, *builds.build_own_wheels(image, folder)]
    builds.build_wheel(places.root, folder, "standard")
    return [jobs, *folder.glob("*.whl")]


def hash_wheels(places: Places, image: str) -> str:
    """Hash what `make_wheels` would make an image's wheels of, without making any.

    Raises:
        StepFailed: `make setup` did not run.
    """
    builds = Builds(places)
    is_ours = image in IMAGES_OF_THE_PLATFORM
    own = builds.compute_platform_key() if is_ours else builds.compute_own_key(image)
    return hash_inputs(_find_wheel(builds), own)


def _find_wheel(builds: Builds) -> Path:
    wheel = builds.find_wheel()
    if wheel is None:
        raise StepFailed("the wheel of offline_jobs is not built yet: run `make setup`")
    return wheel


def build_image(engine: Engine, root: Path, image: str, wheels: list[Path], order: Order) -> str:
    """Build one image and verify it; return its name.

    Raises:
        StepFailed: it cannot be built, or its verification found something.
    """
    reference = name_image(root, image)
    with ExitStack() as stack:
        context, secrets, verification = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="notebook-hpc-")))
            for _ in range(3)
        )
        fill_context(root, image, wheels, context)
        fill_verification(root, image, verification)
        verification.chmod(0o755)  # the image's user reads it
        arguments = build_arguments(context, order.base)
        labels = build_labels(root, image, reference, order.base)
        build = Build(reference, context, arguments, labels, write_secrets(secrets, os.environ))
        engine.build(build, log.info if order.loud else show_progress)
        log.info("  %-28s %s", "built", reference)
        for line in engine.verify(reference, verification, VERIFY).splitlines():
            log.info("  %-28s %s", "verified", line)
        inventory = json.loads(engine.verify(reference, verification, INVENTORY))
    bill = build_sbom(image, reference.rpartition(":")[2], inventory)
    path = (order.archives or root / "build" / "images") / f"{image}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(bill, encoding="utf-8")
    log.info("  %-28s %s", "materials", path)
    if order.archives is not None:
        engine.save(reference, order.archives / f"{image}.tar")
    return reference


def build_arguments(context: Path, base: str) -> dict[str, str]:
    """Build the values of a Dockerfile's `ARG` lines.

    They stand for what its steps mount: buildah keeps a step although a file that it mounts has
    changed.

    Args:
        context: as `fill_context` filled it.
        base: image to build upon; empty for the one that the Dockerfile names.
    """
    arguments = {"INSIDE": hash_tree(context / "inside", ("*",))}
    if packages := read_packages(context):
        arguments["PACKAGES"] = " ".join(packages)
    if any((context / "locks").iterdir()):
        arguments["LOCKS"] = hash_tree(context / "locks", ("*",))
    for layer in (context / "layers").glob("*"):
        arguments[f"LAYER_{layer.name}"] = hash_tree(layer, ("*",))
    if base:
        arguments["BASE"] = base
    return arguments


def build_labels(root: Path, image: str, reference: str, base: str) -> dict[str, str]:
    """Build the labels of an image: what it is, in which version, of what.

    They tell nothing that differs between two builds of the same content, a commit or a time: a
    registry that lets nobody change a tag would take the second for another image.

    Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md
    """
    entry = load_catalogue(root / "helm-values" / "catalogue.yaml").images.get(image)
    labels = {
        "title": image,
        "version": reference.rpartition(":")[2],
        "licenses": "Apache-2.0",
        "description": entry.description if entry else read_summary(root / "images" / image),
    }
    if base:
        labels["base.name"] = base
    return {f"org.opencontainers.image.{key}": value for key, value in labels.items()}


def read_summary(folder: Path) -> str:
    """Read the first sentence of an image's README; empty where there is none."""
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    paragraphs = [each for each in text.split("\n\n") if each and not each.startswith("#")]
    first = " ".join(paragraphs[0].split()) if paragraphs else ""
    return first.partition(". ")[0].removesuffix(".") + "." if first else ""


def show_progress(line: str) -> None:
    """Show which of a Dockerfile's instructions is worked on."""
    if STEP.match(line):
        log.info("  %s", re.sub(r"\s+", " ", line)[:SHOWN_LETTERS])


def build_images(order: Order, places: Places) -> list[str]:
    """Build all images of an order; return their names."""
    engine = find_engine(order.engine)
    references = []
    with tempfile.TemporaryDirectory(prefix="notebook-hpc-") as folder:
        for image in order.images or list_images(places.root):
            log.info("Building image %s with %s ...", image, engine.name)
            started = time.monotonic()
            wheels = make_wheels(places, image, Path(folder) / image)
            references.append(build_image(engine, places.root, image, wheels, order))
            log.info("  %-28s %5.1f s", image, time.monotonic() - started)
    return references


def parse_order(arguments: Sequence[str]) -> Order:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="make images")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all, if none is named")
    parser.add_argument("--base", default="", help="image to build upon")
    parser.add_argument("--engine", default="", help="docker, podman or buildah")
    parser.add_argument("--archives", type=Path, help="folder to save the images into")
    parser.add_argument("--loud", action="store_true", help="show all that the builder prints")
    options = parser.parse_args(arguments)
    return Order(
        tuple(options.images), options.base, options.engine, options.archives, options.loud
    )


def main(arguments: Sequence[str]) -> int:
    """Build what is wanted and say so; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        build_images(parse_order(arguments), find_places(os.environ))
    except (StepFailed, CatalogueError) as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
