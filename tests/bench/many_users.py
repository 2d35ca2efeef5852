"""``python -m tests.bench.many_users``: ``make run``, with a login that knows ten people more.

JupyterHub executes this file as its configuration, too.
"""

import os
import sys
from pathlib import Path

from hub_config.apply import apply
from hub_config.embedded import __main__, supervisor
from hub_config.logins import demonstration
from hub_config.logins.demonstration_users import DemonstrationUser
from hub_config.settings import parse_settings

PEOPLE = tuple(f"person{number}" for number in range(10))
GROUP = "spatial-lab"

if __name__ == "__main__":
    supervisor.CONFIGURATION = Path(__file__)
    sys.exit(__main__.main())
if "get_config" in globals():
    people = (DemonstrationUser(name, (GROUP,), "one of many") for name in PEOPLE)
    demonstration.USERS = (*demonstration.USERS, *people)  # type: ignore[assignment,attr-defined]
    apply(globals()["get_config"](), parse_settings(os.environ))
