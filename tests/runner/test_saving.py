"""Files of the home are whole at every moment, whatever happens while they are written."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offline_jobs.contract.run import ResultRecord
from offline_jobs.runner.saving import HomeCopier, OutputLostError
from tests.files import largest_file, reading

NOTEBOOK, LOG, RECORD = FILES = ("markers.ipynb", "log.txt", "run.json")
LARGE = 2 * 2**20


class Home:
    """The folder of one attempt, and what is copied there."""

    def __init__(self, path: Path) -> None:
        self.folder = path / "home"
        self._local = path / "local.ipynb"
        self._log = b""
        self._record = ResultRecord("k3j9x0a1b2c3", 1, "succeeded", 0)
        self._copier = HomeCopier(self.folder, NOTEBOOK, 1, self._local, lambda: self._log)
        self.change(*FILES, content=b"old")
        self._copier.start()

    def change(self, *names: str, content: bytes) -> None:
        """Give these files another content, where they are copied from."""
        if NOTEBOOK in names:
            self._local.write_bytes(content)
        if LOG in names:
            self._log = content
        if RECORD in names:
            self._record = replace(self._record, message=content.decode())

    def copy(self) -> None:
        """Copy everything now."""
        self._copier.finish(self._record, tries=1)

    def read(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.copy()


@pytest.mark.parametrize("name", FILES)
def test_a_reader_sees_the_whole_old_or_the_whole_new_file(home: Home, name: str) -> None:
    versions = []
    for letter in (b"a", b"b"):
        home.change(name, content=letter * LARGE)
        home.copy()
        versions.append(home.read()[name])
    with (home.folder / name).open("rb") as earlier, reading(home.folder / name, versions) as seen:
        for turn in range(10):
            home.change(name, content=(b"a", b"b")[turn % 2] * LARGE)
            home.copy()
        assert earlier.read() == versions[1]
    assert seen.reads
    assert seen.torn == []


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_amid_a_write_leaves_the_earlier_files_whole(home: Home, name: str) -> None:
    home.copy()
    before = home.read()
    home.change(name, content=b"n" * (2 * LARGE))
    with largest_file(LARGE), pytest.raises(OutputLostError, match="File too large"):
        home.copy()
    assert home.read() == before
    home.copy()
    assert home.read()[name] != before[name]
