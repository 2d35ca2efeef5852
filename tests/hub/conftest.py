"""Fixtures of the hub ring: one platform that most tests share, and new ones for the rough ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform_fixture import Platform
from tests.site import User


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs for the whole ring; its state folder has a space in its name."""
    shared = Platform(tmp_path_factory.mktemp("hub ring") / "state")
    with shared.running():
        yield shared
    assert "ended (" not in shared.output, shared.output


@pytest.fixture
def fresh_platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform that is not started yet, for one test."""
    own = Platform(tmp_path / "own state")
    yield own
    own.kill_all()


@pytest.fixture
def ada(platform: Platform) -> Iterator[User]:
    """A researcher in two groups, without a session."""
    user = platform.sign_in("ada")
    yield user
    user.stop_session()


@pytest.fixture
def ben(platform: Platform) -> Iterator[User]:
    """A student, without a session."""
    user = platform.sign_in("ben")
    yield user
    user.stop_session()
