"""What the runner is given: parameters, kernels, folders, notebooks; and what it cannot use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from offline_jobs.runner.kernel import Kernel, find_kernels
from offline_jobs.runner.packages import find_search_path, list_packages
from tests.runner.attempts import Attempt, make_notebook

MakeAttempt = Callable[..., Attempt]


def printed(attempt: Attempt) -> str:
    return "".join(
        output.text
        for cell in attempt.cells
        for output in cell.outputs
        if output.output_type == "stream"
    )


def test_parameters_are_injected_as_papermill_does(make_attempt: MakeAttempt) -> None:
    parameters = {
        "text": 'it\'s "quoted" \\ {braces}\nü',
        "number": 1,
        "real": 0.5,
        "huge": 10**20,
        "yes": True,
        "nothing": None,
        "many": [1, "two", [3.0, None]],
        "table": {"a": {"b": [False]}},
    }
    attempt = make_attempt(
        notebook=make_notebook(
            f"import json; print(json.dumps([{', '.join(parameters)}]))", parameters="number = 7"
        ),
        parameters=parameters,
    )
    assert attempt.run() == 0
    assert json.loads(printed(attempt)) == list(parameters.values())
    tags = [cell.metadata.tags for cell in attempt.cells]
    assert tags[:2] == [["parameters"], ["injected-parameters"]]
    assert attempt.record["total"] == 3
    assert attempt.notebook.metadata.papermill.parameters == parameters


def test_working_folder_and_modules_beside_the_notebook(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(
        "import os, helper; print(os.getcwd()); print(helper.NAME)\n"
        "print(os.environ.get('PYTHONNOUSERSITE'))",
        environment={"PYTHONNOUSERSITE": "1"},
    )
    (attempt.home / "work" / "helper.py").write_text("NAME = 'beside'")
    assert attempt.run() == 0
    assert printed(attempt).splitlines() == [str(attempt.home / "work"), "beside", "None"]


def test_runner_isolates_itself(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("print('fine')")
    attempt.command = [sys.executable, "-m", "offline_jobs.runner"]
    for name in ("papermill", "psutil", "zmq"):
        (attempt.folder / f"{name}.py").write_text("raise RuntimeError('shadowed')")
    assert attempt.run() == 0


@pytest.mark.parametrize("source", ["image", "home"])
def test_unknown_kernel(make_attempt: MakeAttempt, source: str) -> None:
    attempt = make_attempt("1", kernel={"name": "nobodys", "source": source})
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"
    assert "'nobodys'" in attempt.record["message"]
    assert ("python3" in attempt.record["message"]) == (source == "image")
    assert attempt.cells[0].outputs == []


def test_attempt_that_is_refused_puts_the_earlier_one_aside(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("print('precious')")
    assert attempt.run() == 0
    attempt.specification |= {"attempt": 2, "kernel": {"name": "nobodys", "source": "home"}}
    assert attempt.run() == 20
    assert "precious" in (attempt.output / "attempt-1" / "markers.ipynb").read_text()


def write_kernel(attempt: Attempt, name: str, argv: list[str], **fields: Any) -> None:
    folder = attempt.home / ".local" / "share" / "jupyter" / "kernels" / name
    folder.mkdir(parents=True)
    spec = {"argv": argv, "display_name": name, "language": "python"} | fields
    (folder / "kernel.json").write_text(json.dumps(spec))


IPYKERNEL = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def test_kernel_of_the_home(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(
        "import os; print(os.environ['WHOSE'])", kernel={"name": "python3", "source": "home"}
    )
    write_kernel(attempt, "python3", IPYKERNEL, env={"WHOSE": "mine"})
    assert attempt.run() == 0
    assert printed(attempt) == "mine\n"


def test_kernel_of_the_home_does_not_hide_the_image(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("import os; print(os.environ.get('WHOSE'))")
    write_kernel(attempt, "python3", IPYKERNEL, env={"WHOSE": "mine"})
    assert attempt.run() == 0
    assert printed(attempt) == "None\n"


def test_kernel_that_does_not_start_may_be_tried_again(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1", kernel={"name": "broken", "source": "home"})
    write_kernel(attempt, "broken", [sys.executable, "-c", "raise OSError('disk on fire')"])
    assert attempt.run() == 30
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("kernel-died", 0)
    assert "disk on fire" in attempt.record["message"]


#: A kernel that finds its port taken, as often as its file says, and tells which try it is.
UNLUCKY_KERNEL = """
import json, os, runpy, socket, sys
from pathlib import Path
left = Path(sys.argv.pop(1))
number = int(left.read_text())
left.write_text(str(number - 1))
os.environ["LEFT"] = str(number)
if number:
    connection = json.loads(Path(sys.argv[-1]).read_text())
    taken = socket.create_server((connection["ip"], connection["control_port"]))
