"""Images of Volcano's three programs for real nodes, made of the bed's own programs.

Stand-ins for those that Volcano's chart names, which no registry here has. Two of them are a
program and nothing else; the webhook server's has what the chart's hook runs before it. Used by
:mod:`tests.bed.installation`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from images._tool.tools import find_places
from tests.bed import archive, pins
from tests.bed.programs import Programs
from tests.images.building import Workshop

REGISTRY = "localhost"
DOCKERFILE = Path(__file__).parent / "volcano" / "Dockerfile"
_WEBHOOK = "vc-webhook-manager"
NAMES = ("vc-scheduler", "vc-controller-manager", _WEBHOOK)


def get_archives(programs: Programs, version: str) -> list[Path]:
    """An archive for each of :data:`NAMES`, built once for each state of the programs.

    Args:
        programs: of a bed.
        version: the tag, such as ``v1.15.1``.
    """
    workshop = Workshop(find_places(os.environ))
    archives = []
    for name in NAMES:

        def make(folder: Path, name: str = name) -> Path:
            image = f"{REGISTRY}/volcanosh/{name}:{version}"
            if name == _WEBHOOK:
                return _build_webhook(workshop, programs, image, folder)
            target, files = folder / "image.tar", {name: programs.path(name)}
            archive.write_image(target, image, files, entrypoint=[f"/{name}"], user="1000:1000")
            return target

        parts = (str(programs.path(name).resolve()), DOCKERFILE, version)
        archives.append(workshop.get(name, parts, make))
    return archives


def _build_webhook(workshop: Workshop, programs: Programs, image: str, folder: Path) -> Path:
    shutil.copy(DOCKERFILE, folder)
    shutil.copy(programs.path("kubectl"), folder)
    shutil.copy(programs.path(_WEBHOOK), folder)
    script = Path(shutil.copy(programs.data / pins.SECRET_SCRIPT, folder))
    script.chmod(0o755)
    return workshop.build_folder(folder, image)
