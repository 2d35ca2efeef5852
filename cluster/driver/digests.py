"""Which images an installation runs: what was pushed and mirrored, by tag and digest.

Read with the rest of the settings by :mod:`cluster.driver.settings`, in the same way: every mistake
is noted. What people choose has its digest in the catalogue; the rest stands in the settings. Pure
but for the catalogue's file and the list of what is mirrored.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from cluster.driver.versions import read_mirror_charts, read_mirror_tags
from hub_config.platform.entry import Entry, Report
from hub_config.platform.located import read_text

#: Our images that no user chooses and that the catalogue does not name.
PLATFORM_IMAGES = ("hub", "jobs-service")
_MIRRORED = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}@sha256:[0-9a-f]{64}")
_DIGEST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}@)?sha256:[0-9a-f]{64}")
_SAY_COPY = "VERSION@sha256:..., as make mirror writes it"
_SAY_DIGEST = "TAG@DIGEST, as make push writes it; a digest is sha256: and 64 hexadecimal digits"


def read_digests(entry: Entry) -> dict[str, str]:
    """What was pushed of :data:`PLATFORM_IMAGES`, by name; empty for what was not."""
    found = {each: entry.text(each, "", _DIGEST, _SAY_DIGEST) for each in PLATFORM_IMAGES}
    entry.close()
    return found


def read_mirror(entry: Entry) -> dict[str, str]:
    """What of others was copied: all that this version needs, or nothing.

    Returns:
        Tag and digest by the slug of ``helm-values/mirror.yaml``, ``TAG@sha256:...``.
    """
    tags = read_mirror_tags()
    found = {
        slug: entry.text(slug, "", _MIRRORED, "TAG@sha256:..., as make mirror writes it")
        for slug in tags
    }
    entry.close()
    if not any(found.values()):
        return {}
    lacking = [f"{each} {tag}" for each, tag in tags.items() if tag not in found[each].split("@")]
    if lacking:
        entry.report.add(entry.place, f"lacks copies of {', '.join(lacking)}: make mirror")
    return found


def read_charts(entry: Entry) -> dict[str, str]:
    """Where charts of others are, by release: a folder, a file, or VERSION@DIGEST for a copy."""
    found = {}
    for slug, version in read_mirror_charts().items():
        found[slug] = place = entry.text(slug, "")
        if "@" in place and not _MIRRORED.fullmatch(place) and "/" not in place:
            entry.add(slug, f"{place!r} is not allowed here: a path, or {_SAY_COPY}")
        elif "@sha256:" in place and place.partition("@")[0] != version:
            entry.add(slug, f"is a copy of {place.partition('@')[0]}, not {version}: make mirror")
    entry.close()
    return found


def read_content(catalogue_file: Path) -> Entry | None:
    """The catalogue as it is written, with its lines."""
    tree, mistakes = read_text(catalogue_file.read_text(encoding="utf-8"))
    custom = Entry("", tree, Report(mistakes)).entry("custom")
    return custom.entry("catalogue", place="") if custom else None


def check_pushed(top: Entry, content: Entry, file: Path, digests: Mapping[str, str]) -> None:
    """Note images that anybody could put in the place of ours.

    Args:
        top: of the settings.
        content: of the catalogue.
        file: where it is.
        digests: as :func:`read_digests`.
    """
    if not content.text("registry", ""):
        top.add(
            "catalogue",
            f"{file}:{content.report.line_of('registry')}: the registry is empty: images would be"
            " pulled from a public registry, where anybody may own their names; write yours",
        )
    entries = {each.slug: each for each in content.entries("images", slugs=True)}
    if folders := content.entry("folders_image"):
        entries["folders"] = folders
    for name, entry in entries.items():
        if not entry.text("digest", ""):
            line = content.report.line_of(entry.key("digest"))
            top.add(
                "catalogue",
                f"{file}:{line}: image {name} has no digest: make push IMAGE={name}, or take it"
                " out",
            )
    for each in PLATFORM_IMAGES:
        if not digests.get(each):
            top.add(
                f"digests.{each}",
                f"is missing: an image goes by what was pushed: make push IMAGE={each}",
            )
