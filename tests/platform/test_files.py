"""What no file of the project may hold."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.platform.checkout import ROOT, list_files

# Written in pieces, so that this file does not hold what it looks for.
FOLDERS = "|".join(["root", "work", "Users", "mnt"])
MACHINE_PATH = re.compile(rf"(?<![\w.~$}}/-])/(?:{FOLDERS})/\w")
REGISTRY = re.compile("|".join(["py" + r"pi\.org", "pythonhosted" + r"\.org", "npm" + r"js\.org"]))
REGISTRY_OF_YARN = re.compile("registry" + r"\.yarn" + "pkg")
BINARY = {".png", ".webp", ".jpg", ".ico", ".woff2", ".gz", ".whl"}


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    """Find the lines of text files that match a pattern."""
    found = []
    for path in list_files():
        if path.suffix in BINARY:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
    return found


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert not find_lines(MACHINE_PATH)


@pytest.mark.parametrize("pattern", [REGISTRY, REGISTRY_OF_YARN], ids=["registries", "yarn"])
def test_no_file_names_a_registrys_host(pattern: re.Pattern[str]) -> None:
    assert not find_lines(pattern)


def test_no_file_is_left_half_done() -> None:
    assert not find_lines(re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b"))


def test_packages_say_nothing_in_their_init_files() -> None:
    spoken = {"hub_config/logins", "offline_jobs/offline_jobs", "offline_jobs/server_extension"}
    spoken |= {"stereo_seq/stereo_seq"}
    for path in list_files():
        if path.name == "__init__.py" and path.read_text(encoding="utf-8").strip():
            place = path.parent.relative_to(ROOT).as_posix()
            assert any(place.endswith(allowed) for allowed in spoken), path


@pytest.mark.parametrize("package", ["contract", "runner"])
def test_what_jobs_import_loads_no_server(package: str) -> None:
    folder = ROOT / "extensions" / "offline_jobs" / "offline_jobs" / package
    names = [p.stem for p in folder.glob("*.py") if not p.stem.startswith("__")]
    assert names
    imports = "\n".join(f"import offline_jobs.{package}.{name}" for name in sorted(names))
    unwanted = ["jupyter_server", "fastapi", "sqlalchemy", "hub_config", "jupyterhub"]
    if package == "contract":
        unwanted += ["tornado", "traitlets", "pydantic", "papermill", "psutil"]
    # papermill loads its engines while it is itself being loaded, so it has to come first.
    first = "import papermill" if package == "runner" else ""
    code = f"import sys\n{first}\n{imports}\nprint(*[n for n in {unwanted} if n in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == ""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # What is refused is refused before the application is imported.
        ("offline_jobs.service.__main__", "fastapi uvicorn sqlalchemy httpx"),
        # A notebook, an old database, a cluster and a bucket bring theirs when they come.
        (
            "offline_jobs.service.app",
            "papermill nbformat nbclient alembic kubernetes boto3 botocore jupyterhub",
        ),
        ("hub_config.embedded.__main__", "jupyterhub sqlalchemy tornado traitlets"),
    ],
)
def test_what_starts_loads_only_what_it_needs(module: str, unwanted: str) -> None:
    code = f"import sys, {module}\nprint(*[n for n in {unwanted.split()} if n in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == ""
