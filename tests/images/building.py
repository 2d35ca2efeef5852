"""Builds our images for tests, once: archives that tests read and that real nodes import.

Place in the path: `get_archive("notebook")` builds an image as `make images` does, with buildah
upon a Debian that debootstrap made, and keeps the archive in the cache under a hash of all that
went into it; what is kept was verified. What the build gets from this machine as secrets is marked
(`CANARIES`), so that a test can look for it. Imported by tests of images and of real nodes.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from images._tool import build, context
from images._tool.registry_access import find_ca_bundle, read_pip_configuration, write_secrets
from images._tool.stamps import hash_inputs
from images._tool.tools import Places, build_tool_environment, find_places, run_program

NEEDED = ("buildah", "debootstrap", "apt-get")
PACKAGES = ("python3", "python3-venv", "ca-certificates")
BASE, TRIAL = "localhost/notebook-hpc/debian", "localhost/notebook-hpc/trial"
#: What a build is given as secrets besides what this machine's clients really need.
CANARIES = {
    "a setting": "no-layer-holds-this-setting.invalid",
    "the certificates": "no layer holds this bundle",
}
KEPT_ARCHIVES = 2
#: Each step of a build leaves an image in the store, where the next build finds it. Of more than
#: these go the ones that no image of today was made of.
KEPT_IMAGES = 300


def why_not() -> str | None:
    """Why this machine cannot build images for tests; None when it can."""
    if sys.platform != "linux":
        return "images are built for Linux on Linux"
    if os.geteuid() != 0:
        return "debootstrap needs root"
    if missing := [program for program in NEEDED if shutil.which(program) is None]:
        return f"there is no {', '.join(missing)} (tests/system_packages.sh)"
    return None


def get_archive(image: str) -> Path:
    """Return the archive of an image, built and verified; `NAME.txt` beside it tells of that."""
    return Workshop(find_places(os.environ)).get_image(image)


class Workshop:
    """The folder of the cache where images for tests are built."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.folder = places.cache / "images"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let one at a time build here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # What a run that was killed left half done.
            for left in (*self.folder.glob("base-*"), *self.folder.glob("new-*")):
                shutil.rmtree(left, ignore_errors=True)
            yield

    def get(self, name: str, parts: Sequence[str | Path], make: Callable[[Path], Path]) -> Path:
        """Return the archive of what has this name and these parts, made where there is none.

        Args:
            name: that its file begins with.
            parts: words and files that it is made of, besides the base.
            make: makes it in an empty folder and returns it; what is called like it but for the
                suffix is kept beside it.
        """
        archive = self.folder / f"{name}-{hash_inputs(*parts, self.name_base())[:16]}.tar"
        if not archive.exists():
            with self.hold():
                # Another run may have made it while this one waited.
                if not archive.exists():
                    self._fill(archive, make)
                    self._clear(name)
        return archive

    def get_image(self, image: str) -> Path:
        """Return the archive of one of our images."""
        reference = build.name_image(self.places.root, image)
        labels = build.build_labels(self.places.root, image, reference, self.name_base())
        wheels = build.hash_wheels(self.places, image)
        parts = (self._hash_image(image), wheels, reference, json.dumps(labels))
        return self.get(image, parts, lambda folder: self._build_image(image, folder))

    def name_base(self) -> str:
        """Name the base image, by what it is made of."""
        parts = (platform.machine(), read_codename(), *PACKAGES, *NEEDED)
        return f"{BASE}:{hash_inputs(*parts)[:12]}"

    def make_environment(self) -> dict[str, str]:
        """Variables for buildah: a store of its own, and no container engine below it."""
        configuration = self.folder / "storage.conf"
        lines = ["[storage]", 'driver = "overlay"']
        lines += [f'{name} = "{self.folder / name}"' for name in ("graphroot", "runroot")]
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
        own = {"CONTAINERS_STORAGE_CONF": str(configuration), "BUILDAH_ISOLATION": "chroot"}
        return {**os.environ, **own}

    def run(self, *words: str | Path) -> str:
        """Run a program with the variables of buildah."""
        return run_program(words, self.folder, self.make_environment())

    def make_base(self) -> str:
        """Have the base image in the store; return its name."""
        name = self.name_base()
        if not self.run("buildah", "images", "--quiet", "--filter", f"reference={name}").strip():
            with tempfile.TemporaryDirectory(dir=self.folder, prefix="base-") as folder:
                root, layer = Path(folder) / "root", Path(folder) / "layer.tar"
                include = f"--include={','.join(PACKAGES)}"
                target = (read_codename(), root, find_mirror(read_codename()))
                # In a mount namespace of its own, for it mounts /proc and may be killed.
                self.run("unshare", "--mount", "debootstrap", "--variant=minbase", include, *target)
                left_out = [f"--exclude=./{path}" for path in LEFT_OUT]
                self.run("tar", "-C", root, *left_out, "-cf", layer, ".")
                container = self.run("buildah", "from", "scratch").split()[-1]
                self.run("buildah", "add", "--quiet", container, layer, "/")
                self.run("buildah", "commit", "--quiet", "--rm", container, name)
        return name

    def build_folder(self, folder: Path, name: str = TRIAL) -> Path:
        """Build a Dockerfile of the tests with the secrets of every build; return the archive."""
        base = self.make_base()
        inside = Path(build.__file__).parents[1] / "_inside"
        shutil.copytree(inside, folder / "inside", dirs_exist_ok=True)
        (folder / "marks").mkdir()
        (folder / "secrets").mkdir()
        environ = mark_secrets(self.make_environment(), folder / "marks")
        secrets = write_secrets(folder / "secrets", environ)
        command: list[str | Path] = [
            "buildah",
            "build",
            "--tag",
            name,
            "--build-arg",
            f"BASE={base}",
        ]
        command += [f"--secret=id={name},src={path}" for name, path in secrets.items()]
        self.run(*command, folder)
        archive = folder / "image.tar"
        self.run("buildah", "push", "--quiet", name, f"docker-archive:{archive}:{name}")
        self.run("buildah", "rmi", "--force", name)
        return archive

    def _fill(self, archive: Path, make: Callable[[Path], Path]) -> None:
        """Make an archive and put it in its place, after what belongs to it."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="new-") as folder:
            made = make(Path(folder))
            for beside in made.parent.glob(f"{made.stem}.*"):
                if beside != made:
                    beside.replace(archive.with_suffix(beside.name.removeprefix(made.stem)))
            made.replace(archive)
        logging.getLogger(__name__).info("built %s", archive)

    def _build_image(self, image: str, folder: Path) -> Path:
        """Build, verify and save an image, by the command that `make images` runs."""
        self.clear_store()
        base = self.make_base()
        environ = mark_secrets(self.make_environment(), folder)
        command = [sys.executable, "-m", "images._tool.build", image, "--engine", "buildah"]
        command += ["--base", base, "--archives", str(folder)]
        said = run_program(command, self.places.root, environ)
        (folder / f"{image}.txt").write_text(said, encoding="utf-8")
        return folder / f"{image}.tar"

    def clear_store(self, most: int = KEPT_IMAGES) -> None:
        """Take steps of former builds out of the store when there are more than so many.

        Those of the newest build of each image stay: to make all of them anew takes a quarter of an
        hour, in which whoever wants an image has to wait.
        """
        if len(self.run("buildah", "images", "--all", "--quiet").split()) > most:
            self.run("buildah", "rmi", "--prune", "--force")

    def _hash_image(self, image: str) -> str:
        with tempfile.TemporaryDirectory() as folder:
            whole, verification = Path(folder) / "context", Path(folder) / "verification"
            whole.mkdir()
            verification.mkdir()
            context.fill_context(self.places.root, image, [], whole)
            context.fill_verification(self.places.root, image, verification)
            return context.hash_context(Path(folder))

    def _clear(self, name: str) -> None:
        """Keep the archives of two states, for two checkouts use this cache in turn."""
        archives = sorted(
            self.folder.glob(f"{name}-????????????????.tar"), key=lambda path: path.stat().st_mtime
        )
        for old in archives[:-KEPT_ARCHIVES]:
            old.unlink()
            for suffix in (".txt", ".cdx.json"):
                old.with_suffix(suffix).unlink(missing_ok=True)


#: What debootstrap leaves and no image needs.
LEFT_OUT = (
    "dev/*",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*",
    "var/log/*",
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/locale/*",
)


def mark_secrets(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Add a mark to each thing that the build is given as a secret."""
    bundle = find_ca_bundle(environ, read_pip_configuration(environ))
    certificates = bundle.read_text(encoding="utf-8", errors="replace") if bundle else ""
    marked = folder / "certificates.pem"
    marked.write_text(f"{certificates}\n# {CANARIES['the certificates']}\n", encoding="utf-8")
    hosts = f"{environ.get('PIP_TRUSTED_HOST', '')} {CANARIES['a setting']}".strip()
    return {**environ, "PIP_TRUSTED_HOST": hosts, "SSL_CERT_FILE": str(marked)}


def read_codename() -> str:
    """Read the name of this Debian's release."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def find_mirror(codename: str) -> str:
    """Find where this machine gets its own packages of a release from."""
    form = "$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)"
    environ = build_tool_environment(find_places(os.environ))
    said = run_program(["apt-get", "indextargets", "--format", form], Path.cwd(), environ)
    for line in said.splitlines():
        kind, release, component, *address = line.split()
        if (kind, release, component) == ("Packages", codename, "main") and address:
            return address[0]
    raise LookupError(f"apt's sources name no mirror of {codename}")
