"""The bill of materials of an image (CycloneDX 1.6): each package in it, by its package URL.

Place in the path: `build` writes one for each image that it built, from what `inventory.py` says
inside of it. Pure. Imported by `build`.

Source: https://github.com/package-url/purl-spec (types `pypi` and `deb`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL


class Inventory(TypedDict):
    """What is installed in an image.

    Attributes:
        python: name and version of each distribution.
        debian: name, version and architecture of each package.
    """

    python: Sequence[tuple[str, str]]
    debian: Sequence[tuple[str, str, str]]


def build_sbom(image: str, version: str, inventory: Inventory) -> str:
    """Build the bill of materials of an image, as JSON.

    Args:
        image: its name.
        version: its tag.
        inventory: of the built image.
    """
    bom = Bom()
    bom.metadata.component = Component(
        name=image, version=version, type=ComponentType.CONTAINER, bom_ref="image"
    )
    urls = [PackageURL("pypi", None, name, each) for name, each in inventory["python"]]
    urls += [
        PackageURL("deb", "debian", name, each, {"arch": architecture})
        for name, each, architecture in inventory["debian"]
    ]
    for url in urls:
        bom.components.add(
            Component(
                name=url.name,
                version=url.version,
                type=ComponentType.LIBRARY,
                purl=url,
                bom_ref=url.to_string(),
            )
        )
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"
