"""What every image that people work in must be: a session and a job find all that they need.

Place in the path: run inside a built image. Imported by `verify.py` of `notebook` and of all images
that are built by its Dockerfile.
"""

from __future__ import annotations

import http.server
import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from images._inside.checks import COMMON, Wrong, import_all, run

IMAGES = Path(__file__).resolve().parents[1]
#: What some packages put beside their modules by mistake.
NO_LIBRARIES = {"conftest", "docs", "examples", "test", "tests"}
#: Of the path of a package's `__init__.py`.
TOP_PARTS = 2
EXAMPLES = Path("/usr/local/share/notebook-hpc/examples")
OURS = ("offline_jobs.server_extension", "offline_jobs.runner.execution", "offline_jobs.contract")
FIND_ENGINE = "from papermill.engines import papermill_engines as e; e.get_engine('offline-jobs')"
LAB_EXTENSIONS = ("offline-jobs", "@jupyter-widgets/jupyterlab-manager", "jupyter-matplotlib")
STARTS_WITHIN_SECONDS = 120
WIDGET, PNG = "application/vnd.jupyter.widget", "image/png"
SLIDER = "import ipywidgets; ipywidgets.IntSlider(7)"
DRAW = "import matplotlib.pyplot as p; f = p.figure(); p.plot([1, 3, 2])"
MOVABLE_FIGURE = f"%matplotlib widget\n{DRAW}; p.show()"
FIGURE = f"%matplotlib inline\n{DRAW}; p.show()"
EMPTY = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
CELL = "import numpy; print(numpy.arange(4).sum())"


def check_own_packages() -> str:
    """What sessions and jobs run can be imported."""
    import_all(("jupyterlab", "jupyterhub.singleuser", "papermill", *OURS))
    return "Lab, papermill and our own packages can be imported"


def check_extensions() -> str:
    """Lab's extensions and the server extension are enabled, in a home that knows nothing."""
    with tempfile.TemporaryDirectory() as home:
        lab = run("jupyter", "labextension", "list", environ={"HOME": home})
        server = run("jupyter", "server", "extension", "list", environ={"HOME": home})
    for name in LAB_EXTENSIONS:
        if not any(name in line and "OK" in line for line in lab.splitlines()):
            raise Wrong(f"the Lab extension {name} is not enabled: {lab}")
    if not any("offline_jobs" in line and "enabled" in line for line in server.splitlines()):
        raise Wrong(f"the server extension is not enabled: {server}")
    settings = Path(sys.prefix) / "etc" / "jupyter" / "labconfig"
    if not list(settings.glob("*.json")):
        raise Wrong(f"Lab's settings are missing in {settings}")
    return f"enabled in Lab: {', '.join(LAB_EXTENSIONS)}; and the server extension"


def check_kernel() -> str:
    """A kernel runs a notebook through papermill and our engine's entry point is known."""
    with tempfile.TemporaryDirectory() as home:
        (cell,) = run_notebook(Path(home), CELL)["cells"]
        # As in a session: papermill's kernels keep no history anywhere.
        run("ipython", "-c", "1", environ={"HOME": home})
        check_no_databases(Path(home))
    if cell["outputs"][0]["text"] != ["6\n"]:
        raise Wrong(f"the cell printed {cell['outputs']}")
    run("python", "-c", FIND_ENGINE)
    return "a kernel runs a notebook"


def check_no_databases(home: Path) -> None:
    """See that no database lies in a home, which is on a network file system."""
    if left := [path.name for kind in ("*.sqlite", "*.db") for path in home.rglob(kind)]:
        raise Wrong(f"a database is kept in the home: {', '.join(left)}")


def check_figures() -> str:
    """A kernel makes widgets and figures, and a report of them can be made."""
    with tempfile.TemporaryDirectory() as home:
        made = run_notebook(Path(home), SLIDER, MOVABLE_FIGURE, FIGURE)
        run("jupyter", "nbconvert", "--to", "html", f"{home}/out.ipynb", environ={"HOME": home})
        report = (Path(home) / "out.html").read_text(encoding="utf-8")
    slider, movable, figure = ([o.get("data", {}) for o in c["outputs"]] for c in made["cells"])
    models = made["metadata"]["widgets"][f"{WIDGET}-state+json"]["state"].values()
    if {f"{WIDGET}-view+json"} - slider[-1].keys() or "IntSliderModel" not in {
        model["model_name"] for model in models
    }:
        raise Wrong(f"the slider is no widget: {slider}")
    if {f"{WIDGET}-view+json", PNG} - movable[-1].keys():
        raise Wrong(f"ipympl draws no figure: {[part.keys() for part in movable]}")
    if PNG not in figure[-1] or f"data:{PNG};base64,{figure[-1][PNG][:40]}" not in report:
        raise Wrong("the report of a notebook has not its figure")
    return "a kernel makes widgets, movable and plain figures, and nbconvert a report in HTML"


