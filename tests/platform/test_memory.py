"""What passed is left out until something of it changes, and what did not pass never is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests import memory
from tests.nested import run_pytest

TESTS = """
import os

import pytest

@pytest.mark.upstream
def test_upstream():
    assert not os.environ.get("BROKEN")

@pytest.fixture
def ends_badly():
    yield
    assert not os.environ.get("BROKEN")

@pytest.mark.upstream
def test_that_ends_badly(ends_badly):
    pass

@pytest.mark.upstream
def test_skipped():
    pytest.skip("needs more")

def test_ours():
    pass
"""


RUNS = {"one": (), "two": ("-p", "xdist", "-n", "2")}


def run(folder: Path, *options: str, **variables: str) -> str:
    """Run the tests as `make test-rings` does, with a cache of their own; what it said."""
    ring = folder / "tests" / "node"
    ring.mkdir(parents=True, exist_ok=True)
    (ring / "test_it.py").write_text(TESTS)
    inherited = {k: v for k, v in os.environ.items() if k != "FRESH"}
    environ = inherited | {"NOTEBOOK_HPC_CACHE": str(folder / "cache")} | variables
    plugins = ("-p", "tests.memory", *options)
    return run_pytest(folder, "tests.rings", "--remember", *plugins, environ=environ).stdout


@pytest.mark.parametrize("processes", RUNS.values(), ids=RUNS)
def test_only_what_passed_whole_is_left_out(tmp_path: Path, processes: tuple[str, ...]) -> None:
    assert "1 failed, 2 passed, 1 skipped, 1 error" in run(tmp_path, *processes, BROKEN="1")
    assert "3 passed, 1 skipped" in run(tmp_path, *processes)

    said = run(tmp_path, *processes)

    assert "1 passed, 1 skipped" in said
    assert re.search(r"^node +2 +2 ", said, re.MULTILINE), said
    assert "3 passed, 1 skipped" in run(tmp_path, *processes, FRESH="1")


def test_a_change_of_what_the_bed_reads_brings_all_back(tmp_path: Path) -> None:
    assert "3 passed" in run(tmp_path)
    assert "1 passed" in run(tmp_path)
    (tmp_path / "helm-values").mkdir()
    (tmp_path / "helm-values" / "volcano.yaml").write_text("{}")

    assert "3 passed" in run(tmp_path)


def test_it_fades(tmp_path: Path) -> None:
    assert "3 passed" in run(tmp_path)
    for stamp in (tmp_path / "cache" / "passed").iterdir():
        old = stamp.stat().st_mtime - memory.DAYS * 86_400
        os.utime(stamp, (old, old))

    assert "3 passed" in run(tmp_path)


def test_a_test_depends_on_all_that_its_files_import(tmp_path: Path) -> None:
    texts = {
        "tests/node/test_it.py": "from tests import rings\nfrom tests.bed import client\n",
        "tests/node/conftest.py": "def late():\n    import hub_config.pods\n",
        "tests/bed/__init__.py": "",
        "tests/bed/client.py": "from offline_jobs.contract.run import Launch\n",
        "tests/bed/other.py": "",
        "tests/bed/fixtures.py": "import json\n",
        "tests/rings.py": "import tests.lanes\n",
        "tests/lanes.py": "",
        "hub_config/pods.py": "import hub_config.errors as errors\n",
        "hub_config/errors.py": "import hub_config.pods\n",
        "extensions/offline_jobs/offline_jobs/contract/run.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    given = [tmp_path / "tests/node/test_it.py", tmp_path / "tests/node/conftest.py"]

    found = {each.relative_to(tmp_path).as_posix() for each in memory.find_sources(given, tmp_path)}

    apart = {"tests/bed/other.py", "tests/bed/fixtures.py", "tests/rings.py", "tests/lanes.py"}
    assert found == texts.keys() - apart


@pytest.mark.parametrize("changed", ["test_it.py", "conftest.py"])
def test_a_change_of_a_file_is_another_hash(tmp_path: Path, changed: str) -> None:
    for name in ("test_it.py", "conftest.py"):
        (tmp_path / name).write_text("1\n")
    before = memory.hash_file(tmp_path / "test_it.py", tmp_path)
    memory.hash_file.cache_clear()
    assert memory.hash_file(tmp_path / "test_it.py", tmp_path) == before

    memory.hash_file.cache_clear()
    (tmp_path / changed).write_text("2\n")

    assert memory.hash_file(tmp_path / "test_it.py", tmp_path) != before
