"""The configuration file of this platform's hub: that of ``make run``, with hosts of their own."""

import os
from dataclasses import replace

from hub_config.apply import apply
from hub_config.settings import parse_settings

address = os.environ["ADDRESS"]
c = get_config()  # type: ignore[name-defined]  # noqa: F821
apply(c, replace(parse_settings(os.environ), subdomain_host=address))
c.JupyterHub.public_url = address
