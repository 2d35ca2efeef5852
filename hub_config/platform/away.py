"""The page in the place of one that nothing answers for; hub and jobs service serve the same.

The proxy asks for it where the hub serves its own error pages. In a cluster it asks a Service that
leads to hub and jobs service (``cluster/chart``), so that a page of ours is there while one of them
is away.
"""

from pathlib import Path

#: For the loader of templates: ``away.html`` wants the address ``home``.
PAGES = Path(__file__).with_name("pages")
PAGE = "away.html"
#: Where the proxy asks, with the status behind it.
PATH = "/hub/error/"
