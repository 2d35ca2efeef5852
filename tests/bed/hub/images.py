"""The images of the platform's pods on the bed's nodes, the proxy's too.

Ours are built as everywhere (`tests/images/building.py`); the proxy's is made here of what
`make setup` fetched from npm. Used by :mod:`tests.bed.hub.stand_in`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from images._tool.build import name_image
from images._tool.builds import Builds
from images._tool.tools import find_places
from tests.bed import nodes
from tests.bed.bed import ROOT, Bed
from tests.images.building import Workshop, get_archive

PROXY = "localhost/notebook-hpc/proxy:stand-in"
DOCKERFILE = Path(__file__).parent / "proxy" / "Dockerfile"
#: Which image each node's pods need; `proxy` is no folder of `images/`.
WANTED = {
    nodes.SESSIONS: ("proxy", "folders", "hub", "jobs-service", "notebook"),
    nodes.JOBS: ("folders", "notebook"),
}


def name_of(image: str) -> str:
    """What an image is called in a pod."""
    return PROXY if image == "proxy" else name_image(ROOT, image)


def load_all(bed: Bed, say: Callable[[str], None]) -> None:
    """Build what is not built yet, and put each image where its pods are."""
    archives = []
    for image in dict.fromkeys(image for images in WANTED.values() for image in images):
        archives.append(get_proxy_archive() if image == "proxy" else get_archive(image))
        for node, images in WANTED.items():
            if image in images:
                nodes.load_kept_image(bed, node, archives[-1], say)
    nodes.keep_images(bed, archives)


def name_all_by_digest(bed: Bed) -> dict[str, str]:
    """The digest of each of our images that were loaded, by which they are found from here on."""
    digests: dict[str, str] = {}
    for node, images in WANTED.items():
        for image in images:
            digest = nodes.name_by_digest(bed, node, name_of(image))
            # What every node has under one digest is the same.
            assert digests.setdefault(image, digest) == digest, image
    return digests


def get_proxy_archive() -> Path:
    """The proxy's image, built once for each of its lock's states."""
    workshop = Workshop(find_places(os.environ))
    builds = Builds(find_places(os.environ))

    def make(folder: Path) -> Path:
        shutil.copy(DOCKERFILE, folder)
        shutil.copy(builds.node / "node", folder)
        shutil.copytree(builds.proxy, folder / "proxy", symlinks=True)
        # The cache's folder is its owner's alone.
        (folder / "proxy").chmod(0o755)
        return workshop.build_folder(folder, PROXY)

    return workshop.get("proxy", (DOCKERFILE, builds.proxy / "yarn.lock", str(builds.node)), make)
