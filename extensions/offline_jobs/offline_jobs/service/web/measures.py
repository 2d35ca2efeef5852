"""``/metrics``, on a port of its own that neither the hub's proxy nor a job reaches.

What this process counts is in ``metrics.py``. What is so now is asked for at each scrape: jobs and
sessions of the database, watches of the backend. One scrape at a time; a database that is away
makes its part missing, and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from anyio import CapacityLimiter
from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response

from offline_jobs.contract.states import State
from offline_jobs.service.errors import Unavailable
from offline_jobs.service.metrics import REGISTRY
from offline_jobs.service.model import WatchState
from offline_jobs.service.store.census import Census
from offline_jobs.service.web.errors import install_handlers
from offline_jobs.service.web.lane import in_lane

#: From seconds to a week.
_LONG = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800)


class Measures(Collector):
    """What is asked for at each scrape.

    Args:
        census: of the database.
        watches: the backend's, by kind.
        backend: its name.
        longest_session: what any class allows. A session of which the hub's last word is older by a
            day has gone unseen.
    """

    def __init__(
        self,
        census: Census,
        watches: Callable[[], Mapping[str, WatchState]],
        backend: str,
        longest_session: timedelta,
    ) -> None:
        self._census = census
        self._watches = watches
        self._backend = backend
        self._told_within = longest_session + timedelta(days=1)
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "offline_jobs_ended",
            "Jobs that ended.",
            ["state", "cause", "group", "class"],
            registry=self.registry,
        )
        self._retried = Counter(
            "offline_jobs_retried",
            "Attempts after which another one followed.",
            ["cause", "group", "class"],
            registry=self.registry,
        )
        self._waited = Histogram(
            "offline_jobs_waiting_seconds",
            "From a job's submission to the begin of its run.",
            ["group", "class"],
            buckets=_LONG,
            registry=self.registry,
        )
        self._ran = Histogram(
            "offline_jobs_running_seconds",
            "From the begin of a job's run to its end.",
            ["group", "class"],
            buckets=_LONG,
            registry=self.registry,
        )
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing: names are known without a database."""
        return []

    def follow(self) -> bool:
        """Count what happened since the last scrape; whether the database could be read."""
        try:
            for each in self._census.follow():
                place = (each.group, each.machine_class)
                if each.waited is not None:
                    self._waited.labels(*place).observe(each.waited)
                if each.ran is not None:
                    self._ran.labels(*place).observe(each.ran)
                if each.state.is_terminal:
                    self._ended.labels(each.state, each.cause, *place).inc()
                elif each.state is State.QUEUED and each.cause:
                    self._retried.labels(each.cause, *place).inc()
        except Unavailable:
            return False
        return True

    def collect(self) -> Iterator[Metric]:
        """What is so now."""
        build = GaugeMetricFamily(
            "offline_jobs_build_info", "Always 1.", labels=["version", "backend"]
        )
        build.add_metric([version("offline-jobs"), self._backend], 1)
        yield build
        yield from self._collect_watches()
        up = GaugeMetricFamily("offline_jobs_database_up", "Whether the database can be read.")
        try:
            found = list(self._collect_database())
        except Unavailable:
            found = []
        up.add_metric([], float(bool(found)))
        yield up
        yield from found

    def _collect_database(self) -> Iterator[Metric]:
        now = datetime.now(UTC)
        there = GaugeMetricFamily(
            "offline_jobs_open",
            "Jobs that have not ended.",
            labels=["state", "reason", "group", "class"],
        )
        oldest = GaugeMetricFamily(
            "offline_jobs_oldest_open_seconds",
            "How long ago the oldest of these jobs was submitted.",
            labels=["state", "reason", "group", "class"],
        )
        for each in self._census.count_open():
            labels = [each.state, each.reason, each.group, each.machine_class]
            there.add_metric(labels, each.count)
            oldest.add_metric(labels, max(0.0, (now - each.oldest).total_seconds()))
        yield there
        yield oldest
        kept = GaugeMetricFamily(
            "offline_jobs_kept",
            "Jobs that have ended and whose record nobody deleted.",
            labels=["state", "cause", "group", "class"],
        )
        for each in self._census.count_kept():
            kept.add_metric([each.state, each.reason, each.group, each.machine_class], each.count)
        yield kept
        sessions = GaugeMetricFamily(
            "offline_jobs_sessions",
            "Sessions that start or run, by the hub's word.",
            labels=["state", "group", "class"],
        )
        for each in self._census.count_sessions(now - self._told_within):
            sessions.add_metric([each.state, each.group, each.machine_class], each.count)
        yield sessions

    def _collect_watches(self) -> Iterator[Metric]:
        silent = GaugeMetricFamily(
            "offline_jobs_watch_silent_seconds",
            "For how long the API server could not be heard.",
            labels=["kind"],
        )
        failures = CounterMetricFamily(
            "offline_jobs_watch_failures",
            "Watches that ended otherwise than they should.",
            labels=["kind"],
        )
        for kind, state in self._watches().items():
            silent.add_metric([kind], state.silent_seconds)
            failures.add_metric([kind], state.failures)
        yield silent
        yield failures


def build_metrics_app(measures: Measures) -> FastAPI:
    """The application that Prometheus scrapes."""
    app = FastAPI(title="Metrics", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.lane = CapacityLimiter(1)
    install_handlers(app, full_status=503)

    def scrape() -> bytes:
        measures.follow()
        return generate_latest(REGISTRY) + generate_latest(measures.registry)

    @app.get("/metrics")
    async def show_metrics(request: Request) -> Response:
        """All metrics, in Prometheus' text format."""
        return Response(await in_lane(request, scrape), media_type=CONTENT_TYPE_LATEST)

    return app
