"""How fast a machine has image `notebook`, its layers in zstd against gzip.

A registry and a containerd of this machine, with no network between them; each pull begins with an
empty disk and ends when all is unpacked, by the program that nodes have, without a kubelet. (A node
of the test bed begins with layers, and would fetch less.) The image is the one that the node ring
runs, pushed as `make push` does; both ways give the same one, for containerd refuses a layer that
has not the hash that the image's configuration names. What a machine fetches after a change of our
code is the last layer: a test of the images ring holds that true. Needs what builds images for
tests, Debian's registry, and root.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images._tool.build import name_image
from images._tool.engines import COMPRESSIONS, Engine
from images._tool.registry import Manifest
from tests.bed import nodes
from tests.bed.image_store import NAMESPACE, running_containerd
from tests.bench.figures import Figure, median, report
from tests.image_registry import ImageRegistry, Trials, lacks_program, running_registry
from tests.images.building import get_archive, why_not
from tests.platform.checkout import ROOT

REPOSITORY, TAG = "lab/notebook", "bench"
#: Seconds of the best way as a share of gzip's.
GOAL = 1.0
MOST_AFTER_A_CHANGE = 5e6
#: As the kubelet's containerd has it.
DOWNLOADS = "3"
#: Of a file that takes no more room than what is written to it.
DISK_BYTES = 16 << 30


@dataclass(frozen=True)
class Pushed:
    """The image in a registry of its own, for what one registry has another push does not send.

    Attributes:
        seconds: that pushing took.
    """

    registry: ImageRegistry
    manifest: Manifest
    seconds: float

    @property
    def sizes(self) -> list[int]:
        """Bytes of each layer, as they travel."""
        return [int(each["size"]) for each in self.manifest.parts["layers"]]


@contextmanager
def pushing(archive: Path, folder: Path) -> Iterator[Mapping[str, Pushed]]:
    """Registries that have an archive's image, by how its layers are compressed."""
    trials = Trials(folder / "store")
    engine, name = Engine("buildah"), name_image(ROOT, "notebook")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for variable, value in trials.environment.items():
            patch.setenv(variable, value)
        trials.run("pull", "--quiet", f"docker-archive:{archive}")
        found: dict[str, Pushed] = {}
        for compression in COMPRESSIONS:
            registry = stack.enter_context(running_registry(folder / compression))
            target = f"{registry.host}/{REPOSITORY}:{TAG}"
            begun = time.monotonic()
            engine.push(name, target, compression, None, lambda line: None)
            seconds = time.monotonic() - begun
            manifest = registry.find(REPOSITORY, TAG)
            if manifest is None or set(manifest.compressions) != {compression}:
                raise SystemExit(f"what was pushed is not in {compression}: {manifest}")
            found[compression] = Pushed(registry, manifest, seconds)
        trials.clear()
        if len({each.manifest.parts["config"]["digest"] for each in found.values()}) != 1:
            raise SystemExit("the two ways give different images")
        yield found


@contextmanager
def empty_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own, which is gone at once: to remove all files takes a minute."""
    image, disk = folder / "disk.img", folder / "disk"
    disk.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", image], check=True, stdin=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", "loop", image, disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)
        image.unlink()


def pull(pushed: Pushed, folder: Path) -> float:
    """Pull and unpack the image onto an empty disk; the seconds that it takes."""
    with empty_disk(folder) as disk, running_containerd(disk) as address:
        image = f"{pushed.registry.host}/{REPOSITORY}@{pushed.manifest.digest}"
        words = ["ctr", f"--address={address}", f"--namespace={NAMESPACE}", "images", "pull"]
        words += ["--plain-http", f"--max-concurrent-downloads={DOWNLOADS}", image]
        begun = time.monotonic()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(f"{image} cannot be pulled: {done.stderr}")
    return seconds


def measure(
    found: Mapping[str, Pushed], rounds: int, run: Callable[[Pushed], float]
) -> dict[str, list[float]]:
    """All ways in turn, ``rounds`` times, after one that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds + 1):
        for name, pushed in found.items():
            taken = run(pushed)
            sys.stderr.write(f"round {number}: {name} {taken:.1f} s\n")
            if number:
                seconds[name].append(taken)
    return seconds


def main(arguments: list[str]) -> int:
    """Measure and report; returns 1 when a figure is short."""
    parser = argparse.ArgumentParser(prog="bench_pulls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--archive", type=Path, help="of the image, instead of one that is built")
    options = parser.parse_args(arguments)
    reason = why_not() or nodes.why_not()
    if reason or lacks_program():
        sys.stdout.write(f"B10 is left out: {reason or 'there is no docker-registry'}\n")
        return 0
    archive = options.archive or get_archive("notebook")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with pushing(archive, folder) as found:
            seconds = measure(found, options.rounds, lambda pushed: pull(pushed, folder))
    best, plain = (found[name] for name in COMPRESSIONS)
    for name, each in found.items():
        sys.stdout.write(
            f"{name}: {sum(each.sizes) / 1e6:.1f} MB, pushed in {each.seconds:.1f} s,"
            f" pulled and unpacked in {median(seconds[name]):.1f} s\n"
        )
    sys.stdout.write(
        f"after a change of our code a machine fetches {best.sizes[-1] / 1e6:.2f} MB in"
        f" {COMPRESSIONS[0]}, {plain.sizes[-1] / 1e6:.2f} MB in {COMPRESSIONS[1]}\n"
    )
    sizes = {name: each.sizes for name, each in found.items()}
    first, second = (median(seconds[name]) for name in COMPRESSIONS)
    return report(
        "B10",
        [
            Figure("B10", "pull and unpack, zstd to gzip", first / second, GOAL, {**seconds}),
            Figure("B10", "bytes, zstd to gzip", sum(best.sizes) / sum(plain.sizes), GOAL, sizes),
            Figure(
                "B10",
                "bytes after a change of our code, to 5 MB",
                best.sizes[-1] / MOST_AFTER_A_CHANGE,
                GOAL,
                sizes,
            ),
        ],
        (),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
