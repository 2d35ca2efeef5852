"""``python -m hub_config.embedded --port PORT --state FOLDER``: the whole platform on one machine.

Reads the arguments and turns what cannot be into one clear line and exit code 2. It is parsed by
any Python, so that an old one can be told apart before anything else is imported.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (an old Python must get this line, not a traceback)
    sys.stderr.write(
        "Notebook HPC needs Python 3.11 or newer, not " + sys.version.split()[0] + "\n"
    )
    sys.exit(2)

import argparse
import os
from contextlib import suppress
from pathlib import Path

from hub_config.embedded.state import LAST_PORT
from hub_config.embedded.supervisor import Order, run
from hub_config.platform.errors import ConfigurationError


def parse_port(text: str) -> int:
    """A port that a user may listen on."""
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; use a number up to {LAST_PORT}")
    return int(text)


def parse_seconds(text: str) -> int:
    """A positive whole number of seconds."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return int(text)


def parse_folder(text: str) -> Path:
    """A folder; the shell leaves ``~`` to us in words like ``STATE=~/notebook-hpc``."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; name a folder, as in 'STATE=build/state'")
    return Path(os.path.expanduser(text)).absolute()


def parse_order(arguments: list[str]) -> Order:
    """The command line's order; a wrong one ends the program with one line."""
    checkout = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser("python -m hub_config.embedded", description=__doc__)
    parser.add_argument("--port", type=parse_port, default=8000, help="port of the hub (8000)")
    parser.add_argument(
        "--state",
        type=parse_folder,
        default=checkout / "build" / "state",
        help="folder (build/state)",
    )
    parser.add_argument(
        "--idle-seconds",
        type=parse_seconds,
        default=3600,
        help="a session without activity for so long is stopped (3600)",
    )
    parser.add_argument("--root", type=Path, default=checkout, help="the checkout to serve")
    order = parser.parse_args(arguments)
    return Order(
        root=order.root.resolve(),
        state=order.state,
        port=order.port,
        idle_seconds=order.idle_seconds,
    )


def say(line: str) -> None:
    """Write a line for people, unless the terminal is gone: nothing must fail of that."""
    with suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def main() -> int:
    """Run; return the exit code."""
    try:
        run(parse_order(sys.argv[1:]), say)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
