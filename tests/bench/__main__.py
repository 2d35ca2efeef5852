"""``python -m tests.bench``: every benchmark of this folder, one after the other."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run all; returns 1 when a figure of any is short."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    codes = [importlib.import_module(f"tests.bench.{name}").main([]) for name in names]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