sys.argv[0] = "ipykernel_launcher"
runpy.run_module("ipykernel_launcher", run_name="__main__")
"""


@pytest.mark.parametrize(("unlucky", "code"), [(2, 0), (3, 30)])
def test_kernel_whose_port_was_taken_is_launched_anew(
    make_attempt: MakeAttempt, tmp_path: Path, unlucky: int, code: int
) -> None:
    attempt = make_attempt(
        "import os, sys; print(os.environ['LEFT'])", kernel={"name": "unlucky", "source": "home"}
    )
    left = tmp_path / "left"
    left.write_text(str(unlucky))
    script = tmp_path / "unlucky.py"
    script.write_text(UNLUCKY_KERNEL)
    argv = [sys.executable, str(script), str(left), "-f", "{connection_file}"]
    write_kernel(attempt, "unlucky", argv)
    assert attempt.run() == code
    if code:
        assert attempt.record["outcome"] == "kernel-died"
        assert "Address already in use" in attempt.record["message"]
    else:
        assert printed(attempt) == "0\n"


def test_kernel_whose_program_is_gone_is_not_tried_again(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1", kernel={"name": "broken", "source": "home"})
    write_kernel(attempt, "broken", ["/no/such/program"])
    assert attempt.run() == 20
    assert (attempt.record["outcome"], attempt.record["cell"]) == ("refused", 0)
    assert "/no/such/program" in attempt.record["message"]


def test_folder_that_is_gone(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1", path="gone/markers.ipynb")
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"
    assert "gone" in attempt.record["message"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"notebook": "text"}, "notebook"),
        ({"notebook": {"nbformat": 3, "worksheets": []}}, "notebook"),
        ({"notebook": {"nbformat": 4}}, "cells"),
        ({"path": "../other/x.ipynb"}, "path"),
        ({"path": "/etc/x.ipynb"}, "path"),
        ({"output": "a/../../b"}, "output"),
        ({"kernel": {}}, "kernel"),
        ({"kernel": {"name": "python3", "source": "moon"}}, "source"),
        ({"parameters": []}, "parameters"),
        ({"time_limit_seconds": "soon"}, "time_limit_seconds"),
        ({"time_limit_seconds": -1}, "time_limit_seconds"),
    ],
)
def test_specification_that_is_wrong(
    make_attempt: MakeAttempt, change: dict[str, Any], named: str
) -> None:
    attempt = make_attempt("1", **change)
    attempt.start()
    assert attempt.wait() == 20
    assert named in attempt.stderr
    assert "Traceback" not in attempt.stderr
    assert attempt.termination["exit_code"] == 20


@pytest.mark.parametrize("content", ["", "{", "[]", '{"job": "k3j9x0a1b2c3"}'])
def test_specification_that_cannot_be_read(make_attempt: MakeAttempt, content: str) -> None:
    attempt = make_attempt("1")
    broken = attempt.folder / "broken.json"
    broken.write_text(content)
    attempt.environment["OFFLINE_JOB_SPECIFICATION"] = str(broken)
    assert attempt.run() == 20
    assert "pecification" in attempt.stderr


def test_nothing_to_do(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1")
    attempt.environment["OFFLINE_JOB_SPECIFICATION"] = ""
    assert attempt.run() == 20
    assert "OFFLINE_JOB_SPECIFICATION" in attempt.stderr


@pytest.mark.parametrize("minor", [0, 2, 4, 9])
def test_other_minor_versions(make_attempt: MakeAttempt, minor: int) -> None:
    notebook = make_notebook("print('old')")
    notebook["nbformat_minor"] = minor
    if minor < 5:
        for cell in notebook["cells"]:
            del cell["id"]
    attempt = make_attempt(notebook=notebook)
    assert attempt.run() == 0
    assert printed(attempt) == "old\n"


def test_notebook_without_kernelspec(make_attempt: MakeAttempt) -> None:
    notebook = make_notebook("print(a)")
    notebook["metadata"] = {}
    attempt = make_attempt(notebook=notebook, parameters={"a": 3})
    assert attempt.run() == 0
    assert printed(attempt) == "3\n"


def test_language_without_parameters(make_attempt: MakeAttempt) -> None:
    notebook = make_notebook("1")
    notebook["metadata"] = {}
    attempt = make_attempt(
        notebook=notebook, parameters={"a": 3}, kernel={"name": "odd", "source": "home"}
    )
    write_kernel(attempt, "odd", IPYKERNEL, language="befunge")
    assert attempt.run() == 20
    assert attempt.record["outcome"] == "refused"


def test_commit_is_recorded(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1")
    work = attempt.home / "work"

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        return subprocess.run(
            ["git", *who, "-C", str(work), *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    (work / "helper.py").write_text("A = 1")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    assert attempt.run() == 0
    assert attempt.record["git"] == {"commit": git("rev-parse", "HEAD"), "clean": True}
    (work / "helper.py").write_text("A = 2")
    assert attempt.run() == 0
    assert attempt.record["git"]["clean"] is False


def test_the_record_says_what_was_run_with_what_and_on_what(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(parameters={"a": 5}, image_reference="registry/notebook:1@sha256:b")
    cells = ("print(a)", "b = 3")
    attempt.specification["notebook"] = make_notebook(*cells, parameters="a = 1\nb = a + 1\nc: int")
    user_site = attempt.home / ".local/lib" / f"python3.{sys.version_info.minor}/site-packages"
    (user_site / "own_tool-1.2.dist-info").mkdir(parents=True)
    assert attempt.run() == 0
    record = attempt.record
    assert record["notebook_parameters"] == {"b": "a + 1", "c": ""}
    assert attempt.notebook.metadata.papermill.default_parameters == {"b": "a + 1", "c": ""}
    kernel = {"name": "python3", "source": "image", "language": "python"}
    assert record["kernel"].items() >= kernel.items()
    assert record["kernel"]["version"] == platform.python_version()
    packages = (attempt.output / "packages.txt").read_bytes()
    assert record["packages_sha256"] == hashlib.sha256(packages).hexdigest()
    lines = packages.decode().splitlines()
    assert f"papermill=={importlib.metadata.version('papermill')}" in lines
    assert "own-tool==1.2" in lines
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0].lower())
    # This environment was made from a lock, and did not come out of that image.
    assert (record["image_reference"], len(record["lock_sha256"])) == ("", 64)
    assert int(record["machine"]["cores"]) == len(os.sched_getaffinity(0))
    text = json.dumps(attempt.specification["notebook"], sort_keys=True, separators=(",", ":"))
    assert record["snapshot_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    result = (attempt.output / "markers.ipynb").read_bytes()
    assert record["result_sha256"] == hashlib.sha256(result).hexdigest()


def test_an_image_that_was_pulled_is_named_by_its_digest(
    make_attempt: MakeAttempt, tmp_path: Path
) -> None:
    """In a container the environment has no stamps of the machine that it was made on."""
    reference = "registry/notebook:1@sha256:b"
    attempt = make_attempt("1", image_reference=reference)
    program = (
        "import runpy, sys; sys.prefix = '/opt'; runpy.run_module('offline_jobs.runner', None, "
    )
    program += "'__main__')"
    attempt.command = [sys.executable, "-I", "-c", program]
    assert attempt.run() == 0
    assert (attempt.record["image_reference"], attempt.record["lock_sha256"]) == (reference, "")


def test_packages_of_another_environment_and_of_none(tmp_path: Path) -> None:
    (tmp_path / "Some_Tool-2.0-py3.11.egg-info").touch()
    (tmp_path / "zope.interface-6.0.dist-info").mkdir()
    (tmp_path / "no_version.dist-info").mkdir()
    assert list_packages(["", "/no/such", str(tmp_path)]) == [
        "Some-Tool==2.0",
        "zope.interface==6.0",
    ]
    python = str(Path(sys.executable).resolve())
    environment = {"PYTHONPATH": str(tmp_path)}
    folders = find_search_path([python, "-m", "ipykernel_launcher"], environment)
    assert folders is not None
    assert str(tmp_path) in folders
    assert find_search_path(["/no/such/python"], environment) is None


def test_no_repository(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt("1")
    assert attempt.run() == 0
    assert attempt.record["git"] is None
    assert os.listdir(attempt.home / "work") == []


def test_a_reader_that_is_busy_loses_no_output(tmp_path: Path) -> None:
    # While a large notebook is saved nobody reads, for seconds.
    count, text = 4_000, "x" * 8_000
    kernel = Kernel("python3", find_kernels("image", tmp_path), tmp_path, owns_process=False)
    code = (
        "from IPython.display import display\n"
        f"for i in range({count}):\n"
        f"    display({{'text/plain': str(i) + {text!r}}}, raw=True)\n"
    )

    async def run() -> list[str]:
        await kernel.make_ready(60)
        client = kernel.client
        assert client is not None
        message = client.execute(code)
        while (await client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != message:
            pass
        shown = []
        while True:
            news = await client.get_iopub_msg(timeout=20)
            if news["msg_type"] == "display_data":
                shown.append(news["content"]["data"]["text/plain"])
            elif news["content"].get("execution_state") == "idle":
                break
        return shown

    try:
        kernel.launch(tmp_path, dict(os.environ))
        assert kernel.run(run()) == [f"{i}{text}" for i in range(count)]
        process = getattr(kernel.manager.provisioner, "process", None)
    finally:
        kernel.end()
    assert process is not None
    assert process.returncode is not None, "the killed kernel was not waited for"


def test_pieces_of_a_stream_are_joined(make_attempt: MakeAttempt) -> None:
    attempt = make_attempt(
        "import sys, time\n"
        "for i in range(50):\n"
        "    print(i, flush=True)\n"
        "print('e', file=sys.stderr, flush=True)\n"
        "print('o', flush=True)\n"
    )
    assert attempt.run() == 0
    outputs = attempt.cells[0].outputs
    assert len(outputs) == 3
    assert outputs[0].text == "".join(f"{i}\n" for i in range(50))


def test_path_with_braces_and_spaces(make_attempt: MakeAttempt) -> None:
    name = "my {odd} näme 100%"
    attempt = make_attempt(
        "print(1)", path=f"work/{name}/{name}.ipynb", output=f"offline-jobs/{name}/t-x"
    )
    folder: Path = attempt.home / "work" / name
    folder.mkdir()
    assert attempt.run() == 0
    assert (attempt.output / f"{name}.ipynb").exists()
