"""What the service counts, in Prometheus' words: one list of all that this process counts itself.

Counters and histograms begin at 0 with the process, as Prometheus expects of them: its ``rate``
and ``increase`` know a restart. What is so at this moment (gauges of jobs and sessions) is read
from the database when it is asked for: ``web/measures.py``. No label has a user's name or a job's
id. ``docs/metrics.md`` lists all; a test holds it equal. Every room of the service may import this
module.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

#: Of this process; what belongs to one store or backend is in a registry of its own.
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PASS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)

PASSES = Counter("offline_jobs_passes", "Passes of the reconciler.", ["result"], registry=REGISTRY)
PASS_SECONDS = Histogram(
    "offline_jobs_pass_seconds",
    "How long a pass of the reconciler took.",
    buckets=_PASS,
    registry=REGISTRY,
)
LAST_PASS = Gauge(
    "offline_jobs_last_pass_timestamp_seconds",
    "When the reconciler last ended a pass without an error.",
    registry=REGISTRY,
)
LAUNCHES = Counter(
    "offline_jobs_launches", "Attempts that were launched.", ["result"], registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "offline_jobs_http_request_seconds",
    "How long requests took until their answer began.",
    ["side", "method", "route", "status"],
    buckets=_SHORT,
    registry=REGISTRY,
)
STREAMS = Gauge("offline_jobs_event_streams", "Event streams that are open.", registry=REGISTRY)
OBJECT_SECONDS = Histogram(
    "offline_jobs_object_store_seconds",
    "How long operations of the bucket took.",
    ["operation", "result"],
    buckets=_SHORT,
    registry=REGISTRY,
)
DATABASE_FAILURES = Counter(
    "offline_jobs_database_failures",
    "Transactions that failed by no mistake of ours.",
    ["kind", "error"],
    registry=REGISTRY,
)

# What can be known before is there from the start, at 0: an alert then sees the first one.
for _result in ("ok", "failed"):
    PASSES.labels(_result)
    for _operation in ("put", "get", "list", "delete"):
        OBJECT_SECONDS.labels(_operation, _result)
for _error in ("unavailable", "storage-full", "damaged"):
    DATABASE_FAILURES.labels("read", _error)
    DATABASE_FAILURES.labels("write", _error)
for _result in ("ok", "later", "failed"):
    LAUNCHES.labels(_result)


@contextmanager
def counted_pass() -> Iterator[None]:
    """Count a pass of the reconciler, with its end."""
    began = time.monotonic()
    try:
        yield
    except BaseException:
        PASSES.labels("failed").inc()
        raise
    finally:
        PASS_SECONDS.observe(time.monotonic() - began)
    PASSES.labels("ok").inc()
    LAST_PASS.set_to_current_time()
