"""Environment files: what a requirements.txt, pyproject.toml or environment.yml asks for.

The first two are read by uv; a conda file is turned into requirements here. Of its packages those
that are no Python packages are named, never dropped in silence. Used by the command that makes
environments and by the one that makes images.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: In the order in which they are looked for.
CONDA_FILES = ("environment.yml", "environment.yaml")
NAMES = ("requirements.txt", "pyproject.toml", *CONDA_FILES)

#: conda's name -> that of the same package on PyPI.
_RENAMED = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "python-igraph": "igraph",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
}
#: Programs and libraries that conda has and PyPI has not; what PyPI has of these names is foreign.
_NO_PYTHON = frozenset(
    {
        *("bcftools", "bedtools", "blast", "bowtie2", "bwa", "fastp", "fastqc", "gatk4", "hisat2"),
        *("htslib", "igv", "kallisto", "minimap2", "picard", "salmon", "samtools", "seqkit"),
        *("seqtk", "snpeff", "sra-tools", "star", "stringtie", "subread", "trimmomatic"),
        *("autoconf", "automake", "binutils", "c-compiler", "compilers", "cxx-compiler", "gcc"),
        *("gfortran", "git", "graphviz-dev", "gxx", "julia", "make", "nodejs", "openjdk", "perl"),
        *("boost", "bzip2", "cairo", "cudatoolkit", "cudnn", "curl", "eigen", "ffmpeg", "fftw"),
        *("gdal", "geos", "gsl", "hdf5", "icu", "jpeg", "mkl", "ncurses", "openblas", "openssl"),
        *("pandoc", "pango", "pkg-config", "proj", "readline", "sqlite", "tk", "xz", "zlib"),
    }
)
_NO_PYTHON_BEGINNING = ("r-", "bioconductor-", "perl-", "lib", "_", "gcc_", "gxx_", "cuda-")
_SPECIFICATION = re.compile(r"(?:[\w./-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)\s*(?P<rest>.*)")
_FUZZY = re.compile(r"=?\s*(?P<version>\d(?:[\w.+!]*[\w+!])?)(?P<any>\.?\*)?(?:=[\w*.]+)?")
_EXACT = re.compile(r"==\s*(?P<version>\d[\w.+!]*(?:\.\*)?)(?:=[\w*.]+)?")
_RANGE = re.compile(r"(?:(?:[<>]=?|!=|~=|==)\s*\d[\w.+!*]*\s*,?\s*)+")


class FileRefused(Exception):
    """An environment file cannot be used; the message is for whoever named it."""


@dataclass(frozen=True)
class Asked:
    """What a conda file asks for.

    Attributes:
        requirements: as pip writes them.
        left_out: what PyPI has not, as the file has it.
        python: the versions of Python that it wants, as pip writes them; empty: any.
    """

    requirements: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    python: str = ""


def find_file(folder: Path) -> Path | None:
    """Find the environment file of a folder; of several the first of :data:`NAMES`."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def is_known(file: Path) -> bool:
    """Whether a file's name says that it is an environment file."""
    return file.name == "pyproject.toml" or file.suffix in (".txt", ".in", ".yml", ".yaml")


def load_conda(file: Path) -> Asked:
    """Read a conda file, as :func:`read_conda` does.

    Raises:
        FileRefused: it cannot be read, is no YAML, or no such file.
    """
    import yaml  # noqa: PLC0415 - for these files only

    try:
        return read_conda(yaml.safe_load(file.read_text(encoding="utf-8")), file.name)
    except OSError as error:
        raise FileRefused(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise FileRefused(f"{file.name} cannot be read as YAML: {said}") from error


def read_conda(document: object, name: str) -> Asked:
    """Turn a conda file into requirements.

    Args:
        document: what its YAML gives.
        name: of the file, for messages.

    Raises:
        FileRefused: it has no list of dependencies, or one that cannot be understood.
    """
    entries = document.get("dependencies") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise FileRefused(f"{name} has no list 'dependencies', as a conda file has.")
    requirements: list[str] = []
    left_out: list[str] = []
    python = ""
    for entry in entries:
        if isinstance(entry, Mapping):
            requirements += _read_pip(entry, name)
            continue
        package, constraint = _read_specification(entry, name)
        if package == "python":
            python = constraint
        elif package in _NO_PYTHON or package.startswith(_NO_PYTHON_BEGINNING):
            left_out.append(str(entry))
        elif package != "pip":
            requirements.append(f"{_RENAMED.get(package, package)}{constraint}")
    return Asked(tuple(requirements), tuple(left_out), python)


def _read_pip(entry: Mapping[str, Any], name: str) -> Iterable[str]:
    """The requirements below ``- pip:``."""
    lines = entry.get("pip")
    if set(entry) != {"pip"} or not isinstance(lines, list):
        raise FileRefused(f"{name}: of mappings only '- pip:' with a list is understood.")
    return [str(line) for line in lines]


def _read_specification(entry: object, name: str) -> tuple[str, str]:
    """A package of conda as its name and a constraint of pip's.

    Source: https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
    (package match specifications)
    """
    found = _SPECIFICATION.fullmatch(str(entry).strip())
    if found:
        package, rest = found["name"].lower(), found["rest"].strip()
        if rest in ("", "*"):
            return package, ""
        if _RANGE.fullmatch(rest):
            return package, re.sub(r"\s+", "", rest)
        if exact := _EXACT.fullmatch(rest):
            return package, f"=={exact['version']}"
        if fuzzy := _FUZZY.fullmatch(rest):
            # One '=' means that version and all that begin like it; with a build it is exact.
            is_exact = rest.count("=") > 1 and not fuzzy["any"]
            return package, f"=={fuzzy['version']}{'' if is_exact else '.*'}"
    raise FileRefused(f"{name}: '{entry}' cannot be understood: write it as 'name', 'name=1.2'.")


def check_python(wanted: str, version: tuple[int, int], name: str) -> None:
    """See that the Python that a conda file wants is the one that there is.

    Args:
        wanted: as :attr:`Asked.python` has it.
        version: major and minor of the one that there is.
        name: of the file, for the message.

    Raises:
        FileRefused: it names another one.
    """
    named = re.fullmatch(r"==(\d+)\.(\d+)(?:\..*)?", wanted)
    if named and (int(named[1]), int(named[2])) != version:
        has = ".".join(map(str, version))
        raise FileRefused(
            f"{name} asks for Python {named[1]}.{named[2]}, and here is {has}:"
            " choose an image that has it, or change that line."
        )
