"""What every image that people work in must be: a session and a job find all that they need.

Place in the path: run inside a built image. Imported by `verify.py` of `notebook` and of all images
that are built by its Dockerfile.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
import tempfile
from pathlib import Path

from images._inside.checks import COMMON, Wrong, import_all, run

IMAGES = Path(__file__).resolve().parents[1]
#: What some packages put beside their modules by mistake.
NO_LIBRARIES = {"conftest", "docs", "examples", "test", "tests"}
#: Of the path of a package's `__init__.py`.
TOP_PARTS = 2
EXAMPLES = Path("/usr/local/share/notebook-hpc/examples")
OURS = ("offline_jobs.server_extension", "offline_jobs.runner.execution", "offline_jobs.contract")
FIND_ENGINE = "from papermill.engines import papermill_engines as e; e.get_engine('offline-jobs')"
CELL = "import numpy; print(numpy.arange(4).sum())"


def check_own_packages() -> str:
    """What sessions and jobs run can be imported."""
    import_all(("jupyterlab", "jupyterhub.singleuser", "papermill", *OURS))
    return "Lab, papermill and our own packages can be imported"


def check_extensions() -> str:
    """The Lab extension and the server extension are enabled, in a home that knows nothing."""
    with tempfile.TemporaryDirectory() as home:
        lab = run("jupyter", "labextension", "list", environ={"HOME": home})
        server = run("jupyter", "server", "extension", "list", environ={"HOME": home})
    if not any("offline-jobs" in line and "OK" in line for line in lab.splitlines()):
        raise Wrong(f"the Lab extension is not enabled: {lab}")
    if not any("offline_jobs" in line and "enabled" in line for line in server.splitlines()):
        raise Wrong(f"the server extension is not enabled: {server}")
    settings = Path(sys.prefix) / "etc" / "jupyter" / "labconfig"
    if not list(settings.glob("*.json")):
        raise Wrong(f"Lab's settings are missing in {settings}")
    return "Lab extension and server extension are enabled"


def check_kernel() -> str:
    """A kernel runs a notebook through papermill and our engine's entry point is known."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": "one",
                "source": CELL,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.ipynb", Path(folder) / "out.ipynb"
        source.write_text(json.dumps(notebook), encoding="utf-8")
        run("papermill", str(source), str(target), environ={"HOME": folder})
        (cell,) = json.loads(target.read_text(encoding="utf-8"))["cells"]
        left = [path.name for path in Path(folder).rglob("*.sqlite")]
    if cell["outputs"][0]["text"] != ["6\n"]:
        raise Wrong(f"the cell printed {cell['outputs']}")
    if left:
        raise Wrong(f"the kernel keeps databases in the home: {left}")
    run("python", "-c", FIND_ENGINE)
    return "a kernel runs a notebook"


def check_server() -> str:
    """The command of a session starts; it then says that no hub called it."""
    said = run(sys.executable, "-s", "-P", "-m", "jupyterhub.singleuser", "--version")
    return f"jupyterhub-singleuser {said.strip()}"


def check_git() -> str:
    """The record of a run names the commit of the notebook's folder."""
    return run("git", "--version").strip()


def check_start() -> str:
    """A new home gets the examples once; what is there already stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        home = {"HOME": folder}
        if run("start", "echo", "one", environ=home) != "one\n":
            raise Wrong("start does not become the command")
        if run("start", "sh", "-c", "cat /proc/$PPID/comm", environ=home) != "tini\n":
            raise Wrong("start puts no init process above the command")
        copied = sorted(path.name for path in (Path(folder) / "examples").iterdir())
        if copied != sorted(path.name for path in EXAMPLES.iterdir()) or not copied:
            raise Wrong(f"copied {copied}")
        changed, removed = (Path(folder) / "examples" / name for name in copied[:2])
        changed.write_text("mine", encoding="utf-8")
        removed.unlink()
        run("start", "true", environ=home)
        if changed.read_text(encoding="utf-8") != "mine" or removed.exists():
            raise Wrong("start changes what the user changed")
        if [path.name for path in Path(folder).iterdir()] != ["examples"]:
            raise Wrong("start leaves something beside the examples")
        Path(folder).chmod(0o500)
        said = run("start", "echo", "two", environ={"HOME": str(Path(folder) / "none")})
        Path(folder).chmod(0o700)
        if said.splitlines()[-1] != "two":
            raise Wrong(f"a broken home keeps the start from coming: {said}")
    return f"start copies {len(copied)} examples into a new home, once"


def import_requirements(image: str) -> str:
    """Import all that an image's own list of requirements asks for.

    Raises:
        Wrong: something is not installed, or cannot be imported.
    """
    asked = list_requirements((IMAGES / image / "requirements.in").read_text(encoding="utf-8"))
    modules = [module for name in asked for module in find_modules(name)]
    import_all(modules)
    return f"can be imported: {', '.join(modules) or 'nothing was asked for besides'}"


def list_requirements(text: str) -> list[str]:
    """List the packages that a list of requirements names itself."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [re.split(r"[\[<>=!~; ]", line)[0] for line in lines if line and line[0] != "-"]


def find_modules(package: str) -> list[str]:
    """Find the modules that a package has at its top, without those of its tests and such.

    Raises:
        Wrong: it is not installed.
    """
    try:
        files = importlib.metadata.distribution(package).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise Wrong(f"{package} is not installed") from error
    found = set()
    for file in files:
        top = file.parts[0]
        is_package = len(file.parts) == TOP_PARTS and file.name == "__init__.py"
        if is_package or (len(file.parts) == 1 and file.suffix in (".py", ".so")):
            found.add(top.split(".")[0])
    return sorted(name for name in found - NO_LIBRARIES if name[0] != "_")


def verify_as(image: str) -> str:
    """Verify this image by the checks of another one, of which it has all.

    Raises:
        Wrong: it is not all that that one must be.
    """
    script = IMAGES / image / "verify.py"
    said = run(sys.executable, "-s", "-B", str(script), environ={"PYTHONPATH": str(IMAGES.parent)})
    return f"as {image}: {'; '.join(said.splitlines())}"


#: Of every image that people work in.
OF_A_SESSION = (
    *COMMON,
    check_own_packages,
    check_extensions,
    check_kernel,
    check_server,
    check_git,
    check_start,
)
