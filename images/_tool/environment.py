"""Makes the environments that `make run`, `make setup` and `make environment IMAGE=…` need.

Place in the path: `python3 -m images._tool.environment WANTED...`, called by the Makefile. Wanted
are `platform`, `setup`, `lab`, or images' slugs; what is made already is left as it is, what was
interrupted is made again. Run by the machine's own Python, so standard library only.

The environments: `.venv` (everything that tests need) · `build/environments/platform` (hub, jobs
service, runner) · `build/environments/IMAGE` (locally an image is a Python environment: the image's
lock and the wheel of `offline_jobs`) · `build/hub6` (all in one with the next JupyterHub, for its
one test) · `build/stock` and `build/scheduler` (what benchmarks compare with, from `tests/bench`).
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from images._tool.builds import Builds, build_python_mark
from images._tool.context import LEFT_OUT, list_examples
from images._tool.stamps import hash_inputs, hash_tree, read_stamp, write_stamp
from images._tool.steps import Step, StepFailed, log, run_steps, select_steps
from images._tool.tools import (
    Places,
    build_tool_environment,
    find_places,
    get_uv,
    hold,
    run_program,
)

IMAGE_OF_TESTS = "notebook"
# Users work in the other images; these are the platform's own, which the platform's environment is.
IMAGES_OF_THE_PLATFORM = ("hub", "jobs-service")
#: What benchmarks compare with, by its folder there.
STOCK = ("stock", "scheduler")
#: Where a session looks for the examples of its environment; in an image it is below /usr/local.
EXAMPLES = Path("share", "notebook-hpc", "examples")
SHIM = """#!/bin/sh
exec '{node}/node' --require '{quiet}' \\
  '{proxy}/node_modules/configurable-http-proxy/bin/configurable-http-proxy' "$@"
