"""The runner's exit codes.

Written by the runner, read by the service's backends from the process or the container status.
Standard library only; anybody may import it.
"""

from enum import IntEnum


class Exit(IntEnum):
    """How the runner ended."""

    SUCCEEDED = 0
    CELL_FAILED = 10
    KERNEL_DIED = 11
    TIME_LIMIT = 12
    INTERRUPTED = 13
    OUTPUT_LOST = 14
    OUT_OF_MEMORY = 15
    CANCELLED = 16
    BAD_SPECIFICATION = 20
    INFRASTRUCTURE = 30
