"""Fixtures of the web ring: a running service, and who calls it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import running_chromium
from tests.service.web.factories import Client, Service, running_service


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service of a file: its start and its end take longer than most tests."""
    with running_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """A service that has never had a job."""
    running.empty()
    with ExitStack() as clients:
        yield replace(running, clients=clients)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def ada(service: Service) -> Client:
    return service.client("ada")


@pytest.fixture
def ben(service: Service) -> Client:
    return service.client("ben")
