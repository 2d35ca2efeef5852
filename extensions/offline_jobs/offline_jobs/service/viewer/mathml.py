"""MathML Core of the tree that latex2mathml makes of a formula: what browsers draw with no script.

The tree holds what a user wrote, also links and styles. So what leaves is written here word by
word: elements and attributes that are listed, values of a known shape, text that is escaped. What
is not part of MathML Core becomes something that is (letters of another alphabet), or a class of
``page.css``. Pure; of the viewer ``formulas.py`` imports it.

Source: https://www.w3.org/TR/mathml-core/
"""

import html
import re
import unicodedata
from functools import cache
from itertools import pairwise
from xml.etree.ElementTree import Element

#: What a formula may have at most; the depth is far below that at which browsers give up.
MOST_ELEMENTS, MOST_DEPTH = 10_000, 100

_ROWS = frozenset(("math", "mrow", "mstyle", "mpadded", "mphantom", "msqrt", "mtd"))
_TABLES = frozenset(("mtable", "mtr"))
_WORDS = frozenset(("mi", "mn", "mo", "mtext", "mspace"))
#: With the children that each must have.
_PARTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2}
_PARTS |= {"msubsup": 3, "munderover": 3}
_SCRIPTS = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}

_SWITCH = re.compile(r"true|false")
_LENGTH = re.compile(r"[+-]?(?:\d{1,4}|\d{0,4}\.\d{1,6})(?:em|ex|px|pt|pc|in|cm|mm|%)?")
_COLOUR = re.compile(r"#?[0-9A-Za-z]{1,30}")
_ATTRIBUTES = {
    "display": re.compile(r"block|inline"),
    "form": re.compile(r"prefix|infix|postfix"),
    "scriptlevel": re.compile(r"[+-]?\d"),
    "mathvariant": re.compile(r"normal"),
    **dict.fromkeys(("displaystyle", "stretchy", "symmetric", "largeop"), _SWITCH),
    **dict.fromkeys(("movablelimits", "accent", "accentunder"), _SWITCH),
    **dict.fromkeys(("lspace", "rspace", "minsize", "maxsize", "linethickness"), _LENGTH),
    **dict.fromkeys(("width", "height", "depth", "voffset", "mathsize"), _LENGTH),
    **dict.fromkeys(("mathcolor", "mathbackground"), _COLOUR),
}
_SPACES = {"thin": "0.167em", "medium": "0.222em", "thick": "0.278em"}
_SPACE = re.compile(r"(negative)?(?:very)*(thin|medium|thick)mathspace")
_THIN_SPACE = '<mspace width="0.167em"></mspace>'
#: Stands for a line over or under all of something; few fonts have one that grows.
_LINE = "\N{HORIZONTAL BAR}"
_NOTATIONS = ("box", "updiagonalstrike", "downdiagonalstrike", "horizontalstrike")
#: Their limits stand above and below where there is room.
_LARGE = frozenset(
    map(chr, (*range(0x220F, 0x2212), *range(0x22C0, 0x22C4), *range(0x2A00, 0x2A07)))
)
_VARIANTS = {
    "bold": "BOLD",
    "italic": "ITALIC",
    "bold-italic": "BOLD ITALIC",
    "double-struck": "DOUBLE-STRUCK",
    "script": "SCRIPT",
    "bold-script": "BOLD SCRIPT",
    "fraktur": "FRAKTUR",
    "bold-fraktur": "BOLD FRAKTUR",
    "sans-serif": "SANS-SERIF",
    "bold-sans-serif": "SANS-SERIF BOLD",
    "sans-serif-italic": "SANS-SERIF ITALIC",
    "sans-serif-bold-italic": "SANS-SERIF BOLD ITALIC",
    "monospace": "MONOSPACE",
}
_LETTER = re.compile(r"(?:LATIN |GREEK )?((?:SMALL|CAPITAL)) LETTER (\w+)|DIGIT (\w+)")


class FormulaError(ValueError):
    """A formula that cannot be drawn as it is meant; its source says more."""


def write_mathml(tree: Element) -> str:
    """Write a formula as markup of HTML, that is well-formed XML, too.

    Raises:
        FormulaError: it holds what latex2mathml does not know, or more than a formula has.
    """
    return _Writer().write(tree, 0)


class _Writer:
    """Writes one formula."""

    def __init__(self) -> None:
        self.left = MOST_ELEMENTS

    def write(self, element: Element, depth: int) -> str:
        """Write an element with all that is in it."""
        self.left -= 1
        if self.left < 0 or depth > MOST_DEPTH:
            raise FormulaError("It is too large.")
        tag, classes = _choose_tag(element)
        if classes[:1] in (["over"], ["under"]):
            element = element[0]
        if tag in _PARTS and len(element) != _PARTS[tag]:
            raise FormulaError("A part of it is missing.")
        if tag == "mtable":
            _rule_lines(element)
        if tag in _WORDS and not len(element):
            within = _write_text(element)
        else:
            # ``mathop`` has elements in an operator: a row of its own draws them.
            tag = "mrow" if tag in _WORDS else tag
            within = self._write_children(element, depth, spaced=tag in _ROWS)
        classes += _read_classes(element)
        marks = f' class="{" ".join(classes)}"' if classes else ""
        return f"<{tag}{_write_attributes(tag, element)}{marks}>{within}</{tag}>"

    def _write_children(self, element: Element, depth: int, *, spaced: bool) -> str:
        """Write children; a name such as sin stands apart from what is no operator."""
        parts: list[str] = []
        before: Element | None = None
        _grow_beside_tables(element)
        for child in element:
            if spaced and before is not None and _stand_apart(before, child):
                parts.append(_THIN_SPACE)
            parts.append(self.write(child, depth + 1))
            before = child
        return "".join(parts)


