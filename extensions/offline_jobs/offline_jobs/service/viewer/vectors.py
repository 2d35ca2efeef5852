"""Pictures of lines, SVG: what one is as an image, where no script of it runs and nothing loads.

An image of the job's page may also be saved, and a file that somebody opens runs what is in it. So
a figure is only what has nothing to run; and what draws itself again and again, until a browser
stands still, is none. Pure; of the viewer ``figures.py`` and ``page.py`` import it.

Source: https://www.w3.org/TR/SVG2/ and https://www.w3.org/TR/css-values-3/#absolute-lengths
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

#: What a notebook calls an output that is one.
VECTORS = "image/svg+xml"
SVG = "http://www.w3.org/2000/svg"
#: As large as one of points may be (``figures.py``), which is counted in letters of base64.
MOST_BYTES = 6 * 1024**2
#: Elements that a browser draws, those that others use anew each time.
MOST_DRAWN = 500_000
#: Of the longer side; whatever it is drawn at, it stays sharp.
MOST_SIDE = 4096
USUAL_SIDES = (300.0, 150.0)

_BARE = re.compile(r"<svg\b(?![^>]*\sxmlns\s*=)")
_LENGTH = re.compile(r"\s*(\d{1,6}(?:\.\d*)?|\.\d+)(px|pt|pc|in|cm|mm|q|em|ex)?\s*", re.IGNORECASE)
_POINTS = {"": 1, "px": 1, "pt": 96 / 72, "pc": 16, "in": 96, "cm": 96 / 2.54, "mm": 96 / 25.4}
_POINTS |= {"q": 96 / 101.6, "em": 16, "ex": 8}
_USED = re.compile(r"url\(\s*[\"']?#([^)\"']+)")
_BLANKS = re.compile(r"[\s\x00-\x1f]+")
#: Elements of any namespace that run something or bring in other documents.
_ALIVE = frozenset(("script", "foreignobject", "handler", "listener", "iframe", "embed", "object"))
_XHTML = "http://www.w3.org/1999/xhtml"


class UnfitPicture(ValueError):
    """What is no picture that can be shown; says why."""


@dataclass(frozen=True)
class Vectors:
    """A sound picture: ``content`` is a document of its own, the sides are in points."""

    content: bytes
    width: int
    height: int


@dataclass
class _Group:
    """An element that has a name, or all: what is drawn where it is used."""

    own: int = 0
    within: list["_Group"] = field(default_factory=list)
    uses: list[str] = field(default_factory=list)
    drawn: int | None = None
    is_open: bool = False


def complete(text: str) -> str:
    """Name the language, which markup within a page need not do and an image must."""
    return _BARE.sub(f'<svg xmlns="{SVG}"', text, count=1)


def read_svg(text: str) -> Vectors:
    """Read a picture, which is complete then.

    Raises:
        UnfitPicture: it is none, or one that could run something.
    """
    content = complete(text).encode("utf-8", "replace")
    reader = _Reader()
    try:
        reader.parser.Parse(content, True)
        drawn = _count_drawn(reader.all, reader.groups)
    except (expat.ExpatError, RecursionError) as e:
        raise UnfitPicture("It is damaged.") from e
    if drawn > MOST_DRAWN:
        raise UnfitPicture("It draws too much.")
    return Vectors(content, *_measure(reader.root))


class _Reader:
    """Goes through a document once; ends it at what is not to be there."""

    def __init__(self) -> None:
        self.root: Mapping[str, str] = {}
        self.all = _Group()
        self.groups: dict[str, _Group] = {}
        self._open: list[_Group] = []
        self._depth = 0
        # What is written is a text by now, whatever it says of its encoding.
        self.parser = expat.ParserCreate("utf-8", " ")
        self.parser.StartElementHandler = self._begin
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._refuse
        self.parser.ProcessingInstructionHandler = self._refuse
        self.parser.buffer_text = True

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        space, _, tag = name.rpartition(" ")
        if not self._depth:
            if (space, tag) != (SVG, "svg"):
                raise UnfitPicture("It is no SVG.")
            self.root = attributes
            self._open.append(self.all)
        self._depth += 1
        if space == _XHTML or tag.lower() in _ALIVE:
            raise UnfitPicture("It holds what could run.")
        identity = attributes.get("id")
        group = self._open[-1]
        if identity is not None:
            group = _Group()
            self._open[-1].within.append(group)
            self.groups.setdefault(identity, group)
        self._open.append(group)
        group.own += 1
        for key, value in attributes.items():
            self._take(group, key.rpartition(" ")[2].lower(), value)

    @staticmethod
    def _take(group: _Group, key: str, value: str) -> None:
        if key.startswith("on") or "javascript:" in _BLANKS.sub("", value).lower():
            raise UnfitPicture("It holds what could run.")
        if key == "href" and value.startswith("#"):
            group.uses.append(value[1:])
        elif "url(" in value:
            group.uses += _USED.findall(value)

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._open.pop()

    def _refuse(self, *said: object) -> None:
        raise UnfitPicture("It holds what could run.")


def _count_drawn(group: _Group, groups: Mapping[str, _Group]) -> int:
    """How many elements are drawn; what uses itself is not drawn by a browser."""
    if group.drawn is None:
        if group.is_open:
            return 0
        group.is_open = True
        used = (groups[name] for name in group.uses if name in groups)
        drawn = group.own + sum(_count_drawn(each, groups) for each in (*group.within, *used))
        group.drawn, group.is_open = min(drawn, MOST_DRAWN + 1), False
    return group.drawn


def _measure(root: Mapping[str, str]) -> tuple[int, int]:
    """Both sides, at least one point and at most :data:`MOST_SIDE`, in their proportion."""
    box = _BLANKS.sub(" ", root.get("viewBox", "").replace(",", " ")).split()
    width, height = _read_length(root.get("width")), _read_length(root.get("height"))
    wide, high = map(_read_length, (*box[2:4], None, None)[:2])
    usual_width, usual_height = (wide, high) if wide and high else USUAL_SIDES
    if width and not height:
        height = width * usual_height / usual_width
    elif height and not width:
        width = height * usual_width / usual_height
    width, height = width or usual_width, height or usual_height
    scale = min(1, MOST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _read_length(said: str | None) -> float | None:
    found = _LENGTH.fullmatch(said or "")
    return float(found[1]) * _POINTS[(found[2] or "").lower()] if found else None
