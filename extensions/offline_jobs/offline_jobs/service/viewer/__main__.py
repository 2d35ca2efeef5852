"""Reads a notebook from standard input and writes its page to standard output, in a theme.

A program of its own, for it reads what users wrote; the service starts it (``web/viewing.py``).
Nothing else imports what is here: nbconvert alone takes as long as all that the service imports.
"""

import resource
import sys

from offline_jobs.service.viewer.page import render

#: Bytes of address space. One of 50 MB takes 150 MiB if it is figures, 300 MiB if it is text.
MOST_MEMORY = 512 * 1024**2
MOST_CPU_SECONDS = 120


def main() -> None:
    """Show the notebook, within bounds; whoever reads no more ends this."""
    for bound, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        # No file is written.
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(bound, (most, most))
    for piece in render(sys.stdin.buffer, *sys.argv[1:]):
        sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
