"""What every image of ours must be: checks that its `verify.py` runs inside the built image.

Place in the path: `images/_tool/build.py` has an image's `verify.py` run in the image, by its own
Python, as its user. Standard library only, but for what a check of packages imports. Imported by
`images/*/verify.py`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
#: What an image does without of its packages; most do without nothing.
LEFT_OUT = LOCK.with_name("left-out.txt")
USER, UID, GID = "jovyan", 1000, 100
TINI = "/usr/bin/tini"
PRUNED = {"/dev", "/proc", "/sys", "/verify"}
SECRETS = Path("/run/secrets")
VARIABLES_OF_A_BUILD = re.compile(r"(?i)(PIP_|UV_|.*_proxy$|.*CA_BUNDLE$|SSL_CERT|APT_)")
#: Distributions of ours, which no lock names.
OWN = ("offline-jobs", "notebook-hpc", "stereo-seq-readers")
#: What reads schemas, each in some images.
SLOWED = ("nbformat", "jupyter_events", "jsonschema")
#: How many of many things a message names.
SHOWN = 5
MARK = "kept-by-the-init-process"


class Wrong(Exception):
    """The image is not as it must be; the message says what is wrong."""


def run_checks(checks: Iterable[Callable[[], str]]) -> int:
    """Run all checks and say what each found; return the exit code."""
    failed = 0
    for check in checks:
        try:
            line = check()
        except Wrong as wrong:
            failed += 1
            line = f"WRONG {check.__name__}: {wrong}"
        sys.stdout.write(line + "\n")
    return 1 if failed else 0


def check_user() -> str:
    """Everything runs as 1000:100, named jovyan, with a home that is its own."""
    if (os.getuid(), os.getgid()) != (UID, GID):
        raise Wrong(f"runs as {os.getuid()}:{os.getgid()}")
    entry = pwd.getpwuid(UID)
    if (entry.pw_name, entry.pw_gid, entry.pw_dir) != (USER, GID, f"/home/{USER}"):
        raise Wrong(f"user {UID} is {entry}")
    if not os.access(entry.pw_dir, os.W_OK):
        raise Wrong(f"{entry.pw_dir} cannot be written")
    return f"runs as {USER}, {UID}:{GID}"


def check_rights() -> str:
    """No file gives its caller another's rights, and the environment cannot be changed."""
    found = []
    for path, status in walk("/"):
        if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            found.append(f"{path} is setuid or setgid")
        elif (
            path.startswith(f"{sys.prefix}/")
            and not stat.S_ISLNK(status.st_mode)
            and os.access(path, os.W_OK)
        ):
            found.append(f"{path} can be changed by its users")
    if found:
        raise Wrong("; ".join(found[:SHOWN]))
    return "no setuid or setgid file, nothing of the environment can be changed"


def check_init() -> str:
    """The init process hides its variables from the user that it runs as."""
    read = f"cat /proc/$PPID/environ | tr '\\0' '\\n' | grep -c {MARK}; cat /proc/$PPID/comm"
    said = subprocess.run(
        [TINI, "-s", "--", "sh", "-c", read],
        env={**os.environ, "SECRET": MARK},
        capture_output=True,
        text=True,
        check=False,
    )
    if said.stdout.split() != ["0", "tini"] or "Permission denied" not in said.stderr:
        raise Wrong(f"a process under it reads its variables ({said.stdout} {said.stderr})")
    return "init process hides its variables"


def check_nothing_of_the_build() -> str:
    """No secret, variable or cache of the build is left."""
    left = [str(path) for path in SECRETS.glob("*")] if SECRETS.is_dir() else []
    left += [name for name in os.environ if VARIABLES_OF_A_BUILD.match(name)]
    left += [str(p) for p in (Path("/etc/pip.conf"), Path("/var/cache/uv")) if p.exists()]
    left += [str(p) for p in Path("/var/lib/apt/lists").glob("*")]
    if left:
        raise Wrong(f"left over: {', '.join(left)}")
    return "nothing of the build is left"


def check_packages() -> str:
    """What is installed is what the lock names, and our own."""
    lock = LOCK.read_text(encoding="utf-8")
    installed = importlib.metadata.distributions()
    found = {normalize(each.metadata["Name"]): each.version for each in installed}
    own = {name for name in found if name in OWN}
    if wrong := compare_packages(lock, {name: found[name] for name in found.keys() - own}):
        raise Wrong(f"not as the lock says: {', '.join(wrong)}")
    return f"{len(found)} packages as locked, own: {', '.join(sorted(own))}"


