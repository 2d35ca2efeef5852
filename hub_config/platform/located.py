"""YAML with places: every value knows its line, so that a mistake can be shown where it is.

Reads text (or a mapping that somebody else parsed; then lines are 0) into :class:`Located` trees.
Duplicate keys, unknown tags and broken YAML become mistakes, never a traceback. Used by
:mod:`hub_config.platform.catalogue_file` and, with :mod:`~hub_config.platform.entry`, for settings.
Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from hub_config.platform.errors import Mistake

_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


@dataclass(frozen=True)
class Located:
    """A value and its line (from 1; 0 when unknown).

    ``value`` is a scalar, a ``dict`` of text to :class:`Located` or a ``list`` of
    :class:`Located`.
    """

    value: object
    line: int = 0


@dataclass
class _Reader:
    loader: yaml.SafeLoader
    mistakes: list[Mistake] = field(default_factory=list)
    known: dict[yaml.Node, Located] = field(default_factory=dict)

    def read(self, node: yaml.Node, place: str, parents: tuple[yaml.Node, ...] = ()) -> Located:
        # What aliases point to is read once, so that nested aliases cannot multiply.
        if node not in self.known:
            self.known[node] = self._read(node, place, parents)
        return self.known[node]

    def _read(self, node: yaml.Node, place: str, parents: tuple[yaml.Node, ...]) -> Located:
        line = node.start_mark.line + 1
        if any(node is parent for parent in parents):
            self.mistakes.append(Mistake(place, "an alias refers to what it is part of", line))
            return Located(None, line)
        inside = (*parents, node)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _TAGS:
            self.mistakes.append(Mistake(place, f"the tag {node.tag} is not allowed here", line))
        if isinstance(node, yaml.MappingNode):
            return Located(self.read_mapping(node, place, inside), line)
        if isinstance(node, yaml.SequenceNode):
            items = [
                self.read(item, f"{place}[{number}]", inside)
                for number, item in enumerate(node.value)
            ]
            return Located(items, line)
        try:
            return Located(self.loader.construct_object(node), line)
        except (yaml.YAMLError, ValueError):
            self.mistakes.append(
                Mistake(place, f"cannot read {node.value!r}; put it in quotes", line)
            )
            return Located(None, line)

    def read_mapping(
        self, node: yaml.MappingNode, place: str, inside: tuple[yaml.Node, ...]
    ) -> dict[str, Located]:
        found: dict[str, Located] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.mistakes.append(Mistake(place, "a key must be a word", line))
                continue
            key = str(key_node.value)
            key_place = f"{place}.{key}" if place else key
            if key in found:
                first = found[key].line
                self.mistakes.append(
                    Mistake(key_place, f"written twice (first in line {first}); keep one", line)
                )
                continue
            value = self.read(value_node, key_place, inside)
            # The key's line is where an administrator looks, also for a block value below it.
            found[key] = Located(value.value, line)
        return found


def read_text(text: str) -> tuple[Located, list[Mistake]]:
    """The tree of a YAML text and the mistakes met on the way.

    An unreadable text gives ``None`` as value and one mistake.
    """
    try:
        loader = yaml.SafeLoader(text)
    except yaml.YAMLError as e:
        return Located(None), [_mistake_of(e)]
    try:
        node = loader.get_single_node()
        if node is None:
            return Located(None, 1), []
        reader = _Reader(loader)
        return reader.read(node, ""), reader.mistakes
    except yaml.YAMLError as e:
        return Located(None), [_mistake_of(e)]
    except RecursionError:
        return Located(None), [Mistake("(file)", "nested too deeply to be a catalogue")]
    finally:
        loader.dispose()


def wrap(value: object) -> Located:
    """A tree of a parsed mapping; lines are unknown."""
    if isinstance(value, Mapping):
        return Located({str(key): wrap(item) for key, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return Located([wrap(item) for item in value])
    return Located(value)


def unwrap(tree: Located) -> Any:
    """What :func:`wrap` was given."""
    if isinstance(tree.value, dict):
        return {key: unwrap(item) for key, item in tree.value.items()}
    if isinstance(tree.value, list):
        return [unwrap(item) for item in tree.value]
    return tree.value


def _mistake_of(error: yaml.YAMLError) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    line = mark.line + 1 if mark is not None else 0
    return Mistake("(file)", f"not valid YAML: {problem}", line)
