"""Programs that build images: docker, podman, buildah.

Place in the path: `build` takes the first whose engine answers and builds, runs and saves images
with it, `push` pushes with it what it built; a client without an engine is as good as none.
Standard library only. Imported by `build` and `push`.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images._tool.registry import is_loopback
from images._tool.steps import StepFailed
from images._tool.tools import run_program

log = logging.getLogger("notebook-hpc")

NAMES = ("docker", "podman", "buildah")
#: Those that push in OCI's form.
OCI_ENGINES = ("podman", "buildah")
#: Ways to compress layers; `docker push` knows the last alone.
COMPRESSIONS = ("zstd", "gzip")
TAIL_LINES = 40
#: As the system says it (ENOSPC), whichever builder passes it on.
NO_ROOM = "no space left on device"
ANSWER_SECONDS = 30


@dataclass(frozen=True)
class Build:
    """One image to build.

    Attributes:
        reference: repository and tag that the image gets.
        context: folder with all that the build needs, its `Dockerfile` too.
        arguments: values of the Dockerfile's `ARG` lines.
        labels: what the image says of itself.
        secrets: id -> file; a command of the build sees it while it runs, no layer holds it.
    """

    reference: str
    context: Path
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    secrets: Mapping[str, Path]


class Engine:
    """A builder that answered."""

    def __init__(self, name: str) -> None:
        """Keep its name, which is also the program's."""
        self.name = name

    def build(self, build: Build, show: Callable[[str], None]) -> None:
        """Build an image; each line that the builder prints is shown.

        Raises:
            StepFailed: with the end of what it printed.
        """
        words = [self.name, "build", "--file", str(build.context / "Dockerfile")]
        words += ["--tag", build.reference]
        for name, value in sorted(build.arguments.items()):
            words += ["--build-arg", f"{name}={value}"]
        for name, value in sorted(build.labels.items()):
            words += ["--label", f"{name}={value}"]
        for name, path in sorted(build.secrets.items()):
            words += ["--secret", f"id={name},src={path}"]
        if self.name == "docker":
            words += ["--progress", "plain"]
        else:
            # Their own default, OCI's format, drops some of a Dockerfile's lines (HEALTHCHECK).
            # Without --layers buildah begins anew each time.
            words += ["--format", "docker", "--layers"]
        _stream([*words, str(build.context)], show, "build the image")

    def verify(self, reference: str, folder: Path, script: str) -> str:
        """Run a Python script of a folder in the built image, as its user; return what it says.

        Raises:
            StepFailed: with what it printed, when it did not end with 0.
        """
        command = ["python", "-s", "-B", f"/verify/{script}"]
        if self.name == "buildah":
            return self._verify_with_buildah(reference, folder, command)
        words = [self.name, "run", "--rm", "--network=none", "--cap-drop=ALL"]
        words += ["--security-opt=no-new-privileges", "--volume", _mount(folder)]
        return _run([*words, reference, *command])

    def _verify_with_buildah(self, reference: str, folder: Path, command: Sequence[str]) -> str:
        # buildah runs commands in a container that it builds on, and not the entry point.
        container = _run([self.name, "from", "--pull-never", reference]).split()[-1]
        try:
            words = [self.name, "run", "--cap-drop", "all", "--volume", _mount(folder)]
            return _run([*words, container, "--", *command])
        finally:
            _run([self.name, "rm", container])

    def save(self, reference: str, path: Path) -> None:
        """Write an image into an archive that `ctr images import` and `docker load` read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        if self.name == "buildah":
            _run([self.name, "push", "--quiet", reference, f"docker-archive:{fresh}:{reference}"])
        else:
            form = ["--format", "docker-archive"] if self.name == "podman" else []
            _run([self.name, "save", *form, "--output", str(fresh), reference])
        fresh.replace(path)

    def identify(self, reference: str) -> str:
        """The id by which the engine knows an image, `sha256:...`; empty when it has none."""
        words = ["image", "inspect", "--format", "{{.Id}}", reference]
        if self.name == "buildah":
            words = ["inspect", "--type", "image", "--format", "{{.FromImageID}}", reference]
        try:
            said = _run([self.name, *words]).strip()
        except StepFailed:
            return ""
        return said if said.startswith("sha256:") else f"sha256:{said}"

    def identify_pushed(self, reference: str) -> str:
        """The id that an image has in a registry to which this engine pushed it.

        OCI's form has another configuration than that of images here, so it is written once, beside
        the image: that sends nothing and copies no layer.

        Raises:
            StepFailed: it cannot be written so.
        """
        if self.name not in OCI_ENGINES:
            return self.identify(reference)
        trial = f"{reference}-oci"
        words = ["push", "--quiet", "--format=oci", reference, f"containers-storage:{trial}"]
        _run([self.name, *words])
        try:
            return self.identify(trial)
        finally:
            _run([self.name, "rmi", trial])

    @property
    def compressions(self) -> Sequence[str]:
        """How it can compress the layers that it pushes; the first serves machines best."""
        return COMPRESSIONS if self.name in OCI_ENGINES else COMPRESSIONS[-1:]

    def push(
        self,
        reference: str,
        target: str,
        compression: str,
        logins: Path | None,
        show: Callable[[str], None],
    ) -> None:
        """Push an image; what an earlier push has brought already is not sent again.

        Args:
            reference: the image here.
            target: registry, repository and tag that it gets.
            compression: of its layers, one of `compressions`.
            logins: file with the login, called `config.json`; None for the engine's own.
            show: told each line that the builder prints.

        Raises:
            StepFailed: with the end of what it printed.
        """
        environ = dict(os.environ)
        if self.name == "docker":
            _run([self.name, "tag", reference, target])
            words = [self.name, "push", target]
            if logins:
                # Another folder has no contexts, so the engine that is meant goes along.
                meant = [self.name, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
                environ |= {"DOCKER_HOST": _run(meant).strip(), "DOCKER_CONFIG": str(logins.parent)}
        else:
            # Of all forms only OCI's has layers in zstd, and machines take either.
            form = ("--format=oci", f"--compression-format={compression}")
            words = [self.name, "push", *form, reference, f"docker://{target}"]
            if logins:
                words[2:2] = ["--authfile", str(logins)]
            if is_loopback(target.partition("/")[0]):
                words[2:2] = ["--tls-verify=false"]
        _stream(words, show, f"push {target}", environ)


def find_engine(wanted: str = "") -> Engine:
    """Find the first builder that answers.

    Args:
        wanted: take this one only.

    Raises:
        StepFailed: saying of each why it cannot be taken.
    """
    names = (wanted,) if wanted else NAMES
    if unknown := set(names) - set(NAMES):
        raise StepFailed(f"no builder is called {unknown.pop()!r}: one of {', '.join(NAMES)}")
    lacks = []
    for name in names:
        lack = _find_lack(name)
        if lack is None:
            return Engine(name)
        lacks.append(f"  {name}: {lack}")
    raise StepFailed("\n".join(["No builder of images answers:", *lacks]))


def _find_lack(name: str) -> str | None:
    """Ask a builder's engine; None when it answers, else why it does not."""
    try:
        done = subprocess.run(
            [name, "info"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return "is not installed"
    except OSError as error:
        return f"cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"did not answer in {ANSWER_SECONDS} s"
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return said[-1].strip() if said else f"`{name} info` ended with {done.returncode}"


def _mount(folder: Path) -> str:
    """The option that shows a container the folder of the script, which is of this run only.

    Where SELinux is on it denies a container all files but those labelled for it. `Z` labels these,
    for this one container; elsewhere it does nothing.
    Source: https://docs.podman.io/en/stable/markdown/podman-run.1.html (`--volume`; docker and
    buildah have the same words)
    """
    return f"{folder}:/verify:ro,Z"


def _run(words: Sequence[str]) -> str:
    return run_program(list(words), Path.cwd(), os.environ)


def _stream(
    words: Sequence[str],
    show: Callable[[str], None],
    purpose: str,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a program and show each line that it prints, as it comes."""
    tail: list[str] = []
    with subprocess.Popen(
        words,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        if process.stdout is None:
            raise StepFailed(f"{words[0]} has no output")
        for line in process.stdout:
            tail = [*tail[1 - TAIL_LINES :], line.rstrip()]
            show(line.rstrip())
    if process.returncode:
        text = "\n".join(tail)
        if NO_ROOM in text:
            raise StepFailed(f"there is no room left on the disk for {words[0]}: free some first")
        raise StepFailed(f"{words[0]} could not {purpose} ({process.returncode}):\n{text}")
