"""Writes values into a YAML text that a person keeps: all else stays as it is, to the byte.

Comments, order, quotes and line ends are the person's. `make push` writes here what it pushed, into
the catalogue and the settings, and `make new-image` an entry of the catalogue. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from hub_config.platform.errors import ConfigurationError

#: A place in a text: keys from the top; in a list an item goes by its `slug`.
Path = Sequence[str]
_LINE_END = re.compile(r"\r?\n|\Z")


def rewrite(text: str, path: Path, values: Mapping[str, str]) -> str:
    """The text with other values in one of its mappings; a key that is not there is added.

    Args:
        text: YAML.
        path: of the mapping; its end may be missing.
        values: key -> text to have there.

    Raises:
        ConfigurationError: the text is no YAML, has no such list item, or shares the value with
            another place (by an alias), so that both would change.
    """
    for key, value in values.items():
        changed = _rewrite(text, (*path, key), value)
        wanted = _load(text)
        _set(wanted, (*path, key), value)
        if not _says(changed, wanted):
            place = ".".join((*path, key))
            raise ConfigurationError(f"{place} cannot be changed alone: write {value} there")
        text = changed
    return text


def add_item(text: str, path: Path, after: str, lines: Sequence[str]) -> str:
    """The text with one more item in one of its lists, apart by an empty line.

    Args:
        text: YAML.
        path: keys to the list, whose items stand below each other.
        after: slug of the item that it comes after; where none has it, after the first.
        lines: of the item, a mapping, without indent.

    Raises:
        ConfigurationError: the text is no YAML, or has no such list there.
    """
    node: yaml.Node | None = _compose(text)
    for step in path:
        node = _find(node, step) if node else None
    place = ".".join(path)
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not node.value:
        raise ConfigurationError(f"{place} is no list of items below each other")
    own = _find(node, after)
    number = node.value.index(own) if own else 0
    indent = " " * node.start_mark.column
    # The rest of the item's last line, and comments below it that are indented as it is.
    rest = re.compile(rf"[^\r\n]*(?:\r?\n{indent} +[^\s][^\r\n]*)*")
    found = rest.match(text, _find_end(node.value[number]))
    start = found.end() if found else len(text)
    line_end = "\r\n" if text.startswith("\r\n", start) else "\n"
    entry = [indent + ("  " if count else "- ") + line for count, line in enumerate(lines)]
    changed = line_end.join((text[:start], "", *entry)) + text[start:]
    wanted = _load(text)
    items = wanted
    for step in path:
        items = items[step]
    items.insert(number + 1, yaml.safe_load("\n".join(lines)))
    if not _says(changed, wanted):
        raise ConfigurationError(f"{place} cannot be added to")
    return changed


def _find_end(node: yaml.Node) -> int:
    """Where the last words of a node end; its own mark is behind comments that follow."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node.end_mark.index


def _says(text: str, wanted: object) -> bool:
    try:
        return bool(_load(text) == wanted)
    except ConfigurationError:
        return False


def _load(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not valid YAML: {error}") from error


def _rewrite(text: str, path: Path, value: str) -> str:
    node = _compose(text)
    for depth, step in enumerate(path):
        found = _find(node, step)
        if found is None:
            return _add(text, node, path[depth:], value)
        node = found
    start, end = node.start_mark.index, node.end_mark.index
    quote = "'" if isinstance(node, yaml.ScalarNode) and node.style == "'" else '"'
    return f"{text[:start]}{' ' if start == end else ''}{quote}{value}{quote}{text[end:]}"


def _compose(text: str) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not valid YAML: {error}") from error
    if node is None:
        raise ConfigurationError("the file is empty")
    return node


def _find(node: yaml.Node, step: str) -> yaml.Node | None:
    """What is at a key of a mapping, or which item of a list has that slug."""
    if isinstance(node, yaml.MappingNode):
        pairs: list[tuple[yaml.Node, yaml.Node]] = node.value
        for key, value in pairs:
            if key.value == step:
                return value
    if isinstance(node, yaml.SequenceNode):
        items: list[yaml.Node] = node.value
        for item in items:
            slug = _find(item, "slug") if isinstance(item, yaml.MappingNode) else None
            if slug is not None and slug.value == step:
                return item
    return None


def _add(text: str, node: yaml.Node, path: Path, value: str) -> str:
    """Add a key to a mapping; what is missing below it comes as one line."""
    key, *below = path
    said = f'"{value}"'
    for step in reversed(below):
        said = f"{{{step}: {said}}}"
    line = f"{key}: {said}"
    start, end = node.start_mark.index, node.end_mark.index
    if node.tag == "tag:yaml.org,2002:null":
        return f"{text[:start]}{' ' if start == end else ''}{{{line}}}{text[end:]}"
    if not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(f"there is nothing called {key}")
    if node.flow_style:
        # Behind the last value, before what closes the mapping.
        place = node.value[-1][1].end_mark.index if node.value else end - 1
        return f"{text[:place]}{', ' if node.value else ''}{line}{text[place:]}"
    indent = " " * node.start_mark.column
    scalars = [each for _, each in node.value if isinstance(each, yaml.ScalarNode)]
    if not scalars:
        return f"{text[:start]}{line}\n{indent}{text[start:]}"
    ending = _LINE_END.search(text, scalars[-1].end_mark.index)
    place = ending.start() if ending else len(text)
    return f"{text[:place]}{(ending and ending[0]) or chr(10)}{indent}{line}{text[place:]}"


def _set(tree: Any, path: Path, value: str) -> None:
    """Set a value in the tree that the text stands for."""
    *parents, last = path
    for step in parents:
        if isinstance(tree, list):
            tree = next(item for item in tree if item["slug"] == step)
        else:
            if tree.get(step) is None:
                tree[step] = {}
            tree = tree[step]
    tree[last] = value
