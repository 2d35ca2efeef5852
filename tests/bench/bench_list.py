"""B7: a person's list of jobs among 10,000 jobs against the same list among 100.

Two services in processes of their own start on databases with so many jobs, and are asked for the
newest page in turn. What a job takes of memory is by how much the larger one's process is the
larger, after all lists.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
from sqlalchemy import func, select

from offline_jobs.contract.names import object_name
from offline_jobs.service.changes import Changes
from offline_jobs.service.store.store import Store, make_job_id
from offline_jobs.service.store.tables import attempts, jobs
from tests.bench.bench_heavy import started
from tests.bench.figures import Figure, percentile, report
from tests.service.core.factories import make_new_job
from tests.service.web.factories import API

FEW, MANY, PAGE, KIB = 100, 10_000, 50, 1024
GOAL_P99 = 1.3
GOAL_KIB = 1.0


def multiply_jobs(store: Store, times: int) -> None:
    """Have all jobs so many times, but for their notebooks, which no list reads.

    Submitted one by one, ten thousand took minutes.
    """
    with store._database.write() as connection:
        rows = connection.execute(jobs.select()).mappings().all()
        tries = connection.execute(attempts.select()).mappings().all()
        for _ in range(times - 1):
            ids = {row["id"]: make_job_id() for row in rows}
            copies = [
                {**row, "id": ids[row["id"]], "idempotency_key": uuid.uuid4().hex} for row in rows
            ]
            connection.execute(jobs.insert(), copies)
            copies = [
                {**row, "job": ids[row["job"]], "object_name": object_name(ids[row["job"]], 1)}
                for row in tries
            ]
            connection.execute(attempts.insert(), copies)
        total = connection.execute(select(func.count()).select_from(jobs)).scalar_one()
        if total != times * FEW:
            raise SystemExit(f"the list is of {total} jobs, not of {times * FEW}")


class Side:
    """A service with so many jobs of one person, and that person."""

    def __init__(self, stack: ExitStack, number: int) -> None:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = Store(f"sqlite:///{Path(folder) / 'jobs.sqlite'}", Changes())
        store.migrate()
        news = [make_new_job("print(1)", owner="reader") for _ in range(FEW)]
        store.create_jobs(news, open_limit=FEW)
        multiply_jobs(store, number // FEW)
        store.close()
        process = stack.enter_context(started("--serve", folder))
        assert process.stdout is not None
        self._http = stack.enter_context(
            httpx.Client(
                base_url=process.stdout.readline().strip(),
                trust_env=False,
                timeout=60,
                headers={"Authorization": "token reader"},
            )
        )
        self._process = psutil.Process(process.pid)

    def count_bytes(self) -> int:
        """Memory of the service's process."""
        return int(self._process.memory_info().rss)

    def list_page(self) -> float:
        """Ask for the newest page; the seconds, where it is a whole one."""
        start = time.monotonic()
        answer = self._http.get(f"{API}jobs", params={"limit": PAGE}).raise_for_status()
        seconds = time.monotonic() - start
        if len(answer.json()["jobs"]) != PAGE:
            raise SystemExit(f"the list has {len(answer.json()['jobs'])} jobs, not {PAGE}")
        return seconds


def measure(lists: int) -> list[Figure]:
    """Both services, asked in turn."""
    with ExitStack() as stack:
        few, many = Side(stack, FEW), Side(stack, MANY)
        for side in (few, many) * 50:
            side.list_page()
        pairs = [(few.list_page(), many.list_page()) for _ in range(lists)]
        grown = many.count_bytes() - few.count_bytes()
    short, long = ([pair[side] for pair in pairs] for side in (0, 1))
    seconds = {
        f"{name}_{count}_seconds": percentile(values, percent)
        for count, values in ((FEW, short), (MANY, long))
        for name, percent in (("median", 50), ("p99", 99))
    }
    ratio = percentile(long, 99) / percentile(short, 99)
    kib = grown / KIB / (MANY - FEW)
    return [
        Figure("B7", "list-p99", ratio, GOAL_P99, seconds | {"lists": lists}),
        Figure("B7", "memory-per-job-of-1-kib", kib, GOAL_KIB, {"grown_bytes": grown}),
    ]


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_list", description=__doc__)
    parser.add_argument("--lists", type=int, default=1000)
    options = parser.parse_args(arguments)
    return report("B7", measure(options.lists), ("fastapi", "uvicorn", "SQLAlchemy"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
