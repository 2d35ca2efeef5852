"""One mapping of the catalogue's file: reads its keys, and notes every mistake with its place.

Each reading method returns a usable value even after a mistake, so that one run finds all of them;
whoever builds an object from an entry asks :attr:`Entry.sound` first. Used by
:mod:`hub_config.platform.catalogue_file`, and for an installation's settings. Pure.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hub_config.platform.errors import Mistake
from hub_config.platform.located import Located, unwrap
from hub_config.platform.quantities import parse_bytes, parse_seconds

#: Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ (v1.35)
_LABEL_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(rf"(?:[a-z0-9](?:[-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL_NAME}")
LABEL_VALUE = re.compile(rf"(?:{_LABEL_NAME})?")

_TOO_MUCH = 1e9
_LONGEST_QUOTE = 60


@dataclass
class Report:
    """The mistakes found so far, and the line of every key that was read."""

    mistakes: list[Mistake] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, message: str) -> None:
        """Note a mistake; its line is that of the key, or of the nearest key around it."""
        self.mistakes.append(Mistake(key, message, self.line_of(key)))

    def line_of(self, key: str) -> int:
        """Line of ``key``, else of the nearest part of its path that is known."""
        while key not in self.lines and "." in key:
            key = key.rpartition(".")[0]
        return self.lines.get(key) or self.lines.get("", 0)


class Entry:
    """A mapping at ``place``. A key that is read is known; :meth:`close` names the others."""

    def __init__(self, place: str, located: Located, report: Report) -> None:
        self.place = place
        self.report = report
        self._known: list[str] = []
        self._mistakes_before = len(report.mistakes)
        report.lines[place] = located.line
        self._values: dict[str, Located] = {}
        self._readable = isinstance(located.value, dict)
        if isinstance(located.value, dict):
            self._values = located.value
        else:
            self.report.add(place, f"must be keys with values, not {_say(located.value)}")

    @property
    def sound(self) -> bool:
        """No mistake was noted since this entry was opened."""
        return len(self.report.mistakes) == self._mistakes_before

    def key(self, name: str) -> str:
        """The dotted path of a key of this entry."""
        return f"{self.place}.{name}" if self.place else name

    def add(self, name: str, message: str) -> None:
        """Note a mistake at a key of this entry."""
        self.report.add(self.key(name), message)

    def has(self, name: str) -> bool:
        """The key is written and not empty."""
        self._known.append(name)
        found = self._values.get(name)
        return found is not None and found.value is not None

    def close(self) -> None:
        """Note every key that nobody asked for."""
        known = list(dict.fromkeys(self._known))
        for name, located in self._values.items():
            if name not in known:
                self.report.lines.setdefault(self.key(name), located.line)
                self.add(name, f"unknown key; allowed: {', '.join(known)}")

    def text(
        self,
        name: str,
        default: str | None = None,
        pattern: re.Pattern[str] | None = None,
        rule: str = "",
        allowed: Collection[str] | None = None,
    ) -> str:
        """A text; required without ``default``. ``pattern`` must match all of it."""
        value = self._value(name, default is None)
        if value is None:
            return default or ""
        if not isinstance(value, str):
            hint = f', for example "{value}"' if isinstance(value, int | float | date) else ""
            self.add(name, f"must be a text, not {_say(value)}; put it in quotes{hint}")
            return default or ""
        if default is None and not value.strip():
            self.add(name, "must not be empty")
        elif value and pattern is not None and not pattern.fullmatch(value):
            self.add(name, f"{value!r} is not allowed here: {rule}")
        elif value and allowed is not None and value not in allowed:
            self.add(name, f"unknown value {value!r}; allowed: {_say_allowed(allowed)}")
        return value

    def texts(
        self,
        name: str,
        default: Sequence[str] | None = None,
        pattern: re.Pattern[str] | None = None,
        rule: str = "",
        allowed: Collection[str] | None = None,
    ) -> tuple[str, ...]:
        """A list of different texts; required without ``default``.

        It must not be empty, unless an empty list is the default.
        """
        found: list[str] = []
        for number, item in enumerate(self._list(name, default is None, default != ())):
            value = item.value
            place = f"{name}[{number}]"
            self.report.lines[self.key(place)] = item.line
            if not isinstance(value, str) or not value:
                self.add(place, f"must be a text, not {_say(value)}")
            elif pattern is not None and not pattern.fullmatch(value):
                self.add(place, f"{value!r} is not allowed here: {rule}")
            elif allowed is not None and value not in allowed:
                self.add(place, f"unknown value {value!r}; allowed: {_say_allowed(allowed)}")
            elif value in found:
                self.add(place, f"{value!r} is listed twice; keep one")
            else:
                found.append(value)
        return tuple(found) if self.has(name) else tuple(default or ())

    def flag(self, name: str) -> bool:
        """``true`` or ``false``; absent is ``false``."""
        value = self._value(name, required=False)
        if value is not None and not isinstance(value, bool):
            self.add(name, f"must be true or false, not {_say(value)}")
        return value is True

    def number(
        self, name: str, default: float | None = None, least: float = 0, whole: bool = False
    ) -> float:
        """A number of at least ``least`` and less than a milliard; required without ``default``."""
        value = self._value(name, default is None)
        if value is None:
            return default or 0
        kind = "a whole number" if whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            self.add(name, f"must be {kind} without a unit, not {_say(value)}")
        elif not least <= value < _TOO_MUCH:
            self.add(name, f"must be {kind} of at least {least:g}, not {_say(value)}")
        else:
            return value
        return default or 0

    def bytes(self, name: str, required: bool = True) -> int:
        """An amount of memory or disk such as ``16 GiB``, in bytes; over 0."""
        return self._amount(name, parse_bytes, "16 GiB", required)

    def seconds(self, name: str, required: bool = True) -> int:
        """A length of time such as ``4 h``, in seconds; over 0."""
        return self._amount(name, parse_seconds, "4 h", required)

    def date(self, name: str) -> str:
        """A date such as 2026-11-24, as ISO text."""
        value = self._value(name, required=True)
        if isinstance(value, date):
            return value.isoformat()[:10]
        try:
            return date.fromisoformat(str(value or "")).isoformat()
        except ValueError:
            if value is not None:
                self.add(name, f"must be a date like 2026-11-24, not {_say(value)}")
            return ""

    def labels(self, name: str) -> dict[str, str]:
        """Labels of Kubernetes: keys and texts."""
        found: dict[str, str] = {}
        for key, item in self._mapping(name).items():
            self.report.lines[self.key(f"{name}.{key}")] = item.line
            if not LABEL_KEY.fullmatch(key):
                self.add(f"{name}.{key}", "no key of a Kubernetes label")
            elif not isinstance(item.value, str) or not LABEL_VALUE.fullmatch(item.value):
                self.add(
                    f"{name}.{key}",
                    f"no value of a Kubernetes label: {_say(item.value)}; write a short text in "
                    "quotes",
                )
            else:
                found[key] = item.value
        return found

    def plain(self, name: str) -> dict[str, Any]:
        """A mapping as it is written, for whoever else judges what is in it."""
        return {key: unwrap(item) for key, item in self._mapping(name).items()}

    @property
    def slug(self) -> str:
        """The ``slug`` that is written, sound or not; empty when there is none."""
        return _slug_of(self._values.get("slug"))

    @property
    def is_default(self) -> bool:
        """``default: true`` is written."""
        written = self._values.get("default")
        return written is not None and written.value is True

    def entry(self, name: str, required: bool = True, place: str | None = None) -> "Entry | None":
        """A mapping below this one; ``place`` renames it in the mistakes."""
        self._value(name, required)
        if not self.has(name):
            return None
        return Entry(self.key(name) if place is None else place, self._values[name], self.report)

    def entries(self, name: str, slugs: bool = False) -> "list[Entry]":
        """A list of mappings; with ``slugs`` a place is ``classes.gpu``, else ``taints[0]``."""
        found = []
        for number, item in enumerate(self._list(name, required=slugs, filled=slugs)):
            slug = _slug_of(item.value.get("slug") if isinstance(item.value, dict) else None)
            place = self.key(f"{name}.{slug}" if slugs and slug else f"{name}[{number}]")
            if slugs and place in self.report.lines:
                first = self.report.lines[place]
                self.report.mistakes.append(
                    Mistake(f"{place}.slug", f"used twice (first in line {first})", item.line)
                )
                place = self.key(f"{name}[{number}]")
            found.append(Entry(place, item, self.report))
        return found

    def _amount(self, name: str, parse: Callable[[str], int], example: str, required: bool) -> int:
        value = self._value(name, required)
        if value is None:
            return 0
        if not isinstance(value, str):
            self.add(name, f"must be an amount with a unit like {example}, not {_say(value)}")
            return 0
        try:
            amount = parse(value)
        except ValueError as e:
            self.add(name, str(e))
            return 0
        if amount <= 0:
            self.add(name, "must be over 0")
        return amount

    def _value(self, name: str, required: bool) -> object:
        if self.has(name):
            self.report.lines[self.key(name)] = self._values[name].line
            return self._values[name].value
        if required and self._readable:
            self.add(name, "is missing")
        return None

    def _list(self, name: str, required: bool, filled: bool) -> list[Located]:
        value = self._value(name, required)
        if value is None:
            return []
        if not isinstance(value, list):
            self.add(name, f"must be a list, not {_say(value)}")
            return []
        if filled and not value:
            self.add(name, "must not be empty")
        return value

    def _mapping(self, name: str) -> dict[str, Located]:
        value = self._value(name, required=False)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.add(name, f"must be keys with values, not {_say(value)}")
            return {}
        return value


def _slug_of(written: Located | None) -> str:
    return written.value if written is not None and isinstance(written.value, str) else ""


def _say(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a number of that size"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _say_allowed(allowed: Collection[str]) -> str:
    return ", ".join(allowed) or "none, because nothing of the kind is defined"
