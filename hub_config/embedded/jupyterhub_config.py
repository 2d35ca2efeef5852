"""The configuration file of the hub that ``make run`` starts: it only calls ``apply``.

JupyterHub executes this file and provides ``get_config``; nobody imports it.
"""

import os

from hub_config.apply import apply
from hub_config.settings import parse_settings

apply(get_config(), parse_settings(os.environ))  # type: ignore[name-defined]  # noqa: F821
