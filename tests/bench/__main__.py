"""``python -m tests.bench``: the benchmarks that need no container, one after the other.

Each in the size that lets all of them end within ten minutes; alone they are larger.
"""

from __future__ import annotations

import sys

from tests.bench import (
    bench_burst,
    bench_heavy,
    bench_job,
    bench_list,
    bench_runner,
    bench_session,
)


def main() -> int:
    """Run all; returns 1 when a figure of any is short."""
    return max(
        bench_runner.main(["--rounds-of-200", "1"]),
        bench_job.main([]),
        bench_burst.main(["--jobs", "20", "--rounds", "1"]),
        bench_list.main(["--lists", "300"]),
        bench_session.main(["--rounds-of-ten", "1"]),
        bench_heavy.main([]),
    )


if __name__ == "__main__":
    sys.exit(main())
