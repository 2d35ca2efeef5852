"""Starting one real node: its files, its namespaces, containerd and kubelet in them.

Each step is taken for several nodes before the next, since most of it is waiting. Used by
`nodes.py` only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from images._tool.tools import find_places
from tests.bed import archive, cgroups, image_store
from tests.bed.files import write_atomically
from tests.bed.image_store import ImageStore
from tests.bed.namespace import PREFIX, Namespace
from tests.bed.node_files import (
    CONTAINERD_SOCKET,
    NODE_FOLDER,
    PAUSE_IMAGE,
    REGISTRIES,
    Machine,
    NodeFacts,
    build_containerd,
    build_kubelet,
    build_plugin_list,
    dump_facts,
    load_facts,
)

if TYPE_CHECKING:
    from tests.bed.bed import Bed

Say = Callable[[str], None]
HERE = Path(__file__).parent
PLUGIN_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
PLUGINS = ("host-local", "loopback", "ptp")
#: Seconds that a part of a node may take to start, on a machine that has much else to do.
PATIENCE = 60.0
#: The last that containerd says before it serves a kubelet.
READY = "Start streaming server"
#: Containerd's way to let layers lie over each other.
LAYERED = "overlayfs"


class NodeFailed(Exception):
    """A node did not come up; the message says what was waited for and what its log ends with."""


def prepare(bed: Bed, facts: NodeFacts, *, with_images: bool = False) -> NodeFacts:
    """Write a node's files, and make its address and its cgroup folder.

    Args:
        bed: of the node.
        facts: of the node.
        with_images: whether its disk begins with the images that are kept.
    """
    folder = get_folder(bed, facts.name)
    own = folder / "lib" / "node"
    for each in ("lib/containerd", "lib/kubelet", "lib/node/cni", "log/pods"):
        (folder / each).mkdir(parents=True, exist_ok=True)
    machine = _describe_machine()
    root = name_cgroup(bed.tag, facts.name)
    kubelet = build_kubelet(
        facts,
        machine,
        cgroup_root=f"/{root}",
        dns=bed.network.address,
        port=bed.network.port("kubelet"),
    )
    snapshotter = _choose_snapshotter(folder)
    containerd = build_containerd(machine, snapshotter)
    if with_images and snapshotter == LAYERED:
        ImageStore(find_places(os.environ)).begin(folder / "lib" / "containerd")
    user, groups = f"system:node:{facts.name}", ["system:nodes"]
    files = bed.authority.issue_node(
        f"kubelet-{facts.name}", user, groups, [facts.address, facts.name]
    )
    for source, target in zip(files, ("kubelet.crt", "kubelet.key"), strict=True):
        write_atomically(own / target, source.read_text(encoding="utf-8"))
    authority = bed.authority.certificate_file.read_text(encoding="utf-8")
    write_atomically(own / "ca.crt", authority)
    bed.authority.write_kubeconfig(
        own / "kubeconfig", bed.control_plane.server, user, groups, files
    )
    write_atomically(own / "containerd.toml", containerd)
    write_atomically(own / "kubelet.json", json.dumps(kubelet, indent=2) + "\n")
    write_atomically(own / "cni" / "pods.conflist", json.dumps(build_plugin_list(facts)))
    write_atomically(folder / "node.json", dump_facts(facts))
    return facts


def start(bed: Bed, nodes: Sequence[NodeFacts]) -> None:
    """Start nodes side by side, each step for all of them.

    Raises:
        NodeFailed: a part of one did not start in time.
    """
    image = bed.folder / "pause.tar"
    if not image.exists():
        archive.write_image(
            image, PAUSE_IMAGE, {"pause": bed.programs.path("pause")}, entrypoint=["/pause"]
        )
    for node in nodes:
        cgroups.make(name_cgroup(bed.tag, node.name))
        get_network(bed).add_address(node.address)
        _start_machine(bed, node)
    told: dict[str, int] = {}
    for node in nodes:
        first = bed.daemons.get(f"node-{node.name}").pid
        wait(bed, node.name, "process 1", partial(_is_called, first, "pause"))
        log = bed.daemons.log(f"containerd-{node.name}")
        told[node.name] = log.stat().st_size if log.exists() else 0
        _run_inside(bed, node, "containerd", f"--config={NODE_FOLDER}/containerd.toml")
    for node in nodes:
        # It listens before it has looked through its images, and a kubelet that asks before ends.
        log = bed.daemons.log(f"containerd-{node.name}")
        wait(bed, node.name, "containerd", partial(_says, log, told[node.name], READY))
        _run_inside(
            bed,
            node,
            "/run/bin/kubelet",
            f"--config={NODE_FOLDER}/kubelet.json",
            f"--kubeconfig={NODE_FOLDER}/kubeconfig",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
            # One more than usual: a container that is made and does not run yet counts as dead, and
            # with the one that it succeeds would go the news of how that ended.
            "--maximum-dead-containers-per-container=2",
            f"--node-labels={','.join(f'{key}={value}' for key, value in node.labels.items())}",
        )
    for node in nodes:
        load_image(bed, node.name, image)


def _start_machine(bed: Bed, node: NodeFacts) -> None:
    spaces = "--mount --pid --fork --kill-child --mount-proc --propagation private"
    bed.daemons.start(
        f"node-{node.name}",
        [
            HERE / "node_root.sh",
            get_folder(bed, node.name),
            bed.programs.path("kubelet"),
            bed.programs.path("pause"),
        ],
        within=(*bed.network.within, "unshare", *spaces.split(), "--"),
        forks=True,
    )


def _run_inside(bed: Bed, node: NodeFacts, program: str, *options: str) -> None:
    first = bed.daemons.get(f"node-{node.name}").pid
    bed.daemons.start(
        f"{Path(program).name}-{node.name}",
        [program, *options],
        within=("nsenter", f"--target={first}", "--mount", "--pid", "--net", "--"),
        forks=True,
    )


def load_image(bed: Bed, name: str, image: Path) -> None:
    """Put an image (a docker archive) where the node's pods find it."""
    _run_ctr(bed, name, "images", "import", str(image))


