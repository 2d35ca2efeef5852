"""Fixtures of the web ring: a running service, and who calls it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.web.factories import Client, Service, running_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path) as running:
        yield running


@pytest.fixture
def ada(service: Service) -> Client:
    return service.client("ada")


@pytest.fixture
def ben(service: Service) -> Client:
    return service.client("ben")
