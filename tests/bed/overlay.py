"""The bed's own values, laid over those of production: catalogue, node class, and the difference.

All that distinguishes a bed from a deployment is in ``values.yaml``; a test holds the difference
against the list of what may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from cluster.driver.node_pools import NodeClass
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.catalogue_file import parse_catalogue

HERE = Path(__file__).parent
VALUES = HERE / "values.yaml"
CATALOGUE = HERE.parents[1] / "helm-values" / "catalogue.yaml"


def load_catalogue(*, real: bool) -> Catalogue:
    """The shipped catalogue with the bed's values laid over it.

    Args:
        real: whether the bed has real nodes, for which classes are small.

    Raises:
        CatalogueError: the two together break a rule of catalogues.
        ValueError: the values change an entry that the catalogue does not have.
    """
    return parse_catalogue(load_values(real=real), str(VALUES))


def load_values(*, real: bool) -> dict[str, Any]:
    """What :func:`load_catalogue` parses, as a chart gets it."""
    return _lay_all_over(_read(CATALOGUE), real=real)


def get_node_class() -> NodeClass:
    """The node class that a bed's node pools name."""
    fields = _read(VALUES)["node_class"]
    return NodeClass(fields["group"], fields["kind"], fields["name"])


def build_node_class() -> dict[str, Any]:
    """The node class itself.

    Source: sigs.k8s.io/karpenter v1.14.1, kwok/apis/crds/karpenter.kwok.sh_kwoknodeclasses.yaml
    """
    fields = _read(VALUES)["node_class"]
    return {
        "apiVersion": f"{fields['group']}/{fields['version']}",
        "kind": fields["kind"],
        "metadata": {"name": fields["name"]},
        "spec": {"nodeRegistrationDelay": fields["registration_delay"]},
    }


def describe_difference(*, real: bool) -> list[str]:
    """What a bed changes: a line for each value, as in ``custom.catalogue.registry: '' → 'x'``."""
    shipped = _read(CATALOGUE)
    ours = _lay_all_over(shipped, real=real) | {"node_class": _read(VALUES)["node_class"]}
    return [f"{place}: {old!r} → {new!r}" for place, old, new in _find_differences(shipped, ours)]


def lay_over(below: Any, above: Any, place: str = "") -> Any:
    """`below` with what `above` says; neither is changed.

    Mappings are merged, lists of mappings with a ``slug`` by their slugs, all else is replaced.

    Raises:
        ValueError: `above` has a slug that `below` has not.
    """
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        merged = dict(below)
        for key, value in above.items():
            inside = f"{place}.{key}" if place else key
            merged[key] = lay_over(below[key], value, inside) if key in below else value
        return merged
    if _has_slugs(below) and _has_slugs(above):
        changes = _by_slug(above)
        if unknown := changes.keys() - _by_slug(below).keys():
            raise ValueError(f"{place}: nothing to change has the slug {', '.join(unknown)}")
        return [
            lay_over(entry, changes.get(entry["slug"], {}), f"{place}.{entry['slug']}")
            for entry in below
        ]
    return above


def _lay_all_over(values: dict[str, Any], *, real: bool) -> dict[str, Any]:
    overlay = _read(VALUES)
    for section in ("all", "real") if real else ("all",):
        values = lay_over(values, overlay[section])
    return values


def _find_differences(one: Any, other: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Places at which two values differ, with both; None stands for what is not there."""
    if _has_slugs(one) and _has_slugs(other):
        one, other = _by_slug(one), _by_slug(other)
    if one is None and isinstance(other, Mapping):
        one = {}
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        if one != other:
            yield place, one, other
        return
    for key in dict.fromkeys((*one, *other)):
        inside = f"{place}.{key}" if place else key
        yield from _find_differences(one.get(key), other.get(key), inside)


def _has_slugs(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, Mapping) and "slug" in each for each in value)
    )


def _by_slug(entries: list[Any]) -> dict[str, Any]:
    return {entry["slug"]: entry for entry in entries}


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values
