"""What watches a cluster on AWS: ``aws: observe`` of the settings → :class:`Observe`.

Part of the section that :mod:`cluster.driver.aws_settings` reads, in the same way: every mistake
with its line and mend. Pure.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hub_config.platform.entry import Entry

#: Namespace of Prometheus, Grafana and what ships logs.
MONITORING = "monitoring"
#: Prometheus itself, as a peer of a NetworkPolicy. Source: chart prometheus 29.27.0
SCRAPER = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}},
    "podSelector": {
        "matchLabels": {
            "app.kubernetes.io/name": "prometheus",
            "app.kubernetes.io/component": "server",
        }
    },
}
#: An address that AWS may write to; whether somebody reads it only a letter shows.
_MAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
#: AWS Budgets writes to so many addresses. Source:
#: https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_NotificationWithSubscribers.html
_MOST_MAILS = 10
_DISK_GIB, _KEEP_DAYS = (10, 16_384), (1, 3650)
#: Days that CloudWatch may be told to keep logs, those up to ten years. Source:
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
_LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180),
    *(365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_MOST_DOLLARS = 100_000_000


@dataclass(frozen=True)
class Metrics:
    """Prometheus.

    Attributes:
        keep_days: that it remembers; less, where its disk is full before.
        disk_gib: of its disk.
    """

    keep_days: int = 30
    disk_gib: int = 50


@dataclass(frozen=True)
class Budget:
    """What a month may cost until somebody is told.

    Attributes:
        month: dollars; in China yuan.
        tag: key of ``aws.tags`` by which costs are taken together; empty for the whole account.
    """

    month: int
    tag: str = ""


@dataclass(frozen=True)
class Observe:
    """What watches; ``None``, ``False`` and 0 where it is not.

    Attributes:
        mails: who is told of alarms and of the budget.
        metrics: Prometheus with its alarms.
        dashboards: whether Grafana shows what Prometheus knows.
        log_days: that CloudWatch keeps the logs of the platform's own programs.
        budget: of a month.
    """

    mails: tuple[str, ...] = ()
    metrics: Metrics | None = None
    dashboards: bool = False
    log_days: int = 0
    budget: Budget | None = None

    @property
    def sends_alarms(self) -> bool:
        """Whether alarms go anywhere; else Prometheus and Grafana show them."""
        return bool(self.metrics and self.mails)


def read_observe(entry: Entry | None, tags: Collection[str]) -> Observe | None:
    """The section; mistakes are noted. ``None`` where nothing is said.

    Args:
        entry: ``observe``, where it is written.
        tags: keys of what belongs to the cluster.
    """
    if entry is None:
        return None
    metrics = entry.entry("metrics", required=False)
    logs = entry.entry("logs", required=False)
    budget = entry.entry("budget", required=False)
    read = Observe(
        entry.texts("mails", (), _MAIL, "an address is written like platform@example.org"),
        _read_metrics(metrics) if metrics else None,
        entry.flag("dashboards"),
        _read_logs(logs) if logs else 0,
        _read_budget(budget, tags) if budget else None,
    )
    entry.close()
    _check(entry, read)
    return read


def _check(entry: Entry, read: Observe) -> None:
    """Note what contradicts."""
    if len(read.mails) > _MOST_MAILS:
        entry.add("mails", f"are {len(read.mails)}, and a budget takes {_MOST_MAILS}: name a list")
    if entry.has("budget") and not entry.has("mails"):
        entry.add("budget", "tells nobody: write who is to know, mails: [platform@example.org]")
    if read.mails and not (entry.has("metrics") or entry.has("budget")):
        entry.add("mails", "get nothing: write metrics: {} for alarms, or a budget, or take it out")
    if read.dashboards and not entry.has("metrics"):
        entry.add("dashboards", "show what Prometheus knows: write metrics: {}, or take it out")


def _read_metrics(entry: Entry) -> Metrics:
    metrics = Metrics(
        _read_number(entry, "keep_days", Metrics.keep_days, _KEEP_DAYS),
        _read_number(entry, "disk_gib", Metrics.disk_gib, _DISK_GIB),
    )
    entry.close()
    return metrics


def _read_logs(entry: Entry) -> int:
    days = int(entry.number("keep_days", 30, whole=True))
    if days not in _LOG_DAYS:
        allowed = ", ".join(map(str, _LOG_DAYS))
        entry.add("keep_days", f"{days} is none of CloudWatch's; allowed: {allowed}")
    entry.close()
    return days


def _read_budget(entry: Entry, tags: Collection[str]) -> Budget:
    month = _read_number(entry, "month", None, (1, _MOST_DOLLARS))
    tag = entry.text("tag", "")
    if tag and tag not in tags:
        known = ", ".join(tags) or "none"
        entry.add("tag", f"{tag} is none of aws.tags ({known}): nothing would have it")
    entry.close()
    return Budget(month, tag)


def _read_number(entry: Entry, name: str, default: int | None, bounds: tuple[int, int]) -> int:
    least, most = bounds
    found = int(entry.number(name, default, whole=True))
    if entry.has(name) and not least <= found <= most:
        entry.add(name, f"must be from {least} to {most}, not {found}")
    return found
