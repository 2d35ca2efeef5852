"""A workspace as a local process: environment, folders, cores and memory.

The embedded default's spawner and job backend start what :func:`build_process` describes; here
nothing is started and no folder made. Pure, but for the looks of :func:`measure`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Machine
from hub_config.platform.workspace import Workspace, build_thread_variables, count_cores

#: What a user's process takes over from ours; nothing else, for a hub's environment holds secrets.
KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
#: The kernel that each environment is itself.
NATIVE_KERNEL = "python3"
#: Kernels of the system, which the servers of all environments find beside their own.
#: Source: https://docs.jupyter.org/en/latest/use/jupyter-directories.html#data-files
SYSTEM_KERNELS = (Path("/usr/local/share/jupyter/kernels"), Path("/usr/share/jupyter/kernels"))


@dataclass(frozen=True)
class Process:
    """How to start something of a workspace on this machine.

    Attributes:
        python: interpreter of the image's environment.
        home: the user's home, also the working directory of a session.
        environment: all of the process's environment but what its caller must add (tokens, URLs).
        cores: how many cores its affinity holds.
        memory_bytes: what a job's runner watches.
        folders: folders that must exist before the start.
    """

    python: Path
    home: Path
    environment: Mapping[str, str]
    cores: int
    memory_bytes: int
    folders: tuple[Path, ...]


def is_built(environment: Path) -> bool:
    """Whether an image's environment is complete; the tool that makes it stamps it last."""
    return (environment / ".stamps" / "own").is_file()


def measure(
    catalogue: Catalogue,
    environments: Path | None,
    *,
    cores: int,
    memory_bytes: int,
    gpus: int,
    system_kernels: tuple[Path, ...] = SYSTEM_KERNELS,
) -> Machine:
    """What this machine can give now: which images it has an environment and the kernels of.

    Args:
        catalogue: with the images that are looked for.
        environments: folder of the images' environments, if there is one.
        cores: cores of this machine.
        memory_bytes: memory of this machine.
        gpus: GPUs of this machine.
        system_kernels: folders of kernels that no environment has for itself.
    """
    built, missing = set(), {}
    for slug, image in catalogue.images.items():
        if environments is None or not is_built(environments / slug):
            continue
        built.add(slug)
        folders = (environments / slug / "share" / "jupyter" / "kernels", *system_kernels)
        for kernel in image.kernels:
            found = any((folder / kernel / "kernel.json").is_file() for folder in folders)
            if kernel != NATIVE_KERNEL and not found:
                missing[slug] = kernel
    return Machine(
        cores=cores,
        memory_bytes=memory_bytes,
        gpus=gpus,
        images=frozenset(built),
        missing_kernels=missing,
    )


def build_process(
    workspace: Workspace,
    state: Path,
    environments: Path,
    machine: Machine,
    base_environment: Mapping[str, str],
) -> Process:
    """The local process of a workspace.

    Args:
        workspace: from :func:`hub_config.platform.workspace.build_workspace`.
        state: the state folder (``homes/``, ``shared/``, ``scratch/`` below it).
        environments: folder with one uv environment per image slug.
        machine: caps the cores.
        base_environment: ours; only :data:`KEPT_VARIABLES` and the search path are taken over.
    """
    environment_folder = environments / workspace.image
    home = state / "homes" / workspace.home
    # Of one user and kind of work, on local disk: SQLite databases of IPython and of the signatures
    # hang on network file systems, and here sessions are kept as they are in pods.
    local = state / "scratch" / workspace.home
    scratch = local / "scratch"
    runtime = local / "runtime"
    cores = min(count_cores(workspace.cores), machine.cores)
    shared = [
        state / "shared" / mount.name for mount in workspace.mounts if mount.source == "shared"
    ]
    folders = (home, scratch, runtime, local / "cache", *shared)
    environment = {
        **{name: base_environment[name] for name in KEPT_VARIABLES if name in base_environment},
        **workspace.environment,
        **build_thread_variables(cores),
        "HOME": str(home),
        "USER": workspace.user,
        "LOGNAME": workspace.user,
        "SHELL": "/bin/bash",
        "PATH": f"{environment_folder / 'bin'}:{base_environment.get('PATH') or _SYSTEM_PATH}",
        "VIRTUAL_ENV": str(environment_folder),
        "SCRATCH": str(scratch),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "MPLCONFIGDIR": str(local / "cache" / "matplotlib"),
        "XDG_CACHE_HOME": str(local / "cache"),
        **({"SHARED": str(shared[0])} if shared else {}),
    }
    return Process(
        python=environment_folder / "bin" / "python",
        home=home,
        environment=environment,
        cores=cores,
        memory_bytes=workspace.memory_bytes,
        folders=folders,
    )
