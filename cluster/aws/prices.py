"""What is paid for besides machines, for reckoning; the machines' are the driver's own table.

Used by :mod:`cluster.aws.costs`. Pure but for reading it.
"""

from pathlib import Path
from typing import Any

import yaml

_PRICES = Path(__file__).with_name("prices.yaml")


def read_prices() -> dict[str, Any]:
    """``prices.yaml``: amounts in dollars by what they are for, the region and the year."""
    prices: dict[str, Any] = yaml.safe_load(_PRICES.read_text(encoding="utf-8"))
    return prices