def load_kept_image(bed: Bed, name: str, archive: Path, say: Say = lambda line: None) -> None:
    """Put an image where the node's pods find it, unless it is there.

    Args:
        bed: of the node.
        name: of the node.
        archive: whose name tells its content.
        say: told when that takes a while.
    """
    disk = get_folder(bed, name) / "lib" / "containerd"
    if not image_store.is_loaded(disk, archive):
        say(f"Loading {archive.stem} into {name} ...")
        image_store.load(_get_socket(bed, name), disk, archive)


def keep_images(bed: Bed, archives: Sequence[Path]) -> None:
    """Let nodes that are made from now on begin with images."""
    if _choose_snapshotter(bed.folder) == LAYERED:
        ImageStore(find_places(os.environ)).keep(archives)


def lead_to_registry(bed: Bed, name: str, host: str, url: str) -> None:
    """Let a node pull images of a registry from another address, also without TLS.

    Args:
        bed: of the node.
        name: of the node.
        host: of the registry, as images name it.
        url: where it is, for the node.

    Source: https://github.com/containerd/containerd/blob/v1.6.20/docs/hosts.md
    """
    lines = [f'server = "{url}"', f'[host."{url}"]', 'capabilities = ["pull", "resolve"]']
    folder = get_folder(bed, name) / "lib" / "node" / REGISTRIES / host
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "hosts.toml", "\n".join(lines) + "\n")


def name_by_digest(bed: Bed, name: str, image: str) -> str:
    """Let a node's image be found by its digest too, as one that came from a registry.

    Args:
        bed: of the node.
        name: of the node.
        image: its repository and tag.

    Returns:
        the digest, ``sha256:...``.
    """
    row = _run_ctr(bed, name, "images", "list", f"name=={image}").splitlines()[1]
    digest = row.split()[2]
    known = f"{image.rpartition(':')[0]}@{digest}"
    _run_ctr(bed, name, "images", "tag", "--force", image, known)
    return digest