def run_notebook(home: Path, *sources: str) -> dict[str, Any]:
    """Run a notebook of some cells in a home, through papermill; return it executed."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
    }
    notebook = {
        "cells": [cell | {"id": f"c{n}", "source": source} for n, source in enumerate(sources)],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    source, target = home / "in.ipynb", home / "out.ipynb"
    source.write_text(json.dumps(notebook), encoding="utf-8")
    run("papermill", str(source), str(target), environ={"HOME": str(home)})
    executed: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return executed


def check_notebook_app() -> str:
    """Notebook 7 answers, for those who prefer it to Lab."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "notebook", "--no-browser", "--IdentityProvider.token="]
    with tempfile.TemporaryDirectory() as home, (Path(home) / "log").open("w+") as log:
        server = subprocess.Popen(
            [*command, "--ip=127.0.0.1", f"--port={port}", f"--ServerApp.root_dir={home}"],
            env={**os.environ, "HOME": home},
            stderr=log,
        )
        try:
            page = fetch(f"http://127.0.0.1:{port}/tree", server)
            (Path(home) / "own.ipynb").write_text(EMPTY, encoding="utf-8")
            # It looks whether the notebook is one that its user trusts.
            fetch(f"http://127.0.0.1:{port}/api/contents/own.ipynb", server)
            check_no_databases(Path(home))
        except OSError as error:
            log.seek(0)
            raise Wrong(f"Notebook does not answer: {error}; {log.read()}") from error
        finally:
            server.terminate()
            server.wait()
    if "@jupyter-notebook/" not in page:
        raise Wrong(f"this is no page of Notebook: {page[:200]}")
    return f"Notebook answers ({run('jupyter', 'notebook', '--version').strip()})"


def fetch(url: str, server: subprocess.Popen[bytes]) -> str:
    """Fetch a page of a server that is starting, for at most two minutes.

    Raises:
        OSError: it does not answer, or has ended.
    """
    end = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=STARTS_WITHIN_SECONDS) as answer:  # noqa: S310
                page: bytes = answer.read()
            return page.decode()
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)


def check_s3() -> str:
    """The S3 command takes the credentials that a pod's identity gives."""
    given = {"AccessKeyId": "of-the-pod", "SecretAccessKey": "s", "Token": "t"}
    given["Expiration"] = "2999-01-01T00:00:00Z"

    class Agent(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Give credentials to whoever shows the token, as the agent on a node does."""
            known = self.headers["Authorization"] == "from-the-file"
            self.send_response(200 if known else 403)
            self.end_headers()
            self.wfile.write(json.dumps(given).encode() if known else b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with (
        tempfile.TemporaryDirectory() as home,
        http.server.HTTPServer(("127.0.0.1", 0), Agent) as agent,
    ):
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        token = Path(home) / "token"
        token.write_text("from-the-file", encoding="utf-8")
        environ = {
            "HOME": home,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{agent.server_port}/v1",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        }
        said = run("aws", "configure", "list", environ=environ)
        agent.shutdown()
    # It shows the last letters of a key.
    if not re.search(rf"access_key .*{given['AccessKeyId'][-4:]}\b.*container-role", said):
        raise Wrong(f"aws does not take the pod's credentials: {said}")
    return f"{run('aws', '--version').split()[0]} takes the credentials of a pod's identity"


def check_server() -> str:
    """The command of a session starts; it then says that no hub called it."""
    said = run(sys.executable, "-s", "-P", "-m", "jupyterhub.singleuser", "--version")
    return f"jupyterhub-singleuser {said.strip()}"


def check_git() -> str:
    """The record of a run names the commit of the notebook's folder."""
    return run("git", "--version").strip()


def check_start() -> str:
    """A home gets each example once; what is there already stays as it is."""
    with tempfile.TemporaryDirectory() as folder:
        home = {"HOME": folder}
        if run("start", "echo", "one", environ=home) != "one\n":
            raise Wrong("start does not become the command")
        if run("start", "sh", "-c", "cat /proc/$PPID/comm", environ=home) != "tini\n":
            raise Wrong("start puts no init process above the command")
        copied = sorted(path.name for path in (Path(folder) / "examples").glob("*"))
        if copied != sorted(path.name for path in EXAMPLES.iterdir()) or not copied:
            raise Wrong(f"copied {copied}")
        changed, removed = (Path(folder) / "examples" / name for name in copied[:2])
        changed.write_text("mine", encoding="utf-8")
        removed.unlink()
        run("start", "true", environ=home)
        if changed.read_text(encoding="utf-8") != "mine" or removed.exists():
            raise Wrong("start changes what the user changed")
        if {path.name for path in Path(folder).iterdir()} != {"examples", ".local"}:
            raise Wrong("start leaves something beside the examples and its note")
        Path(folder).chmod(0o500)
        said = run("start", "echo", "two", environ={"HOME": str(Path(folder) / "none")})
        Path(folder).chmod(0o700)
        if said.splitlines()[-1] != "two":
            raise Wrong(f"a broken home keeps the start from coming: {said}")
    return f"start copies {len(copied)} examples into a home, each once"


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
    check_figures,
    check_notebook_app,
    check_s3,
    check_server,
    check_git,
    check_start,
)
