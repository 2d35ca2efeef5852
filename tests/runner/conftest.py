"""Fixtures of the runner's ring: attempts that leave nothing behind, a service that remembers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner.attempts import Attempt, make_specification
from tests.runner.recording_service import TOKEN, RecordingService


@pytest.fixture
def make_attempt(tmp_path: Path) -> Iterator[Callable[..., Attempt]]:
    """Make an attempt from code cells; ``environment`` and fields of the specification by name."""
    made: list[Attempt] = []

    def make(*cells: str, environment: dict[str, str] | None = None, **fields: Any) -> Attempt:
        attempt = Attempt(tmp_path, make_specification(*cells, **fields), environment or {})
        attempt.scratch = Path(scratch)
        made.append(attempt)
        return attempt

    with tempfile.TemporaryDirectory() as scratch:
        yield make
        for attempt in made:
            attempt.end()


@pytest.fixture
def serve() -> Iterator[Callable[[Attempt], RecordingService]]:
    """Start a service for an attempt, which then reads its specification there."""
    made: list[RecordingService] = []

    def start(attempt: Attempt) -> RecordingService:
        service = RecordingService(attempt.specification)
        attempt.environment |= {"OFFLINE_JOB_URL": service.url, "OFFLINE_JOB_TOKEN": TOKEN}
        made.append(service)
        return service

    yield start
    for service in made:
        service.stop()
