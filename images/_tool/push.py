"""Pushes images to an installation's registry and writes down what was pushed: `make push`.

Place in the path: `python -m images._tool.push [IMAGE...] --settings FILE`, called by the Makefile
after `make images`. Each image is pushed by the builder that has it, read back from the registry,
and only then its tag and digest are written where `make deploy` reads them. What the registry has
already is not pushed again, so an interrupted run is taken up by the next. A tag that stands for
another image stays as it is.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.errors import CatalogueError
from images._tool.build import name_image
from images._tool.context import list_images
from images._tool.ecr import Ecr, find_ecr
from images._tool.engines import COMPRESSIONS, OCI_ENGINES, Engine, find_engine
from images._tool.logins import clear_lent, find_login, lend_login
from images._tool.offer import Offer, Target, load_offer
from images._tool.registry import Login, Manifest, Registry
from images._tool.steps import StepFailed, log
from images._tool.tools import find_places

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
NO_ROOM = "no space left on device"


@dataclass(frozen=True)
class Access:
    """A registry with what is needed to push there.

    Attributes:
        registry: for reading.
        ecr: the account's, if it is one of AWS.
        login: that was fetched for it; None where the builder has its own.
    """

    registry: Registry
    ecr: Ecr | None = None
    login: Login | None = None


@dataclass(frozen=True)
class Source:
    """An image that a builder has.

    Attributes:
        name: by which the builder has it.
        identities: ids by which it can be known in a registry, as it is here and as it is pushed.
    """

    name: str
    identities: Collection[str]

    def is_in(self, manifest: Manifest) -> bool:
        """Whether a manifest of a registry is of this image, however its layers are compressed."""
        return any(map(manifest.is_image, self.identities))


@dataclass(frozen=True)
class Wish:
    """How somebody wants images pushed; what is empty is chosen.

    Attributes:
        tag: that all get; else those that are written.
        engine: the builder.
        compression: of layers.
    """

    tag: str = ""
    engine: str = ""
    compression: str = ""


def open_registry(host: str) -> Access:
    """Find out how a registry is reached.

    Raises:
        StepFailed: there are no credentials for it, or they do not do.
    """
    clear_lent()
    ecr = find_ecr(host)
    if ecr is None:
        return Access(Registry(host, find_login(host, os.environ)))
    login = ecr.log_in()
    return Access(Registry(host, login), ecr, login)


def choose_targets(offer: Offer, images: Sequence[str], root: Path) -> list[Target]:
    """Choose what is pushed: the images that are named, or all that have a folder here.

    Raises:
        StepFailed: one is not offered, or has no folder.
    """
    ours = [name for name in offer.targets if name in list_images(root)]
    for name in images:
        if name not in offer.targets:
            raise StepFailed(
                f"the catalogue has no image {name!r}; it has {', '.join(offer.targets)}"
            )
        if name not in ours:
            raise StepFailed(f"image {name} has no folder images/{name}: it is not built here")
    if not images and (others := [name for name in offer.targets if name not in ours]):
        log.info("Not from here, so not pushed: %s", ", ".join(others))
    return [offer.targets[name] for name in images or ours]


def choose_compression(engine: Engine, wanted: str) -> str:
    """Choose how layers are compressed: as is wanted, or as serves machines best.

    Raises:
        StepFailed: nobody, or not this engine, can do that.
    """
    if wanted and wanted not in COMPRESSIONS:
        raise StepFailed(f"COMPRESSION={wanted}: one of {', '.join(COMPRESSIONS)}")
    if wanted and wanted not in engine.compressions:
        raise StepFailed(
            f"{engine.name} pushes no layers in {wanted}: ENGINE={OCI_ENGINES[-1]} does, or take"
            f" COMPRESSION={engine.compressions[0]}"
        )
    return wanted or engine.compressions[0]


def find_sources(engine: Engine, root: Path, targets: Sequence[Target]) -> dict[str, Source]:
    """The images as the engine has them, by name.

    Raises:
        StepFailed: some are not built; all of them are named.
    """
    names = {each.image: name_image(root, each.image) for each in targets}
    found = {image: engine.identify(name) for image, name in names.items()}
    if missing := [name for name, identity in found.items() if not identity]:
        raise StepFailed(
            f"{engine.name} has no image {', '.join(missing)}: make images IMAGE={missing[0]}"
        )
    return {
        image: Source(names[image], {identity, engine.identify_pushed(names[image])})
        for image, identity in found.items()
    }


def push_image(
    engine: Engine, access: Access, source: Source, target: Target, compression: str
) -> tuple[Manifest, bool]:
    """Push one image, unless it is there; return what is there then, and whether it was pushed.

    Raises:
        StepFailed: the tag stands for another image, the push failed, or what the registry then
            has is not what was pushed.
    """
    registry, place = access.registry, (target.repository, target.tag)
    there = registry.find_manifest(*place)
    if there is not None and not source.is_in(there):
        raise StepFailed(
            f"{target.reference} is there and is another image: what a tag stands for stays. Push"
            " this one under a new tag: make push"
            f" IMAGE={target.image} TAG={raise_tag(target.tag)}"
        )
    is_new = there is None
    if is_new:
        with ExitStack() as stack:
            login = access.login
            logins = stack.enter_context(lend_login(target.host, login)) if login else None
            try:
                engine.push(source.name, target.reference, compression, logins, _show)
            except StepFailed as error:
                raise StepFailed(explain_failure(str(error))) from error
        there = registry.find_manifest(*place)
    if there is None or not source.is_in(there):
        what = "does not have it" if there is None else f"has {there.digest}, another image"
        raise StepFailed(
            f"{target.reference} was pushed, and the registry {what}: nothing was written"
        )
    # As machines will ask for it.
    if registry.find_manifest(target.repository, there.digest) is None:
        raise StepFailed(f"{target.reference}: the registry does not give {there.digest}")
    return there, is_new


def note_compression(manifest: Manifest, wanted: str) -> str:
    """What to say where layers are not compressed as is wanted, as when they were there before."""
    others = [each for each in manifest.compressions if each != wanted]
    if not others:
        return ""
    count = "1 layer" if len(others) == 1 else f"{len(others)} layers"
    return f"{count} in {', '.join(sorted(set(others)))}: the registry had them so"


def raise_tag(tag: str) -> str:
    """A tag that could be the next one."""
    found = re.fullmatch(r"(.*?)([0-9]{1,9})", tag)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{tag}-2"


def explain_failure(said: str) -> str:
    """A line of what a builder said last, and what to do; the rest was shown as it came."""
    first, *_, last = said.splitlines()
    words = f"{first.rstrip(':')}: {last.removeprefix('Error: ')}"
    if NO_ROOM in said:
        return f"{words}. Make room on this machine's disk, then run it again"
    return f"{words}. Run it again: what has arrived is not sent again"


def _show(line: str) -> None:
    if line.strip():
        log.info("  %s", " ".join(line.split())[:100])


def push_images(root: Path, settings: Path, images: Sequence[str], wish: Wish) -> None:
    """Push images, one after another, and write down each as soon as it is confirmed.

    Raises:
        StepFailed: what was pushed before is written down.
        CatalogueError: the catalogue has mistakes.
    """
    if wish.tag and not TAG.fullmatch(wish.tag):
        raise StepFailed(f"{wish.tag!r} is no tag: letters, digits, _ . and -, at most 128")
    offer = load_offer(root, settings, wish.tag)
    targets = choose_targets(offer, images, root)
    for target in targets:
        target.file.check()
    engine = find_engine(wish.engine)
    compression = choose_compression(engine, wish.compression)
    sources = find_sources(engine, root, targets)
    accesses = {host: open_registry(host) for host in sorted({each.host for each in targets})}
    for target in targets:
        access, started = accesses[target.host], time.monotonic()
        if access.ecr and (news := access.ecr.have_repository(target.repository, offer.account)):
            log.info("Repository %s: %s", target.repository, news)
        log.info("Pushing image %s to %s ...", target.image, target.reference)
        source = sources[target.image]
        manifest, is_new = push_image(engine, access, source, target, compression)
        word = "pushed" if is_new else "was there"
        log.info("  %-28s %s, %.1f s", word, manifest.digest, time.monotonic() - started)
        if note := note_compression(manifest, compression):
            log.info("  %s", note)
        if target.write(manifest.digest):
            log.info("  %-28s %s", "written to", target.file.path)


def main(arguments: Sequence[str]) -> int:
    """Push what is wanted and say so; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    parser = argparse.ArgumentParser(prog="make push")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="all that are ours, if none")
    parser.add_argument("--settings", type=Path, required=True, help="of the installation")
    parser.add_argument("--tag", default="", help="that the images get")
    parser.add_argument("--engine", default="", help="docker, podman or buildah")
    parser.add_argument("--compression", default="", help="of layers, zstd or gzip")
    options = parser.parse_args(arguments)
    root = find_places(os.environ).root
    try:
        wish = Wish(options.tag, options.engine, options.compression)
        push_images(root, options.settings, options.images, wish)
    except (StepFailed, CatalogueError) as error:
        log.error("%s", error)
        return 1
    except KeyboardInterrupt:
        log.error("Ended. What was pushed whole is written down; run it again for the rest.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
