"""``make run``, but each user and the jobs service have a host of their own, as in a cluster.

Started by :mod:`tests.browser.own_hosts.platform`, which says the hub's address in ``ADDRESS``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from hub_config.embedded import __main__ as embedded
from hub_config.embedded import supervisor
from hub_config.embedded.children import Program
from hub_config.embedded.machine import Found
from offline_jobs.contract.names import build_service_url

ADDRESS = os.environ["ADDRESS"]
_build_programs = supervisor.build_programs


def build_programs(
    order: supervisor.Order, ports: dict[str, int], found: Found, base: dict[str, str]
) -> list[Program]:
    """Those of ``make run``, told where browsers find hub and service."""
    service, hub, culler = _build_programs(order, ports, found, base)
    addresses = {
        "OFFLINE_JOBS_HUB_PUBLIC_URL": f"{ADDRESS}/",
        "OFFLINE_JOBS_PUBLIC_URL": build_service_url(ADDRESS),
    }
    return [
        replace(service, environment={**service.environment, **addresses}),
        replace(hub, environment={**hub.environment, "ADDRESS": ADDRESS}),
        culler,
    ]


supervisor.build_programs = build_programs
supervisor.CONFIGURATION = Path(__file__).with_name("jupyterhub_config.py")
sys.exit(embedded.main())
