"""Files of the home are whole at every moment, whatever happens while they are written."""

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from offline_jobs.contract.run import ResultRecord
from offline_jobs.runner.saving import HomeCopier, OutputLostError, write_file
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
        self._copier = HomeCopier(
            self.folder.parent, self.folder.name, NOTEBOOK, 1, self._local, lambda: self._log
        )
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


def test_a_link_leads_where_it_led_and_the_mode_stays(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "target", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o664)
    link.symlink_to("real/target")
    write_file(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o664
    assert [path.name for path in real.parent.iterdir()] == ["target"]


def test_all_names_of_a_file_show_what_was_written(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"a longer text than the next")
    second.hardlink_to(first)
    write_file(first, b"new")
    assert second.read_bytes() == b"new"


def test_what_is_no_regular_file_is_written_into(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_file(pipe, b"new")
    reader.join(10)
    assert seen == [b"new"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("\N{LATIN SMALL LETTER E WITH ACUTE}" * 127)
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
