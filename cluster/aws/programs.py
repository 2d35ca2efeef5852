"""``python -m cluster.aws.programs`` (``make cluster-tools``): the programs that the steps run.

eksctl, kubectl and helm from where their makers publish them, in the versions that
``helm-values/versions.env`` pins, into a folder of their own; none of them is taken before its
SHA-256 is right. That is pinned beside the version where somebody has looked it up; else it is what
the makers publish beside the file, which finds a broken download, and no break-in at theirs. The
driver looks there for what is not on the ``PATH``. aws comes with image ``notebook``, from PyPI,
by that image's lock.
"""

import hashlib
import http.client
import io
import os
import platform
import re
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from cluster.driver.versions import read_versions

_ROOT = Path(__file__).parents[2]
#: Where they are; ``make clean`` takes it away.
FOLDER = _ROOT / "build" / "tools"
#: Of image ``notebook``, which ``make cluster-tools`` makes before.
_AWS = _ROOT / "build" / "environments" / "notebook" / "bin" / "aws"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
#: Seconds for an answer, and for a whole file; and bytes that it may have: eksctl has 150 MB.
_ANSWER_SECONDS, _FILE_SECONDS, _MOST_BYTES = 30, 900, 400 << 20
_CHUNK_BYTES = 1 << 20
_SUM = re.compile(r"[0-9a-f]{64}")


class ProgramRefused(Exception):
    """A program cannot be had, or is not the right one; the message says why, for people."""


@dataclass(frozen=True)
class Source:
    """Where a program's makers publish it.

    In all texts ``{version}``, ``{system}`` (``linux``), ``{System}`` (``Linux``) and
    ``{architecture}`` (``amd64``) stand for what they say.

    Attributes:
        pin: of its version, in ``helm-values/versions.env``.
        address: of the file.
        sums: of the file with SHA-256 sums that is beside it.
        member: of the archive; empty where the file is the program.
    """

    pin: str
    address: str
    sums: str
    member: str = ""


_RELEASE = "https://github.com/eksctl-io/eksctl/releases/download/v{version}"
_KUBECTL = "https://dl.k8s.io/release/v{version}/bin/{system}/{architecture}/kubectl"
_HELM = "https://get.helm.sh/helm-v{version}-{system}-{architecture}.tar.gz"
#: Sources: https://docs.aws.amazon.com/eks/latest/eksctl/installation.html,
#: https://kubernetes.io/docs/tasks/tools/install-kubectl-linux/, https://helm.sh/docs/intro/install/
SOURCES = {
    "eksctl": Source(
        "EKSCTL_VERSION",
        f"{_RELEASE}/eksctl_{{System}}_{{architecture}}.tar.gz",
        f"{_RELEASE}/eksctl_checksums.txt",
        "eksctl",
    ),
    "kubectl": Source("KUBECTL_RELEASE", _KUBECTL, f"{_KUBECTL}.sha256"),
    "helm": Source("HELM_RELEASE", _HELM, f"{_HELM}.sha256sum", "{system}-{architecture}/helm"),
}


def add_to_path(environ: MutableMapping[str, str], folder: Path = FOLDER) -> None:
    """Have programs of the folder found where the ``PATH`` has none; others come first."""
    places = environ.get("PATH", os.defpath).split(os.pathsep)
    if str(folder) not in places:
        environ["PATH"] = os.pathsep.join([*places, str(folder)])