"""


class Environments:
    """The Python environments of one checkout, each as steps."""

    def __init__(self, places: Places, builds: Builds) -> None:
        """Keep where things are."""
        self._places = places
        self._builds = builds

    def make_lock_step(self, name: str, folder: Path, lock: Path) -> Step:
        """Have an environment with exactly what a lock names."""
        stamp = self._stamp(folder, "lock")
        python = hash_inputs(build_python_mark())
        key = f"{python} {hash_inputs(lock)}"

        def is_done() -> bool:
            return read_stamp(stamp) == key and (folder / "bin" / "python").exists()

        def make() -> None:
            keep = read_stamp(stamp).startswith(python)
            for old in stamp.parent.glob("*"):
                old.unlink()
            if not keep:
                command: list[str | Path] = [get_uv(self._places), "venv", "--quiet", "--clear"]
                command += ["--python", sys.executable, folder]
                environ = build_tool_environment(self._places)
                run_program(command, self._places.root, environ)
            self._pip("sync", folder, "--require-hashes", str(lock))
            write_stamp(stamp, key)

        return Step(name, ("uv",), is_done, make)

    def make_platform_step(self, name: str, base: str, folder: Path) -> Step:
        """Have our own packages in an environment, pointing into this checkout, and the proxy."""
        stamp = self._stamp(folder, "own")
        sources = [self._places.root, self._places.extension]
        shim = folder / "bin" / "configurable-http-proxy"
        quiet = self._places.root / "hub_config" / "embedded" / "proxy" / "quiet.cjs"

        def compute_key() -> str:
            lock = read_stamp(self._stamp(folder, "lock"))
            projects = [source / "pyproject.toml" for source in sources]
            places = (str(self._builds.proxy), str(self._builds.tools))
            return hash_inputs(lock, SHIM, *places, *projects)

        def make() -> None:
            stamp.unlink(missing_ok=True)
            for source in sources:
                # Not below `wheels`, which another step empties meanwhile.
                target = self._places.build / "editable" / f"{folder.name}-{source.name}"
                self._builds.build_wheel(source, target, "editable")
                (wheel,) = target.glob("*.whl")
                self._pip(
                    "install",
                    folder,
                    "--no-deps",
                    "--offline",
                    "--reinstall",
                    str(wheel),
                )
                shutil.rmtree(target)
            places = {"node": self._builds.node, "proxy": self._builds.proxy, "quiet": quiet}
            shim.write_text(SHIM.format(**places))
            shim.chmod(0o755)
            write_stamp(stamp, compute_key())

        def is_done() -> bool:
            return read_stamp(stamp) == compute_key() and os.access(shim, os.X_OK)

        return Step(name, (base, "tools", "proxy"), is_done, make)

    def make_image_step(self, name: str, base: str, folder: Path) -> Step:
        """Have in an image's environment what is not in its lock.

        `offline_jobs`, the image's own packages, Jupyter's settings, and its examples.
        """
        stamp = self._stamp(folder, "own")
        settings = self._places.root / "images" / "jupyter"

        def compute_key() -> str:
            lock = read_stamp(self._stamp(folder, "lock"))
            files = sorted(settings.glob("**/*.json"))
            wheels = (self._builds.compute_wheel_key(), self._builds.compute_own_key(folder.name))
            examples = list_examples(self._places.root, folder.name)
            hashes = (hash_tree(each, ("**/*",)) for each in examples)
            return hash_inputs(lock, *wheels, *files, *hashes)

        def make() -> None:
            key = compute_key()
            stamp.unlink(missing_ok=True)
            own = self._places.build / "images" / folder.name
            wheels = [self._builds.find_wheel(), *self._builds.build_own_wheels(folder.name, own)]
            options = ("--no-deps", "--offline", "--reinstall")
            self._pip("install", folder, *options, *map(str, wheels))
            shutil.copytree(settings, folder / "etc" / "jupyter", dirs_exist_ok=True)
            shutil.rmtree(folder / EXAMPLES, ignore_errors=True)
            left_out = shutil.ignore_patterns(*LEFT_OUT)
            for examples in list_examples(self._places.root, folder.name):
                shutil.copytree(examples, folder / EXAMPLES, ignore=left_out, dirs_exist_ok=True)
            write_stamp(stamp, key)

        return Step(name, (base, "wheel"), lambda: read_stamp(stamp) == compute_key(), make)

    def _stamp(self, folder: Path, kind: str) -> Path:
        """Name the stamp of an environment; `lock` and `own` packages are remembered apart."""
        return folder / ".stamps" / kind

    def _pip(self, verb: str, folder: Path, *words: str) -> None:
        """Let uv put packages into an environment."""
        command: list[str | Path] = [get_uv(self._places), "pip", verb, "--quiet"]
        command += ["--python", folder / "bin" / "python", *words]
        run_program(command, self._places.root, build_tool_environment(self._places))


def build_steps(places: Places) -> list[Step]:
    """Build all steps that there are; each image with a lock is one environment."""
    builds = Builds(places)
    environments = Environments(places, builds)
    steps = [
        builds.make_uv_step(),
        builds.make_tools_step(),
        builds.make_proxy_step(),
        builds.make_provider_step(),
        builds.make_lab_step(),
        builds.make_wheel_step(),
    ]
    own = {
        "platform": (
            places.environments / "platform",
            places.root / "requirements.txt",
        ),
        ".venv": (places.root / ".venv", places.root / "requirements-dev.txt"),
        "hub6": (places.build / "hub6", places.root / "requirements-hub6.txt"),
    }
    for name, (folder, lock) in own.items():
        base = f"packages of {name}"
        steps.append(environments.make_lock_step(base, folder, lock))
        steps.append(environments.make_platform_step(name, base, folder))
    for name in STOCK:
        lock = places.root / "tests" / "bench" / name / "requirements.txt"
        steps.append(environments.make_lock_step(name, places.build / name, lock))
    for lock in sorted(places.root.glob("images/*/requirements.txt")):
        image = lock.parent.name
        if image in IMAGES_OF_THE_PLATFORM:
            continue
        base, folder = f"packages of image {image}", places.environments / image
        steps.append(environments.make_lock_step(base, folder, lock))
        steps.append(environments.make_image_step(f"image {image}", base, folder))
    return steps


def choose_steps(wanted: Sequence[str], steps: Sequence[Step]) -> list[str]:
    """Turn the words of the command line into names of steps.

    Raises:
        StepFailed: for an image that has no lock yet.
    """
    names = {step.name for step in steps}
    chosen: list[str] = []
    for word in wanted:
        if word == "setup":
            chosen += [".venv", "hub6", "provider", f"image {IMAGE_OF_TESTS}"]
        elif word == "lab":
            chosen.append("Lab extension")
        elif word in ("platform", "hub6", "tools", *STOCK):
            chosen.append(word)
        elif f"image {word}" in names:
            chosen.append(f"image {word}")
        else:
            images = ", ".join(sorted(n.removeprefix("image ") for n in names if n[:6] == "image "))
            raise StepFailed(
                f"image {word!r} is not built yet: there is no"
                f" images/{word or 'NAME'}/requirements.txt; images that can be made: {images}"
            )
    return chosen


def main(arguments: Sequence[str]) -> int:
    """Make what is wanted and say so; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    started = time.monotonic()
    try:
        places = find_places(os.environ)
        steps = build_steps(places)
        chosen = choose_steps(arguments, steps)
        # One set-up at a time works in this cache, and so in this checkout.
        waiting = functools.partial(log.info, "Another set-up is running; waiting for it.")
        with hold(places.cache / "set-up.lock", waiting):
            log.info("Setting up: %s", ", ".join(chosen))
            run_steps(select_steps(steps, chosen), workers=4)
    except StepFailed as error:
        log.error("%s", error)
        return 1
    except OSError as error:
        log.error("The set-up cannot write or read %s: %s", error.filename, error.strerror)
        return 1
    except KeyboardInterrupt:
        return 130
    log.info("Everything is in place (%.1f s).", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