def _grow_beside_tables(row: Element) -> None:
    """Make what encloses a table as high as that; bars would not be by themselves."""
    for before, after in pairwise(row):
        for each, other in ((before, after), (after, before)):
            if each.tag == "mo" and other.tag == "mtable":
                each.set("stretchy", "true")


def _rule_lines(table: Element) -> None:
    """Say at each cell which lines are beside and below it; a table itself has none."""
    below = table.get("rowlines", "").split()
    beside = table.get("columnlines", "").split()
    for number, row in enumerate(table):
        for column, cell in enumerate(row):
            lines = ["below"] * (below[number : number + 1] == ["solid"])
            lines += ["beside"] * (beside[column : column + 1] == ["solid"])
            cell.set("lines", " ".join(lines))


def _choose_tag(element: Element) -> tuple[str, list[str]]:
    """The element of MathML Core that draws this one, and classes that it needs for that."""
    tag = element.tag
    if tag == "menclose":
        said = element.get("notation", "").split()
        return "mrow", [word for word in said if word in _NOTATIONS]
    if tag in ("mover", "munder") and len(element) > 1 and _read(element[1]) == _LINE:
        return "mrow", ["over" if tag == "mover" else "under"]
    if tag in _SCRIPTS and len(element) and _has_limits(element[0]):
        return _SCRIPTS[tag], []
    if tag == "mi" and _read(element) in _LARGE:
        return "mo", []
    if tag not in _ROWS | _TABLES | _WORDS | _PARTS.keys():
        raise FormulaError("It holds what is no part of a formula.")
    return tag, []


def _read_classes(element: Element) -> list[str]:
    """Classes for what MathML Core has no attributes for."""
    classes: list[str] = [side for side in ("left", "right") if element.get("columnalign") == side]
    classes += ["aligned"] * element.get("columnspacing", "").startswith("0em")
    return classes + element.get("lines", "").split()


def _write_attributes(tag: str, element: Element) -> str:
    said = dict(element.attrib)
    if tag == "mo" and _is_name(element):
        said |= {"lspace": "0", "rspace": "0", "movablelimits": "true"}
    if tag != "mi":
        said.pop("mathvariant", None)
    space = _SPACE.fullmatch(said.get("width", ""))
    if space:
        said["width"] = ("-" if space[1] else "") + _SPACES[space[2]]
    return "".join(
        f' {name}="{value}"'
        for name, value in said.items()
        if name in _ATTRIBUTES and _ATTRIBUTES[name].fullmatch(value)
    )


def _write_text(element: Element) -> str:
    """The letters of an element, in the alphabet that it asks for."""
    written = element.text or ""
    if written in ("&", "}") or re.match(r"\\[A-Za-z]", written):
        raise FormulaError("It holds what is not known.")
    variant = _VARIANTS.get(element.get("mathvariant", ""))
    text = _read(element)
    return html.escape("".join(_restyle(letter, variant) for letter in text) if variant else text)


def _read(element: Element) -> str:
    """The text of an element, in which latex2mathml writes letters by their numbers."""
    return html.unescape(element.text or "")


@cache
def _restyle(letter: str, variant: str) -> str:
    """A letter of the alphabet for mathematics; itself where that has none."""
    found = _LETTER.fullmatch(unicodedata.name(letter, ""))
    if not found:
        return letter
    name = f"DIGIT {found[3]}" if found[3] else f"{found[1]} {found[2]}"
    # Some had been there before the alphabet came.
    older = variant.replace("FRAKTUR", "BLACK-LETTER")
    for wanted in (f"MATHEMATICAL {variant} {name}", f"{older} {name}"):
        try:
            return unicodedata.lookup(wanted)
        except KeyError:
            continue
    return letter


def _find_base(element: Element) -> Element:
    while element.tag in (*_SCRIPTS, *_SCRIPTS.values()) and len(element):
        element = element[0]
    return element


def _has_limits(element: Element) -> bool:
    """Whether what stands below and above it are limits."""
    return _read(element) in _LARGE or (element.tag == "mo" and _is_name(element))


def _is_name(element: Element) -> bool:
    """Whether it is the name of a function, an operator of letters."""
    base = _find_base(element)
    text = _read(base).replace("\N{THIN SPACE}", "").replace("\N{SIX-PER-EM SPACE}", "")
    return base.tag in ("mi", "mo") and len(text) > 1 and text.isalpha() and text != "mod"


def _is_operator(element: Element) -> bool:
    """Whether what it begins with has space of its own, or needs none."""
    while element.tag in ("mrow", "mstyle", *_SCRIPTS, *_SCRIPTS.values()) and len(element):
        element = element[0]
    return element.tag in ("mi", "mo", "mspace") and not _read(element)[:1].isalnum()


def _stand_apart(before: Element, after: Element) -> bool:
    return (_is_name(before) and not _is_operator(after)) or (
        _is_name(after) and not _is_operator(before)
    )
