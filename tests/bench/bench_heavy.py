"""A list of one's jobs while ten people submit notebooks of 20 MB: does anybody wait for them?

Service, senders and the one who lists are three processes. The figure is the 99th percentile of the
list's answers, as a share of the 100 ms that it may take; the service's memory is told with it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from fastapi import Request

from offline_jobs.service.web.identity import Caller
from tests.bench.figures import Figure, percentile, report
from tests.factories import make_person
from tests.service.web.factories import API, make_notebook, make_submission, running_service

LONGEST_SECONDS = 0.1
PEOPLE, EACH, MIB = 10, 2, 1024**2
_MODULE = "tests.bench.bench_heavy"


async def identify(request: Request) -> Caller:
    """Anybody by any name."""
    return Caller(make_person(request.headers["authorization"].partition(" ")[2], ["lab"]))


def serve(folder: Path) -> None:
    """Run the service, tell its address, and end when nobody reads any more."""
    with running_service(folder, who=identify) as service:
        sys.stdout.write(f"{service.public}\n")
        sys.stdout.flush()
        sys.stdin.read()


def send(url: str) -> None:
    """Ten people submit at once, each one notebook after the other."""
    body = json.dumps(make_submission(notebook=make_notebook("x" * 20 * MIB))).encode()

    def submit(user: str) -> None:
        with httpx.Client(base_url=url, trust_env=False, timeout=300) as client:
            for _ in range(EACH):
                headers = {
                    "Authorization": f"token {user}",
                    "Content-Type": "application/json",
                    "Idempotency-Key": uuid.uuid4().hex,
                }
                client.post(f"{API}jobs", content=body, headers=headers).raise_for_status()

    threads = [threading.Thread(target=submit, args=(f"user{i}",)) for i in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """One of the other processes; one that is still there at the end is told to end."""
    command = [sys.executable, "-m", _MODULE, *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.communicate()


def list_jobs(url: str, go_on: Iterator[bool]) -> list[float]:
    """List one's jobs again and again; the seconds of each answer."""
    seconds = []
    headers = {"Authorization": "token reader"}
    with httpx.Client(base_url=url, trust_env=False, timeout=60, headers=headers) as client:
        for _ in go_on:
            start = time.monotonic()
            client.get(f"{API}jobs").raise_for_status()
            seconds.append(time.monotonic() - start)
            time.sleep(0.005)
    return seconds


def measure() -> Figure:
    """The list's answers before and while the notebooks come."""
    with tempfile.TemporaryDirectory() as folder, started("--serve", folder) as service:
        assert service.stdout is not None
        url = service.stdout.readline().strip()
        process = psutil.Process(service.pid)
        quiet = list_jobs(url, iter([True] * 200))
        before = process.memory_info().rss
        with started("--send", url) as sender:
            start = time.monotonic()
            busy = list_jobs(url, iter(lambda: sender.poll() is None, False))
            took = time.monotonic() - start
            assert sender.returncode == 0, "a notebook was not taken"
        after = process.memory_info().rss
    p99 = percentile(busy, 99)
    return Figure(
        part="heavy",
        name="list-p99-of-100ms",
        value=p99 / LONGEST_SECONDS,
        goal=1.0,
        details={
            "quiet_p99_seconds": percentile(quiet, 99),
            "busy_p99_seconds": p99,
            "busy_longest_seconds": max(busy),
            "lists": len(busy),
            "seconds_of_all_submissions": took,
            "service_mib_before": before // MIB,
            "service_mib_after": after // MIB,
        },
    )


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when the figure is short."""
    parser = argparse.ArgumentParser(prog="bench_heavy", description=__doc__)
    parser.add_argument("--serve", metavar="FOLDER", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--send", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve(options.serve)
        return 0
    if options.send:
        send(options.send)
        return 0
    figure = measure()
    sys.stdout.write(f"{json.dumps(figure.details)}\n")
    return report("heavy", [figure], ("fastapi", "uvicorn", "pydantic"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
