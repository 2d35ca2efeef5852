"""The log as JSON, one line each, strings capped; set up once by ``__main__.py``.

What may be in a line is decided where it is written; tokens, headers, notebooks and bodies never
are. Line ends and control characters of foreign text cannot break a line, since JSON escapes them.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LONGEST_STRING = 500
LONGEST_TRACE = 8_000
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, then the record's extra fields."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _capped(record.getMessage(), LONGEST_STRING),
        }
        for key, value in vars(record).items():
            if key not in _STANDARD and value not in ("", None):
                plain = isinstance(value, int | float | bool)
                line[key] = value if plain else _capped(str(value), LONGEST_STRING)
        if record.exc_info:
            line["trace"] = _capped(self.formatException(record.exc_info), LONGEST_TRACE)
        return json.dumps(line)


def set_up(level: str) -> None:
    """Send everything to the standard error, as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Addresses that these would log hold users' names and nothing that helps.
    for name in ("httpx", "httpcore", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _capped(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
