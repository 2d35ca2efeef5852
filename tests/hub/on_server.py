"""``python -m tests.hub.on_server``: ``make run``, with the hub's database on a PostgreSQL server.

What a hub in a cluster has: the address from the chart's values by ``hub_config/values.py``, and
the password in the variable that the chart's own configuration sets. JupyterHub executes this file
as its configuration, too.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from hub_config import values
from hub_config.apply import apply
from hub_config.chart import ChartValues
from hub_config.embedded import __main__, supervisor
from hub_config.settings import parse_settings

URL, PASSWORD = "TEST_HUB_DATABASE_URL", "TEST_HUB_DATABASE_PASSWORD"

if __name__ == "__main__":
    supervisor.CONFIGURATION = Path(__file__)
    sys.exit(__main__.main())
if "get_config" in globals():
    os.environ["PGPASSWORD"] = Path(os.environ[PASSWORD]).read_text(encoding="utf-8")
    db = {"type": "postgres", "url": os.environ[URL]}
    url = values._find_database(ChartValues({"hub": {"db": db}}))
    c = globals()["get_config"]()
    apply(c, replace(parse_settings(os.environ), database_url=url))
