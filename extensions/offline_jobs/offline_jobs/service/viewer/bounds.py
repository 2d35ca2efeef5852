"""What a program that reads users' notebooks may take, whatever is in one."""

import resource

#: Bytes of address space. A page of one of 50 MB takes 150 MiB if it is figures, 300 MiB if text.
MOST_MEMORY = 512 * 1024**2
MOST_CPU_SECONDS = 120


def keep_within_bounds() -> None:
    """Bound memory and time of this process, which then writes no file either."""
    for bound, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_CPU, MOST_CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(bound, (most, most))
