"""Images of Volcano's three programs for real nodes, made of the bed's own programs.

Stand-ins for those that Volcano's chart names, which no registry here has. Two of them are a
program and nothing else; the webhook server's has what the chart's hook runs before it. Used by
:mod:`tests.bed.installation`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from images._tool.stamps import hash_inputs
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
    paths = {}
    for name in NAMES:
        parts = (str(programs.path(name).resolve()), DOCKERFILE, version, workshop.name_base())
        paths[name] = workshop.folder / f"{name}-{hash_inputs(*parts)[:16]}.tar"
    if not all(path.exists() for path in paths.values()):
        with workshop.hold():
            for name, path in paths.items():
                if not path.exists():
                    build = _build_webhook if name == _WEBHOOK else _build_plain
                    build(workshop, programs, name, f"{REGISTRY}/volcanosh/{name}:{version}", path)
    return list(paths.values())


def _build_plain(
    workshop: Workshop, programs: Programs, name: str, image: str, target: Path
) -> None:
    files = {name: programs.path(name)}
    archive.write_image(target, image, files, entrypoint=[f"/{name}"], user="1000:1000")


def _build_webhook(
    workshop: Workshop, programs: Programs, name: str, image: str, target: Path
) -> None:
    with tempfile.TemporaryDirectory(dir=workshop.folder, prefix="new-") as folder:
        shutil.copy(DOCKERFILE, folder)
        shutil.copy(programs.path("kubectl"), folder)
        shutil.copy(programs.path(name), folder)
        script = Path(shutil.copy(programs.data / pins.SECRET_SCRIPT, folder))
        script.chmod(0o755)
        workshop.build_folder(Path(folder), image).replace(target)
