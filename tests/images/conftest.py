"""Fixtures of the ring of images: each image, built and verified once, kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.image_registry import Trials
from tests.images.building import get_archive, why_not
from tests.images.saved import SavedImage

#: Those that have an environment of a lock, with our own code in it.
ENVIRONMENTS = ("hub", "jobs-service", "notebook", "r")
IMAGES = ("folders", *ENVIRONMENTS)
#: Too large for each run: built by `make test-long` only.
LARGE = ("stomics", "gpu")


def name_params(images: tuple[str, ...]) -> list[object]:
    """Images as parameters of a fixture, the large ones only in the long run."""
    return [*images, *(pytest.param(each, marks=pytest.mark.long) for each in LARGE)]


@cache
def read_image(image: str) -> SavedImage:
    """An image that was built and verified; what was read of it once is kept."""
    return SavedImage(get_archive(image))


@pytest.fixture(scope="session", autouse=True)
def needs_a_builder() -> None:
    """Skip the ring where no image can be built; `.ci/run` accepts no such skip."""
    if reason := why_not():
        pytest.skip(f"needs a builder of images: {reason}")


@pytest.fixture(scope="session", params=name_params(IMAGES))
def saved(request: pytest.FixtureRequest) -> SavedImage:
    """Each of our images in turn."""
    return read_image(request.param)


@pytest.fixture(scope="session", params=name_params(ENVIRONMENTS))
def environment(request: pytest.FixtureRequest) -> SavedImage:
    """Each that has an environment."""
    return read_image(request.param)


@pytest.fixture(scope="session")
def service() -> SavedImage:
    """The image of the jobs service."""
    return read_image("jobs-service")


@pytest.fixture(scope="session")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """Where small images are built."""
    made = Trials(tmp_path_factory.mktemp("trials"))
    yield made
    made.clear()


@pytest.fixture
def store(trials: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `make push` find these images, and no login of this machine's."""
    for name, value in trials.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
