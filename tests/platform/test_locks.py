"""Locks: complete, with hashes, without addresses, and of one mind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from images._tool.lock import ALONE, NEXT_HUB, OF_OTHERS, OVERRIDES, read_pins
from tests.platform.checkout import ROOT, list_files, list_locks

ADDRESS = re.compile(r"\w+://|--(extra-)?index-url|--find-links|\s@\s")
LOCKS = {path.relative_to(ROOT).as_posix(): path for path in list_locks()}
YARN_LOCKS = sorted(path for path in list_files() if path.name == "yarn.lock")


def read_requirements(lock: Path) -> list[str]:
    """Read the requirements of a lock, each as one line with its hashes."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_every_list_of_requirements_has_its_lock() -> None:
    folders = (".", "images/*", f"{OF_OTHERS}/*")
    sources = [path for folder in folders for path in ROOT.glob(f"{folder}/requirements*.in")]
    wanted = {p.relative_to(ROOT).with_suffix(".txt").as_posix() for p in sources}
    assert wanted - {f"{OVERRIDES}.txt"} == set(LOCKS)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_everything_with_hashes_and_names_no_address(name: str) -> None:
    requirements = read_requirements(LOCKS[name])
    assert requirements
    for requirement in requirements:
        assert re.match(r"^[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement
    assert not ADDRESS.search(LOCKS[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", YARN_LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_yarn_lock_names_no_address_and_checks_what_it_gets(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "resolution: " in text
    assert not re.search(r"\w+://", text)
    entries = [part for part in text.split("\n\n") if "@npm:" in part]
    unchecked = [e for e in entries if "checksum:" not in e and "conditions:" not in e]
    assert not unchecked


@pytest.mark.parametrize("lock", YARN_LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_yarn_lock_was_made_with_the_settings_beside_it(lock: Path) -> None:
    # yarn silently checks nothing when a lock was made at another level of compression.
    settings = lock.with_name(".yarnrc.yml").read_text(encoding="utf-8")
    level = re.search(r"^compressionLevel: (\d)", settings, re.MULTILINE)
    assert level is not None
    assert re.search(rf"^  cacheKey: \d+c{level[1]}$", lock.read_text(encoding="utf-8"), re.M)


def test_what_two_locks_pin_is_equal() -> None:
    versions: dict[str, set[str]] = {}
    for name, lock in LOCKS.items():
        for package, version in read_pins(lock).items():
            if package not in ALONE.get(name.removesuffix(".txt"), ()):
                versions.setdefault(package, set()).add(version)
    assert len(versions) > 100
    assert not {package: found for package, found in versions.items() if len(found) > 1}


def test_the_lock_that_stands_alone_has_the_next_hub() -> None:
    assert read_pins(ROOT / f"{NEXT_HUB}.txt")["jupyterhub"].startswith("6.1.")
    assert read_pins(ROOT / "requirements.txt")["jupyterhub"] == "5.5.4"


def test_an_image_holds_all_that_its_tests_use() -> None:
    dev = read_pins(ROOT / "requirements-dev.txt")
    for name in ("requirements.txt", "requirements-build.txt", "images/notebook/requirements.txt"):
        assert read_pins(ROOT / name).keys() <= dev.keys()


def test_no_lock_of_ours_installs_the_package_that_slows_every_start() -> None:
    for name, lock in LOCKS.items():
        found = re.search(r"^rfc3987-syntax.*$", lock.read_text(encoding="utf-8"), re.M)
        is_installed = found is not None and "python_full_version < '0'" not in found[0]
        # Those that we are measured against have what everybody gets.
        assert is_installed == name.startswith(OF_OTHERS), name
        assert ("lark" in read_pins(lock)) == is_installed, name
    code = (
        "import nbformat, sys; sys.exit('rfc3987_syntax' in sys.modules or 'lark' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
