"""How machines on AWS pull images: ``aws: pulls`` of the settings → :class:`Pull` of a node pool.

Part of the section that :mod:`cluster.driver.aws_settings` reads, in the same way: every mistake
with its line and mend. Pure.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hub_config.platform.entry import Entry

#: What a gp3 disk has without paying for more, and what it may have, in MiB a second and in
#: operations a second. Source: CRD of EC2NodeClass, karpenter-provider-aws v1.14
_THROUGHPUT, _IOPS = (125, 1000), (3000, 16_000)
#: MiB a second for each operation a second, at most. Source:
#: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html#gp3-performance
_MIB_PER_OPERATION = 0.25
#: MiB a second that parallel pulling wants; with less a pull may take longer than without. Source:
#: https://github.com/awslabs/amazon-eks-ami, nodeadm/doc/examples.md (July 2026)
_PARALLEL_THROUGHPUT = 600
#: MiB a second at which a disk is filled from its snapshot. Source: as for throughput.
_FILL = (100, 300)
_SNAPSHOT = re.compile(r"snap-(?:[0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True)
class Pull:
    """How the machines of a pool pull images; all left out is as EKS has it.

    Attributes:
        parallel: whether the layers of an image are fetched and unpacked at once.
        throughput: of the disk that holds images, in MiB a second.
        iops: its operations a second.
        snapshot: of a disk that holds images already; empty for none.
        fill: MiB a second at which that disk is read from the snapshot; 0 where EC2 reads what is
            asked for.
    """

    parallel: bool = False
    throughput: int = _THROUGHPUT[0]
    iops: int = _IOPS[0]
    snapshot: str = ""
    fill: int = 0

    @property
    def further_throughput(self) -> int:
        """What is paid for, in MiB a second."""
        return self.throughput - _THROUGHPUT[0]

    @property
    def further_iops(self) -> int:
        """What is paid for, in operations a second."""
        return self.iops - _IOPS[0]


def read_pulls(
    entry: Entry | None, pools: Collection[str], local_disks: Collection[str]
) -> dict[str, Pull]:
    """Node pool -> how its machines pull images; mistakes are noted.

    Args:
        entry: ``pulls``, where it is said.
        pools: that there are.
        local_disks: pools whose images lie on the machines' own disks.
    """
    if entry is None:
        return {}
    found = {}
    for pool in pools:
        below = entry.entry(pool, required=False)
        if below is not None:
            found[pool] = _read_pull(below, pool in local_disks)
    entry.close()
    return found


def _read_pull(entry: Entry, has_local_disks: bool) -> Pull:
    parallel = entry.flag("parallel")
    iops = _read_range(entry, "iops", _IOPS, _IOPS[0])
    throughput = _read_range(entry, "throughput", _THROUGHPUT, _THROUGHPUT[0])
    rule = "a snapshot of EC2 is called like snap-0123456789abcdef0"
    snapshot = entry.text("snapshot", "", _SNAPSHOT, rule)
    fill = _read_range(entry, "fill", _FILL, 0)
    if entry.sound and throughput > iops * _MIB_PER_OPERATION:
        least = int(throughput / _MIB_PER_OPERATION)
        entry.add("throughput", f"{throughput} MiB/s want more operations: write iops: {least}")
    for name in ("throughput", "iops", "snapshot") if has_local_disks else ():
        if entry.has(name):
            entry.add(name, "images of a pool in local_disks lie on those: take out one of both")
    if parallel and snapshot:
        entry.add(
            "parallel", "keeps images elsewhere than a snapshot has them: take out one of both"
        )
    elif parallel and not has_local_disks and throughput < _PARALLEL_THROUGHPUT:
        entry.add(
            "parallel",
            "wants a quick disk, else pulls may take longer than without it: write throughput:"
            f" {_PARALLEL_THROUGHPUT} or more",
        )
    if fill and not snapshot:
        entry.add("fill", "is of a snapshot, and none is named")
    entry.close()
    return Pull(parallel, throughput, iops, snapshot, fill)


def _read_range(entry: Entry, name: str, bounds: tuple[int, int], default: int) -> int:
    least, most = bounds
    found = int(entry.number(name, default, whole=True))
    if entry.has(name) and not least <= found <= most:
        entry.add(name, f"must be from {least} to {most}, not {found}")
        return most
    return found