def list_images(bed: Bed, name: str) -> list[str]:
    """What containerd of a node calls its images: names, and ids as pods' states have them."""
    return _run_ctr(bed, name, "images", "list", "--quiet").split()


def _run_ctr(bed: Bed, name: str, *words: str) -> str:
    command = ("ctr", f"--address={_get_socket(bed, name)}", "--namespace=k8s.io", *words)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NodeFailed(f"{' '.join(words)} failed in {name}: {done.stderr.strip()}")
    return done.stdout


def wait(bed: Bed, name: str, what: str, probe: Callable[[], bool]) -> None:
    """Wait for a part of a node.

    Raises:
        NodeFailed: it did not come in time, or a part of the node has died.
    """
    deadline = time.monotonic() + PATIENCE
    while not probe():
        daemons = [each for each in list_daemons(name) if each in bed.daemons.names()]
        died = [each for each in daemons if not bed.daemons.is_running(each)]
        if died or time.monotonic() > deadline:
            logs = "\n".join(f"{each}:\n{bed.daemons.read_tail(each)}" for each in died or daemons)
            raise NodeFailed(f"{what} of {name} did not come up\n{logs}")
        time.sleep(0.05)


def list_daemons(name: str) -> list[str]:
    """What a node's processes are called among the bed's; the first ends the others."""
    return [f"node-{name}", f"containerd-{name}", f"kubelet-{name}"]


def get_folder(bed: Bed, name: str) -> Path:
    """Where a node's files are; what is in it as `lib` the node sees as `/var/lib`."""
    return bed.folder / "nodes" / name


def read_facts(bed: Bed, name: str) -> NodeFacts | None:
    """What a node was made of; None when there is none."""
    with suppress(FileNotFoundError):
        return load_facts((get_folder(bed, name) / "node.json").read_text(encoding="utf-8"))
    return None


def get_network(bed: Bed) -> Namespace:
    """The bed's network, which real nodes need as a namespace."""
    if not isinstance(bed.network, Namespace):
        raise NodeFailed(f"bed {bed.name} was made without a network for real nodes")
    return bed.network


def name_cgroup(tag: str, node: str = "") -> str:
    """A node's cgroup folder; without a node, what the names of all of them begin with."""
    # No tag has a dot, so none is the beginning of another's.
    return f"{PREFIX}{tag}.{node}"


@cache
def find_plugins() -> str | None:
    """The folder of the network plugins."""
    folders = [Path(folder) for folder in PLUGIN_FOLDERS]
    found = (str(each) for each in folders if all((each / name).exists() for name in PLUGINS))
    return next(found, None)


def _describe_machine() -> Machine:
    memory = next(
        int(line.split()[1]) // 1024
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        if line.startswith("MemTotal:")
    )
    return Machine(os.cpu_count() or 1, memory, find_plugins() or PLUGIN_FOLDERS[0])


def _choose_snapshotter(folder: Path) -> str:
    """Layers lie over each other where the disk can do it, else each is copied."""
    layers = [folder / "probe" / each for each in ("lower", "upper", "work", "all")]
    for layer in layers:
        layer.mkdir(parents=True, exist_ok=True)
    lower, upper, work, whole = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount = ("mount", "-t", "overlay", "overlay", "-o", options, str(whole))
    done = subprocess.run(["unshare", "--mount", *mount], capture_output=True, check=False)
    shutil.rmtree(folder / "probe", ignore_errors=True)
    return "native" if done.returncode else LAYERED


def _get_socket(bed: Bed, name: str) -> Path:
    """Containerd's socket, through the node's view of the file system."""
    first = bed.daemons.get(f"node-{name}").pid
    return Path(f"/proc/{first}/root{CONTAINERD_SOCKET}")


def _says(log: Path, since: int, text: str) -> bool:
    """Whether a log has a text behind its first bytes."""
    with log.open("rb") as file:
        file.seek(since)
        return text.encode() in file.read()


def _is_called(pid: int, name: str) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == name
    return False