def get_programs(
    folder: Path,
    say: Callable[[str], None],
    sources: Mapping[str, Source] = SOURCES,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Have each program in the folder; one that is there in its version is not fetched again.

    Args:
        folder: made if it is not there.
        say: told a line at a time.
        sources: of each program.
        versions: as :func:`cluster.driver.versions.read_versions`; ours where nothing is said.

    Raises:
        ProgramRefused: one could not be had. Those before it are there, of it nothing is.
    """
    versions = read_versions() if versions is None else versions
    words = _name_machine()
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        version = versions[source.pin]
        place = folder / f".{name}-{version}"
        if not place.exists():
            _fetch(place, source, {"version": version, **words}, _find_pin(name, versions, words))
            say(f"{name} {version}: fetched, SHA-256 is right")
        else:
            say(f"{name} {version}: there already")
        _link(folder / name, Path(place.name))


def _find_pin(name: str, versions: Mapping[str, str], words: Mapping[str, str]) -> str:
    """The SHA-256 of what is fetched, where it is pinned: ``HELM_SHA256_LINUX_AMD64``."""
    key = f"{name}_sha256_{words['system']}_{words['architecture']}"
    return versions.get(key.upper(), "")


def _name_machine() -> dict[str, str]:
    system, machine = platform.system(), platform.machine().lower()
    if system not in ("Linux", "Darwin") or machine not in _ARCHITECTURES:
        raise ProgramRefused(
            f"Programs for {system} on {machine} are not known here: get them by hand"
            " (cluster/aws/00-tools/README.md)"
        )
    architecture = _ARCHITECTURES[machine]
    return {"System": system, "system": system.lower(), "architecture": architecture}


def _fetch(place: Path, source: Source, words: Mapping[str, str], pin: str) -> None:
    address = source.address.format_map(words)
    wanted, whose = pin, "helm-values/versions.env"
    if not pin:
        whose = source.sums.format_map(words)
        wanted = _find_sum(_read(whose).decode("utf-8", "replace"), address, whose)
    content = _read(address)
    found = hashlib.sha256(content).hexdigest()
    if found != wanted:
        raise ProgramRefused(
            f"{address} has SHA-256 {found}, and {whose} says {wanted}: it is not used. Try again;"
            " where it stays so, ask its makers"
        )
    if source.member:
        content = _take_member(content, source.member.format_map(words), address)
    part = place.with_name(f"{place.name}.new-{os.getpid()}")
    try:
        part.write_bytes(content)
        part.chmod(0o755)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def _read(address: str) -> bytes:
    """All of a file, with limits for its size and the time it takes."""
    deadline = time.monotonic() + _FILE_SECONDS
    content = bytearray()
    try:
        # Addresses are those above, or an administrator's own; the sum decides.
        with urllib.request.urlopen(address, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
            while chunk := answer.read(_CHUNK_BYTES):
                content += chunk
                if len(content) > _MOST_BYTES:
                    raise ProgramRefused(f"{address} is larger than any of these programs")
                if time.monotonic() > deadline:
                    raise ProgramRefused(
                        f"{address} took more than {_FILE_SECONDS // 60} minutes: try again"
                    )
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProgramRefused(
            f"{address} cannot be fetched from here: {error}. Try again, or get the program by hand"
            " (cluster/aws/00-tools/README.md)"
        ) from error
    return bytes(content)


def _find_sum(text: str, address: str, whose: str) -> str:
    """The sum of a file: alone, or in a list with names behind the sums."""
    name = address.rpartition("/")[2]
    for line in text.splitlines():
        found, *names = line.split() or [""]
        if _SUM.fullmatch(found) and (not names or names[-1].lstrip("*") == name):
            return found
    raise ProgramRefused(f"{whose} has no SHA-256 of {name}: get the program by hand")


def _take_member(content: bytes, member: str, address: str) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            file = archive.extractfile(member)
            if file is not None:
                return file.read()
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise ProgramRefused(f"{address} has no program {member}: {error}") from error
    raise ProgramRefused(f"{address} has no program {member}")


def _link(place: Path, target: Path) -> None:
    """Have a symbolic link there, at no time none or half of one."""
    part = place.with_name(f".{place.name}.link-{os.getpid()}")
    try:
        part.symlink_to(target)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)


def main() -> int:
    """Get the programs; return the exit code."""
    try:
        get_programs(FOLDER, _say)
    except ProgramRefused as refused:
        _say(f"{refused}\nWhat was fetched stays; run it again to go on.")
        return 1
    if _AWS.exists():
        _link(FOLDER / "aws", _AWS)
        _say("aws: of image notebook")
    else:
        _say("aws: make environment IMAGE=notebook brings it")
    _say(f"They are in {FOLDER}, where `make cluster-up` and its like look for what PATH lacks.")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
