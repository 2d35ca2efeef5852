"""B8: a session from the POST that asks for it to its server's first answer, and ten at once.

Ours against a stock JupyterHub, side by side and used in turn, by the same client. A third is the
stock one without a slow import that our locks leave out, so that the rest of the gain is told
apart. Before the rounds that count each has had a session and has served JupyterLab in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from http import HTTPStatus
from pathlib import Path

from images._tool.lock import read_pins
from tests.bench.figures import Figure, median, percentile, report
from tests.bench.hubs import PATIENCE_SECONDS, People, run_ours, run_stock
from tests.bench.processes import LOCK_OF_STOCK, call_at_once, end_in_order
from tests.site import User

GOALS = {1: 0.35, 10: 0.33}
NAMES = {1: "session", 10: "ten-sessions"}
LOOK_SECONDS = 0.05


def start_session(user: User, options: dict[str, str]) -> None:
    """Ask for a session, and return when its server has answered."""
    asked = time.monotonic()
    answer = user.post_server(options)
    if answer.status_code not in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
        raise SystemExit(f"no session: {answer.status_code} {answer.text[:500]}")
    path = f"/user/{user.name}/api/status"
    while (status := user.api.get(path).status_code) != HTTPStatus.OK:
        if time.monotonic() - asked > PATIENCE_SECONDS:
            raise SystemExit(f"the session of {user.name} answers {status}")
        time.sleep(LOOK_SECONDS)


def start_sessions(people: People, number: int) -> float:
    """Start so many sessions at once; the seconds until the last has answered."""
    asked = time.monotonic()
    call_at_once([partial(start_session, user, people.options) for user in people.users[:number]])
    return time.monotonic() - asked


def stop_sessions(people: People, number: int) -> None:
    """Stop them again."""
    for user in people.users[:number]:
        user.stop_session()


def warm_up(people: People, number: int) -> None:
    """One that does not count: compiled modules, homes, and a look at what is served."""
    start_sessions(people, number)
    people.users[0].wait_for_lab(PATIENCE_SECONDS)
    stop_sessions(people, number)


def measure(rounds: dict[int, int]) -> list[Figure]:
    """All hubs in turn.

    Args:
        rounds: by the number of sessions at once, how often.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        hubs = {
            "ours": stack.enter_context(run_ours(Path(folder) / "ours")),
            "stock": stack.enter_context(run_stock(Path(folder) / "stock")),
            "mended": stack.enter_context(run_stock(Path(folder) / "mended", mended=True)),
        }
        for people in hubs.values():
            warm_up(people, 1)
        figures: list[Figure] = []
        for number, times in rounds.items():
            seconds: dict[str, list[float]] = {name: [] for name in hubs}
            for _ in range(times):
                for name, people in hubs.items():
                    seconds[name].append(start_sessions(people, number))
                    stop_sessions(people, number)
            if times:
                figures += make_figures(number, seconds)
    return figures


def make_figures(number: int, seconds: Mapping[str, Sequence[float]]) -> list[Figure]:
    """The ratios of the medians."""
    middle = {name: median(each) for name, each in seconds.items()}
    details = {
        "seconds": seconds,
        "p99": {name: percentile(each, 99) for name, each in seconds.items()},
        "stock_versions": read_pins(LOCK_OF_STOCK),
    }
    return [
        Figure(
            "B8",
            NAMES[number] + words,
            middle["ours"] / middle[peer],
            goal,
            details if goal else {},
            f"{middle['ours']:.2f} s against {middle[peer]:.2f} s",
        )
        for peer, words, goal in (
            ("stock", "", GOALS[number]),
            ("mended", ", without slow import", None),
        )
    ]


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_session", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="of one session")
    parser.add_argument("--rounds-of-ten", type=int, default=7, help="of ten sessions at once")
    options = parser.parse_args(arguments)
    end_in_order()
    figures = measure({1: options.rounds, 10: options.rounds_of_ten})
    return report("B8", figures, ("jupyterhub", "jupyterlab", "jupyter-server"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
