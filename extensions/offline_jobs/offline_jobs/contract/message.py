"""The base of what is sent and kept as JSON: what is unknown is ignored, what is missing is usual.

Standard library only; anybody may import it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Self


class Message:
    """Base of the wire's dataclasses: to and from a JSON mapping."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Build from a mapping, ignoring unknown keys.

        Raises:
            TypeError: a required field is missing.
        """
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        return cls(**{key: value for key, value in data.items() if key in known})

    def to_json(self) -> dict[str, Any]:
        """A mapping of JSON types."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def dumps(self) -> str:
        """Compact JSON text."""
        return json.dumps(self.to_json(), separators=(",", ":"))
