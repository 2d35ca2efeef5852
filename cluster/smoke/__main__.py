"""``python -m cluster.smoke``: what `make smoke` runs."""

import argparse
import getpass
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster.smoke.person import Person, SmokeFailed
from cluster.smoke.probe import SESSION_PORT, build_code, find_wrong, read_found

#: Variable with the person's token; asked for where it is not set.
TOKEN = "NOTEBOOK_HPC_TOKEN"  # noqa: S105  (a variable's name)
#: Minutes that a job may take, the start of its machine included.
JOB_MINUTES = 40.0


@dataclass
class Report:
    """What went as it should and what did not.

    Attributes:
        is_right: whether everything did so far.
    """

    is_right: bool = True

    def add(self, part: str, sentence: str, *, is_right: bool = True) -> None:
        """Tell one finding."""
        self.is_right = self.is_right and is_right
        _say(f"{'ok   ' if is_right else 'WRONG'}  {part}: {sentence}")


def main(arguments: Sequence[str]) -> int:
    """Try what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cluster.smoke")
    parser.add_argument("--url", required=True, help="of the hub, as browsers have it")
    parser.add_argument("--group", default="", help="slug of the group that is charged")
    parser.add_argument("--classes", default="", help="slugs with commas, or `all`")
    options = parser.parse_args(arguments)
    token = os.environ.get(TOKEN) or getpass.getpass("Token (hub's page Token): ")
    report = Report()
    try:
        with Person(options.url, token.strip(), _say) as person:
            _try_all(person, options, report)
    except SmokeFailed as error:
        report.add(options.url, str(error), is_right=False)
    except KeyboardInterrupt:
        _say("Ended. A session or jobs called smoke may be left: the hub's pages end them.")
        return 130
    return 0 if report.is_right else 1


def _try_all(person: Person, options: argparse.Namespace, report: Report) -> None:
    catalogue = person.load_catalogue()
    report.add("sign-in", person.name)
    if person.find_session():
        raise SmokeFailed(f"{person.name} has a session, which this would end: stop it first")
    choices = _choose(catalogue, options.group, options.classes)
    prices = {each["slug"]: each["price_per_hour"] for each in catalogue["classes"]}
    currency = catalogue["classes"][0]["currency"]
    total = 2 * sum(prices[each["class"]] for each in choices)
    _say(f"At once at most machines for {total:.2f} {currency} an hour.")
    for choice in choices:
        try:
            _try(person, choice, report)
        finally:
            person.stop_session()


def _choose(catalogue: dict[str, Any], group: str, classes: str) -> list[dict[str, str]]:
    """What is tried: for each class the default image, or where that cannot be, another one.

    Raises:
        SmokeFailed: there is no such group or class for this person.
    """
    group = group or catalogue["defaults"]["group"]
    there = [
        each["slug"]
        for each in catalogue["classes"]
        if each["available"] and group in each["groups"]
    ]
    wanted = there if classes == "all" else classes.split(",") if classes else []
    wanted = wanted or [catalogue["defaults"]["class"]]
    if unknown := [each for each in wanted if each not in there]:
        raise SmokeFailed(
            f"group {group} has no class {', '.join(unknown)} here; it has {', '.join(there)}"
        )
    usual = catalogue["defaults"]["image"]
    chosen = []
    for slug in wanted:
        images = [image for image, machine in catalogue["pairs"] if machine == slug]
        if not images:
            raise SmokeFailed(f"no image goes with class {slug}")
        image = usual if usual in images else images[0]
        chosen.append({"group": group, "image": image, "class": slug})
    return chosen


def _try(person: Person, choice: dict[str, str], report: Report) -> None:
    """Try a class: a session and a cell in it, and beside it a job and its result."""
    session, job = f"session on {choice['class']}", f"job on {choice['class']}"
    _say(f"{session}, image {choice['image']}, charged to {choice['group']} ...")
    began = time.monotonic()
    address = ""
    try:
        person.start_session(choice)
        report.add(session, f"answers after {time.monotonic() - began:.0f} s")
        found = read_found(person.run_cell(build_code()))
        address = _judge(session, found, report)
    except SmokeFailed as error:
        report.add(session, str(error), is_right=False)
    _say(f"{job} ...")
    try:
        # Whoever runs here must not get at whoever runs there.
        others = [(address, SESSION_PORT)] if address else []
        name = person.submit(_build_notebook(build_code(others)), choice)
        ended = person.wait_for_job(name, JOB_MINUTES * 60)
        if ended["state"] != "succeeded":
            raise SmokeFailed(f"{ended['state']}: {ended['sentence']} {ended['next_step'] or ''}")
        report.add(job, f"{ended['sentence']}; {_tell_wait(ended)}")
        _judge(job, read_found(_get_printed(person.read_result(name))), report)
        person.forget_job(name)
    except SmokeFailed as error:
        report.add(job, str(error), is_right=False)


def _judge(part: str, found: dict[str, Any] | None, report: Report) -> str:
    """Tell what a cell found; the address of its pod, where it runs in one."""
    if found is None:
        report.add(f"cell of {part}", "it printed nothing", is_right=False)
        return ""
    report.add(f"cell of {part}", f"Python {found['python']}")
    if not found["in_cluster"]:
        _say("       One machine: what a pod may reach is not looked at.")
        return ""
    wrong = list(find_wrong(found))
    for sentence in wrong:
        report.add(f"network of {part}", sentence, is_right=False)
    if not wrong:
        report.add(f"network of {part}", "metadata, Kubernetes and other pods are out of reach")
    return str(found["address"])


def _build_notebook(code: str) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "probe", "metadata": {}, "source": code, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel},
        "cells": [{**cell, "execution_count": None}],
    }


def _get_printed(notebook: dict[str, Any]) -> str:
    """What the cells of an executed notebook printed."""
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", ()))
    texts = (each["text"] for each in outputs if each["output_type"] == "stream")
    return "".join(text if isinstance(text, str) else "".join(text) for text in texts)


def _tell_wait(job: dict[str, Any]) -> str:
    created, started = (datetime.fromisoformat(job[key]) for key in ("created", "started"))
    return f"began after {(started - created).total_seconds():.0f} s"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
