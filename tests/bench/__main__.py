"""``python -m tests.bench``: the benchmarks that need no container, one after the other."""

from __future__ import annotations

import sys

from tests.bench import bench_heavy, bench_list, bench_runner


def main() -> int:
    """Run all; returns 1 when a figure of any is short."""
    return max(bench_runner.main([]), bench_list.main([]), bench_heavy.main([]))


if __name__ == "__main__":
    sys.exit(main())