def compare_packages(lock: str, found: Mapping[str, str]) -> list[str]:
    """List the packages that are there and not locked, of another version, or missing.

    Args:
        lock: its text; what it names for some systems only may be missing.
        found: version of each package that is installed.
    """
    lines = re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+) *(;?)", lock, re.MULTILINE)
    pins = {name: version for name, version, _ in lines}
    wrong = {name for name, version in found.items() if pins.get(name) != version}
    missing = {name for name, _, marker in lines if not marker and name not in found}
    return sorted(wrong | missing)


def check_package_files() -> str:
    """Each package has all of its files, but for what the image does without."""
    text = LEFT_OUT.read_text(encoding="utf-8") if LEFT_OUT.exists() else ""
    files = [
        (file.as_posix(), Path(str(file.locate())).exists())
        for each in importlib.metadata.distributions()
        for file in each.files or []
    ]
    if wrong := compare_files(files, text):
        raise Wrong("; ".join(wrong[:SHOWN]))
    left_out = sum(not is_there for _, is_there in files)
    return f"{len(files) - left_out} files of packages are there, left out: {left_out}"


def compare_files(files: Iterable[tuple[str, bool]], left_out: str) -> list[str]:
    """List what is wrong with the files that packages brought.

    Args:
        files: of each its path below site-packages, and whether it is there.
        left_out: patterns of paths that are not there, a line each, comments after `#`; `*` stands
            for letters of one folder's or file's name.
    """
    lines = (line.partition("#")[0].strip() for line in left_out.splitlines())
    unused = {line for line in lines if line}
    patterns = {line: re.compile(re.escape(line).replace(r"\*", "[^/]*")) for line in unused}
    wrong = []
    for path, is_there in files:
        meant = {line for line, pattern in patterns.items() if pattern.fullmatch(path)}
        unused -= meant
        if is_there and meant:
            wrong.append(f"{path} is there, and was to be left out")
        if not is_there and not meant:
            wrong.append(f"{path} is missing")
    return wrong + [f"no package brings {line}, which is to be left out" for line in sorted(unused)]


def check_compiled() -> str:
    """Every module has its bytecode, since users cannot write it."""
    modules = missing = 0
    for folder in (path for path in sys.path if path.startswith(sys.prefix)):
        for source in Path(folder).rglob("*.py"):
            modules += 1
            missing += not is_compiled(source)
    # Templates and test data that are no Python of this version cannot be compiled.
    if not modules or missing > modules // 200:
        raise Wrong(f"{missing} of {modules} modules are not compiled")
    return f"{modules - missing} of {modules} modules are compiled"


def is_compiled(source: Path) -> bool:
    """Whether Python takes the bytecode of a module: it names the source's time and size."""
    cached = Path(importlib.util.cache_from_source(str(source)))
    if not cached.is_file():
        return False
    with cached.open("rb") as file:
        head = file.read(16)
    status = source.stat()
    return (
        head[:4] == importlib.util.MAGIC_NUMBER
        and int.from_bytes(head[8:12], "little") == int(status.st_mtime) & 0xFFFFFFFF
        and int.from_bytes(head[12:16], "little") == status.st_size & 0xFFFFFFFF
    )


def check_quick_imports() -> str:
    """Servers, kernels and runners start without the grammars that one package compiles.

    `jsonschema` would import it with its formats, and every start would take seconds more.
    """
    check_absent(("rfc3987_syntax", "lark"))
    there = [name for name in SLOWED if importlib.util.find_spec(name) is not None]
    code = f"import sys, {', '.join(there)}; print('lark' in sys.modules)"
    if not there or run(sys.executable, "-c", code) != "False\n":
        raise Wrong(f"importing {', '.join(there)} compiles grammars")
    return f"no grammar is compiled by: {', '.join(there)}"


def import_all(modules: Iterable[str]) -> None:
    """Import modules.

    Raises:
        Wrong: naming the first that cannot be imported.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise Wrong(f"{name} cannot be imported: {error}") from error


def check_absent(modules: Iterable[str]) -> None:
    """See that the image does without some modules."""
    if found := [name for name in modules if importlib.util.find_spec(name) is not None]:
        raise Wrong(f"does not belong here: {', '.join(found)}")


def run(*command: str, environ: Mapping[str, str] | None = None) -> str:
    """Run a program of the image and return what it printed.

    Raises:
        Wrong: it failed, or is not there.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise Wrong(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode:
        raise Wrong(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout


def walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Walk over all files of the image that its user can see, some 60,000 in an environment."""
    for folder, folders, files in os.walk(top):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in PRUNED]
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            yield path, os.lstat(path)


def normalize(name: str) -> str:
    """Write a package's name as locks do."""
    return re.sub(r"[-_.]+", "-", name).lower()


OF_EVERY_IMAGE = (check_user, check_rights, check_init, check_nothing_of_the_build)
#: Of those with an environment of a lock.
COMMON = (
    *OF_EVERY_IMAGE,
    check_packages,
    check_package_files,
    check_compiled,
    check_quick_imports,
)
