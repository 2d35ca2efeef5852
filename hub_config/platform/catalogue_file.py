"""The catalogue's file: text or mapping → :class:`~hub_config.platform.catalogue.Catalogue`.

Every mistake is refused with file, line, key and what is allowed, all of them at once. The form of
the file is shown by ``helm-values/catalogue.yaml``. Hub, jobs service and deployment load it here;
:mod:`hub_config.platform.catalogue_parts` reads its sections,
:mod:`hub_config.platform.catalogue_rules` judges what must agree.
"""

from collections.abc import Mapping
from pathlib import Path

from hub_config.platform.catalogue import Catalogue, FoldersImage
from hub_config.platform.catalogue_parts import (
    REPOSITORY,
    read_class,
    read_folders_image,
    read_group,
    read_image,
    read_pool,
)
from hub_config.platform.catalogue_rules import find_conflicts
from hub_config.platform.entry import Entry, Report
from hub_config.platform.errors import CatalogueError, Mistake
from hub_config.platform.located import Located, read_text, wrap


def load_catalogue(path: Path) -> Catalogue:
    """The catalogue of a file.

    Raises:
        CatalogueError: the file cannot be read, or has mistakes (all of them are named).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as e:
        reason = e.strerror or "unknown reason"
        raise CatalogueError([Mistake("(file)", f"cannot be read: {reason}")], str(path)) from e
    except UnicodeDecodeError as e:
        raise CatalogueError([Mistake("(file)", "is not UTF-8 text")], str(path)) from e
    return parse_catalogue(text, str(path))


def parse_catalogue(
    text_or_mapping: str | Mapping[str, object], source: str = "catalogue"
) -> Catalogue:
    """The catalogue of a text, or of a mapping that was parsed before.

    The catalogue lies under ``custom.catalogue``; a mapping may also be what lies there.

    Args:
        text_or_mapping: YAML, or what YAML gives.
        source: what to call it in the mistakes, a path as a rule.

    Raises:
        CatalogueError: with every mistake.
    """
    if isinstance(text_or_mapping, str):
        tree, mistakes = read_text(text_or_mapping)
        if mistakes and tree.value is None:
            raise CatalogueError(mistakes, source)
        report = Report(mistakes)
    else:
        tree, report = wrap(text_or_mapping), Report()
        if "custom" not in text_or_mapping:
            tree = Located({"custom": Located({"catalogue": tree})})
    catalogue = _read_file(tree, report)
    if report.mistakes or catalogue is None:
        raise CatalogueError(sorted(report.mistakes, key=lambda m: m.line), source)
    return catalogue


def _read_file(tree: Located, report: Report) -> Catalogue | None:
    top = Entry("", tree, report)
    custom = top.entry("custom")
    top.close()
    if custom is None:
        return None
    # Places start at the catalogue: "classes.gpu.memory" says enough.
    content = custom.entry("catalogue", place="")
    custom.close()
    return None if content is None else _read_catalogue(content, report)


def _read_catalogue(content: Entry, report: Report) -> Catalogue:
    registry = content.text(
        "registry", "", REPOSITORY, "a registry is a host, with a path if need be"
    )
    folders = content.entry("folders_image")
    images = content.entries("images", slugs=True)
    pools = content.entries("node_pools", slugs=True)
    classes = content.entries("classes", slugs=True)
    groups = content.entries("groups", slugs=True)
    content.close()
    # References are checked against every slug that is written, also where its entry has mistakes.
    group_slugs = [entry.slug for entry in groups if entry.slug]
    pool_slugs = [entry.slug for entry in pools if entry.slug]
    read_folders = read_folders_image(folders, registry) if folders else None
    read_images = [read_image(entry, registry) for entry in images]
    read_pools = {pool.slug: pool for entry in pools if (pool := read_pool(entry))}
    read_classes = [read_class(entry, group_slugs, pool_slugs, read_pools) for entry in classes]
    read_groups = [read_group(entry) for entry in groups]
    _check_one_default(images, "image")
    _check_one_default(classes, "class")
    catalogue = Catalogue(
        folders_image=read_folders or FoldersImage("", ""),
        images={image.slug: image for image in read_images if image},
        classes={item.slug: item for item in read_classes if item},
        node_pools=read_pools,
        groups={group.slug: group for group in read_groups if group},
    )
    complete = None not in (*read_images, *read_classes, *read_groups) and len(read_pools) == len(
        pools
    )
    for key, message in find_conflicts(catalogue, complete=complete):
        report.add(key, message)
    return catalogue


def _check_one_default(entries: list[Entry], word: str) -> None:
    defaults = [entry for entry in entries if entry.is_default]
    for entry in defaults[1:]:
        entry.add(
            "default",
            f"a second default {word}: {defaults[0].slug} is the default already; keep one",
        )
