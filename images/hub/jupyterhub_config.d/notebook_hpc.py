"""What the chart's configuration of the hub loads last: it only calls ``apply``.

JupyterHub's chart executes each file of this folder with its ``c``; nobody imports it.
"""

from hub_config.apply import apply
from hub_config.values import load_settings

apply(c, load_settings())  # type: ignore[name-defined]  # noqa: F821
