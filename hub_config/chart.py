"""The values of the Zero to JupyterHub chart by dotted keys, and all that is wrong with them.

Reading a value never fails: what cannot be used becomes a mistake that names its key, and the
reader goes on with a default. Used by :mod:`hub_config.values` and :mod:`hub_config.unused`. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

ValueT = TypeVar("ValueT")

_WORDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "text",
    dict: "a mapping",
}


class ChartValues:
    """Values as the chart merged them.

    Attributes:
        mistakes: a sentence for each, without its full stop; no value that may be secret is in it.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.mistakes: list[str] = []

    def refuse(self, key: str, sentence: str) -> None:
        """Note a mistake, once."""
        mistake = f"{key} {sentence}"
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def find(self, key: str) -> Any:
        """The value, whatever it is; ``None`` where there is none."""
        value: Any = self._values
        above = ""
        for part in key.split("."):
            if value is None:
                return None
            if not isinstance(value, Mapping):
                self.refuse(above, f"must be {_WORDS[dict]}")
                return None
            value = value.get(part)
            above = f"{above}.{part}".lstrip(".")
        return value

    def get(self, key: str, default: ValueT) -> ValueT:
        """The value, of the default's type; the default where there is none or ``null``."""
        value = self.find(key)
        if value is None:
            return default
        # YAML's `true` is no number, though Python's is.
        if type(value) is not type(default):
            # A whole mapping or list may have a secret in it, so it is not shown.
            shown = f", not {value!r}" if isinstance(value, bool | int | float | str) else ""
            self.refuse(key, f"must be {_WORDS[type(default)]}{shown}")
            return default
        return value

    def get_number(self, key: str, default: int, *, least: int) -> int:
        """A whole number that is not below the least."""
        number = self.get(key, default)
        if number < least:
            self.refuse(key, f"must be at least {least}, not {number}")
            return default
        return number

    def get_one_of(self, key: str, allowed: Sequence[str]) -> str:
        """One of the allowed words; the first where there is none or an empty one."""
        word = self.get(key, "") or allowed[0]
        if word not in allowed:
            self.refuse(key, f"must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {word!r}")
            return allowed[0]
        return word


def split_url(text: str) -> SplitResult | None:
    """The parts of an address of the web; ``None`` where it is none."""
    try:
        url = urlsplit(text)
        # A port that is none is only noticed when it is asked for.
        is_sound = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        return None
    return url if is_sound else None
