"""Where the files are that sessions and jobs have in common: ``storage`` of the settings.

What is written wins; of the rest a cluster on AWS has what its section ``aws: storage`` says. Used
by :mod:`cluster.driver.settings`, which reads it with all else. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster.driver.aws_settings import Aws
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.entry import Entry
from hub_config.platform.pods import DATA_CLAIM_PREFIX, HOMES_CLAIM, SHARED_CLAIM

#: Kinds of volumes that several machines can mount, and a folder of one machine.
SOURCES = ("csi", "nfs", "cephfs", "hostPath")
EFS, S3 = "efs.csi.aws.com", "s3.csi.aws.com"
#: Claim -> output of the stack of step 40-storage that is its volume's handle.
OUTPUTS = {HOMES_CLAIM: "HomesVolume", SHARED_CLAIM: "SharedVolume"}
#: What a claim asks for where nobody says: file systems such as EFS do not heed it.
_SIZE = 1 << 40
#: Of a bucket that is mounted: whose its files seem to be, and that others than root may read them.
#: Source: mountpoint-s3-csi-driver v2.7, examples/kubernetes/static_provisioning/non_root.yaml
_BUCKET_OPTIONS = ("read-only", "allow-other", "uid=1000", "gid=100")


@dataclass(frozen=True)
class Volume:
    """Where the files behind a claim are.

    Attributes:
        source: what a PersistentVolume is made of, such as ``{"nfs": {...}}``.
        size: bytes that volume and claim say.
        mount_options: of the volume.
        output: of the stack that has yet to say its handle; empty where it is known.
    """

    source: Mapping[str, Any]
    size: int
    mount_options: tuple[str, ...] = ()
    output: str = ""


def list_claims(catalogue: Catalogue) -> list[str]:
    """Names of the claims that sessions and jobs have in common."""
    groups = catalogue.groups.values()
    buckets = {bucket for group in groups for bucket in group.buckets}
    shared = [SHARED_CLAIM] if any(group.shared_folder for group in groups) else []
    return [HOMES_CLAIM, *shared, *(f"{DATA_CLAIM_PREFIX}{name}" for name in sorted(buckets))]


def name_stack(cluster: str) -> str:
    """The stack with files, buckets and database of a cluster."""
    return f"{cluster}-storage"


def build_volumes(aws: Aws, catalogue: Catalogue) -> dict[str, Volume]:
    """Claim -> its volume, of all that ``aws: storage`` has for the catalogue.

    A bucket is mounted with the rights of whoever's pod it is, so no group reads another's.

    Source: mountpoint-s3-csi-driver v2.7, docs/CONFIGURATION.md, pod-level credentials
    """
    if aws.storage is None:
        return {}
    volumes: dict[str, Volume] = {}
    for claim in list_claims(catalogue) if aws.storage.files else ():
        if output := OUTPUTS.get(claim):
            handle = f"({output} of stack {name_stack(aws.cluster)})"
            volumes[claim] = build_file_volume(handle, output)
    for bucket in aws.storage.buckets:
        attributes = {"bucketName": bucket, "authenticationSource": "pod"}
        source = {"csi": {"driver": S3, "volumeAttributes": attributes}}
        options = (f"region {aws.region}", *_BUCKET_OPTIONS)
        volumes[f"{DATA_CLAIM_PREFIX}{bucket}"] = Volume(source, _SIZE, options)
    return volumes


def build_file_volume(handle: str, output: str = "") -> Volume:
    """A volume of EFS, by file system and access point (``fs-...::fsap-...``)."""
    return Volume({"csi": {"driver": EFS, "volumeHandle": handle}}, _SIZE, output=output)


def read_volumes(
    entry: Entry, catalogue: Catalogue | None, given: Mapping[str, Volume] | None
) -> tuple[str, dict[str, Volume]]:
    """Storage class of the disks, and the volumes by claim; mistakes are noted.

    Args:
        entry: ``storage``.
        catalogue: whose claims need a volume; ``None`` for one with mistakes.
        given: volumes that need not be written; ``None`` where nobody knows which these are.
    """
    name = entry.text("class", "")
    below = entry.entry("volumes", required=given == {})
    entry.close()
    if catalogue is None:
        return name, {}
    volumes: dict[str, Volume] = {}
    for claim in list_claims(catalogue):
        written = below.entry(claim, required=False) if below else None
        if written is not None:
            volumes[claim] = _read_volume(written, volumes)
        elif given and claim in given:
            volumes[claim] = given[claim]
        elif below is not None and given is not None:
            below.add(claim, _say_missing(claim, catalogue))
        elif given:
            entry.add(f"volumes.{claim}", _say_missing(claim, catalogue))
    if below is not None:
        below.close()
    return name, volumes


def _read_volume(entry: Entry, earlier: Mapping[str, Volume]) -> Volume:
    source = entry.plain("source")
    if len(source) != 1 or not all(isinstance(each, dict) for each in source.values()):
        entry.add(
            "source",
            "must be one kind of volume with its fields, as nfs: {server: ..., path: ...}",
        )
    elif not source.keys() <= set(SOURCES):
        entry.add("source", f"unknown kind {next(iter(source))}; allowed: {', '.join(SOURCES)}")
    for other, volume in earlier.items():
        if volume.source == source:
            entry.add("source", f"is that of {other}: each has a folder of its own")
    size = entry.bytes("size", required=False) or _SIZE
    options = entry.texts("mount_options", ())
    entry.close()
    return Volume(source, size, options)


def _say_missing(claim: str, catalogue: Catalogue) -> str:
    bucket = claim.removeprefix(DATA_CLAIM_PREFIX)
    groups = [each.slug for each in catalogue.groups.values() if bucket in each.buckets]
    whose = {HOMES_CLAIM: "everybody's homes", SHARED_CLAIM: "the groups' shared folders"}.get(
        claim, f"bucket {bucket} of group {', '.join(groups)}"
    )
    return f"is missing: say where {whose} are, with a source"
