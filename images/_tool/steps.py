"""Runs the steps of a set-up side by side, in the order that they need each other.

Place in the path: `environment` describes what there is to do as steps, this module does it and
tells the person in front of the terminal: a line when a step starts to work, a line with seconds
when it is done. Standard library only. Imported by everything in `images/_tool`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

log = logging.getLogger("notebook-hpc")


class StepFailed(Exception):
    """A step could not be done; the message is for the person who typed the command."""


@dataclass(frozen=True)
class Step:
    """One thing to have.

    Attributes:
        name: what a person reads.
        needs: names of the steps that must be done before.
        is_done: tells cheaply whether there is nothing to do; asked when all needs are met.
        make: does it.
    """

    name: str
    needs: tuple[str, ...]
    is_done: Callable[[], bool]
    make: Callable[[], None]


def select_steps(steps: Iterable[Step], wanted: Iterable[str]) -> dict[str, Step]:
    """Select the wanted steps and all that they need."""
    known = {step.name: step for step in steps}
    selected: dict[str, Step] = {}
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in selected:
            selected[name] = known[name]
            waiting.extend(known[name].needs)
    return selected


def run_steps(steps: Mapping[str, Step], workers: int) -> int:
    """Run all steps, each after its needs, and return how many had something to do.

    Raises:
        StepFailed: the first failure; steps that run already are awaited, no other is started.
    """
    left = dict(steps)
    done: set[str] = set()
    running: dict[Future[bool], str] = {}
    made = 0
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="step") as pool:
        while left or running:
            for name in [n for n, step in left.items() if done.issuperset(step.needs)]:
                running[pool.submit(_run_step, left.pop(name))] = name
            if not running:
                raise StepFailed(f"these steps need each other: {', '.join(sorted(left))}")
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                made += future.result()
                done.add(name)
    return made


def _run_step(step: Step) -> bool:
    """Do one step where it is not done yet."""
    if step.is_done():
        return False
    threading.current_thread().name = step.name
    log.info("  %-28s ...", step.name)
    started = time.monotonic()
    step.make()
    log.info("  %-28s %5.1f s", step.name, time.monotonic() - started)
    return True
