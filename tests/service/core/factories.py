"""Objects of the jobs service that are valid unless told otherwise."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from hub_config.platform.catalogue import (
    GIB,
    Catalogue,
    FoldersImage,
    Group,
    Image,
    InstanceClass,
    NodePool,
    Placement,
    Queue,
)
from offline_jobs.contract.request import Request
from offline_jobs.contract.run import ResultRecord
from offline_jobs.contract.states import Reason, State
from offline_jobs.service.model import Attempt, Job, NewJob
from offline_jobs.service.store.store import Store

REQUEST = Request(
    name="markers",
    path="markers.ipynb",
    group="spatial-lab",
    image="notebook",
    machine_class="small",
    kernel={"name": "python3", "source": "image"},
    time_limit_seconds=600,
)
_OfRequest = TypeVar("_OfRequest", NewJob, Job)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_numbers = itertools.count()


def make_notebook(*sources: str) -> dict[str, Any]:
    """A Python notebook with one code cell per source."""
    return {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{number}",
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(sources)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def make_new_job(*sources: str, **changes: Any) -> NewJob:
    """A submission of Ada's; its own idempotency key and digest each time."""
    number = next(_numbers)
    new = NewJob(
        owner="ada",
        request=REQUEST,
        notebook=json.dumps(make_notebook(*sources)),
        idempotency_key=f"key-{number:08}",
        digest=f"{number:064x}",
    )
    return _change(new, changes)


def create_job(store: Store, new: NewJob, *, open_limit: int = 1000) -> tuple[Job, bool]:
    """The job of one submission, stored as the service stores it, and whether it is new."""
    return store.create_jobs([new], open_limit=open_limit)[0]


def make_job(**changes: Any) -> Job:
    """A job that was just accepted."""
    job = Job(
        id="k3j9x0a1b2c3",
        owner="ada",
        request=REQUEST,
        state=State.QUEUED,
        reason=Reason.SERVICE,
        cause=None,
        facts={},
        attempt=1,
        cell=0,
        total=0,
        cell_seconds=(),
        memory_bytes=0,
        memory_peak_bytes=0,
        memory_limit_bytes=0,
        output="offline-jobs/markers/2026-11-24T120000-k3j9x0a1b2c3",
        has_result=False,
        cancel_requested=None,
        cancel_facts={},
        created=NOON,
        started=None,
        ended=None,
        rerun_of=None,
        digest="0" * 64,
    )
    return _change(job, changes)


def _change(made: _OfRequest, changes: dict[str, Any]) -> _OfRequest:
    """The same with other fields, of its own or of its request."""
    asked = {name: changes.pop(name) for name in vars(REQUEST) if name in changes}
    return replace(made, request=replace(made.request, **asked), **changes)


def make_attempt(**changes: Any) -> Attempt:
    """The first attempt of :func:`make_job`, not begun."""
    attempt = Attempt(
        job="k3j9x0a1b2c3",
        number=1,
        object_name="job-k3j9x0a1b2c3-1",
        created=NOON,
        launched=None,
        contacted=None,
        first_cell=None,
        last_contact=None,
        ended=None,
        phase="",
        cell=0,
        total=0,
        memory_bytes=0,
        memory_peak_bytes=0,
        memory_limit_bytes=0,
        log_tail="",
        result=None,
    )
    return replace(attempt, **changes)


def make_record(**changes: Any) -> ResultRecord:
    """The record of a success in two cells."""
    record = ResultRecord(
        job="k3j9x0a1b2c3", attempt=1, outcome="succeeded", exit_code=0, cell=2, total=2
    )
    return replace(record, **changes)


def make_catalogue() -> Catalogue:
    """One group, one image, one class of one core and 2 GiB."""
    placement = Placement(node_pool="pool")
    queue = Queue(weight=1, capability={"cpu": 64, "memory": 512 * GIB})
    return Catalogue(
        folders_image=FoldersImage("registry.example/folders", "1"),
        images={
            "notebook": Image("notebook", "Notebook", "", "registry.example/notebook", "1"),
        },
        classes={
            "small": InstanceClass(
                slug="small",
                name="Small",
                cores=1,
                memory_bytes=2 * GIB,
                architecture="amd64",
                groups=("spatial-lab",),
                session=placement,
                job=placement,
                longest_session_seconds=3600,
                longest_job_seconds=3600,
            )
        },
        node_pools={
            "pool": NodePool("pool", "job", ("c",), "amd64", ("on-demand",), {"cpu": 8}, 64 * GIB),
        },
        groups={"spatial-lab": Group("spatial-lab", "Spatial lab", queue)},
    )
