"""Reads a notebook from standard input and writes its page to standard output, in a theme.

A program of its own, for it reads what users wrote; the service starts it (``web/viewing.py``).
Nothing else imports what is here: nbconvert alone takes as long as all that the service imports.
"""

import sys

from offline_jobs.service.viewer.bounds import keep_within_bounds
from offline_jobs.service.viewer.page import render


def main() -> None:
    """Show the notebook, within bounds; whoever reads no more ends this."""
    keep_within_bounds()
    for piece in render(sys.stdin.buffer, *sys.argv[1:]):
        sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
