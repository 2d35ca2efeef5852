"""What keeps files, data and records on AWS: ``aws: storage`` of the settings → :class:`Storage`.

Part of the section that :mod:`cluster.driver.aws_settings` reads, in the same way: every mistake
with its line and mend. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.entry import Entry

THROUGHPUT = ("elastic", "bursting")
#: Days without use after which EFS may move a file to its cheaper storage; 0 for never.
#: Source: https://docs.aws.amazon.com/efs/latest/ug/API_LifecyclePolicy.html
_INFREQUENT_DAYS = (0, 1, 7, 14, 30, 60, 90, 180, 270, 365)
_FILE_SYSTEM = re.compile(r"fs-[0-9a-f]{8}(?:[0-9a-f]{9})?")
#: The service's own bucket. A dot in its name would be a host that no certificate of S3 covers.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
#: How names of objects begin; without what IAM takes for a pattern or a variable.
_PREFIX = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)+")
_MACHINE = re.compile(r"db\.[a-z][a-z0-9-]*\.[a-z0-9-]+")
ZONES = ("single", "several")
#: Versions of PostgreSQL, by RDS' name, which takes the newest of each; 15 is what the tests run.
_VERSIONS = ("15", "16", "17")
#: GiB of a database's disk of gp3, and days of its backups, as RDS takes them. Source:
#: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html
DISK_GIB, _BACKUP_DAYS = (20, 65_536), (1, 35)
#: The longest that AWS Backup and S3 are asked to keep anything: a hundred years.
_LONGEST_DAYS = 36_500


@dataclass(frozen=True)
class Files:
    """Homes and shared folders, on EFS.

    Attributes:
        throughput: of :data:`THROUGHPUT`.
        infrequent_days: days without use after which a file is kept where that costs less; 0 for
            never.
        backup_days: days that a daily backup is kept; 0 for none.
        file_system: of one that is there already; empty where it is to be made.
    """

    throughput: str = "elastic"
    infrequent_days: int = 30
    backup_days: int = 35
    file_system: str = ""


@dataclass(frozen=True)
class Bucket:
    """A bucket.

    Attributes:
        name: of it.
        make: whether it is to be made; else it is there already, and stays as it is.
        keep_days: days that S3 keeps what was replaced or deleted; of one that is made.
        writable: how names begin of objects that its groups may write; all else they only read.
    """

    name: str
    make: bool = False
    keep_days: int = 30
    writable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server for hub and jobs service, of RDS.

    Attributes:
        machine: RDS' name of its type.
        disk_gib: of its disk, at first.
        zones: of :data:`ZONES`; with several a second one takes over.
        backup_days: days that a daily backup is kept.
        version: of PostgreSQL.
        protected: whether AWS refuses to delete it.
    """

    machine: str = "db.t4g.medium"
    disk_gib: int = DISK_GIB[0]
    zones: str = "single"
    backup_days: int = 14
    version: str = _VERSIONS[0]
    protected: bool = True


@dataclass(frozen=True)
class Storage:
    """What is to be made; ``None`` where it is not.

    Attributes:
        files: homes and shared folders.
        buckets: all that the catalogue's groups have, by name.
        objects: the jobs service's own, for notebooks and logs.
        database: for hub and jobs service.
    """

    files: Files | None = None
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    objects: Bucket | None = None
    database: Database | None = None


def read_storage(entry: Entry | None, catalogue: Catalogue | None) -> Storage | None:
    """The section; mistakes are noted. ``None`` where nothing is said.

    Args:
        entry: ``storage``, where it is written.
        catalogue: whose groups' buckets may be named; ``None`` for one with mistakes.
    """
    if entry is None:
        return None
    files = entry.entry("files", required=False)
    objects = entry.entry("objects", required=False)
    database = entry.entry("database", required=False)
    buckets = _read_buckets(entry.entry("buckets", required=False), catalogue)
    read = Storage(
        _read_files(files) if files else None,
        buckets,
        _read_objects(objects, buckets) if objects else None,
        _read_database(database) if database else None,
    )
    entry.close()
    return read


def _read_files(entry: Entry) -> Files:
    files = Files(
        entry.text("throughput", Files.throughput, allowed=THROUGHPUT),
        _read_number(entry, "infrequent_days", Files.infrequent_days, (0, 365)),
        _read_number(entry, "backup_days", Files.backup_days, (0, _LONGEST_DAYS)),
        entry.text(
            "file_system",
            "",
            _FILE_SYSTEM,
            "a file system of EFS is called like fs-0123456789abcdef0",
        ),
    )
    if files.infrequent_days not in _INFREQUENT_DAYS:
        allowed = ", ".join(map(str, _INFREQUENT_DAYS))
        entry.add("infrequent_days", f"{files.infrequent_days} is none of EFS'; allowed: {allowed}")
    entry.close()
    return files


def _read_buckets(entry: Entry | None, catalogue: Catalogue | None) -> dict[str, Bucket]:
    """Every bucket of the catalogue; of one that is not written nothing is made."""
    # Of a catalogue with mistakes nobody knows the buckets.
    if catalogue is None:
        return {}
    buckets = {}
    for group in catalogue.groups.values():
        for name in group.buckets:
            below = entry.entry(name, required=False) if entry and name not in buckets else None
            if below is not None:
                buckets[name] = _read_bucket(below, name)
                below.close()
            buckets.setdefault(name, Bucket(name))
    if entry is not None:
        entry.close()
    return buckets


def _read_bucket(entry: Entry, name: str) -> Bucket:
    make = entry.flag("make")
    keep = _read_number(entry, "keep_days", Bucket.keep_days, (1, _LONGEST_DAYS))
    rule = "it must be folders with / at the end, as results/ (letters, digits and . _ -)"
    writable = entry.texts("writable", (), _PREFIX, rule)
    if entry.has("keep_days") and not make:
        entry.add("keep_days", "is of a bucket that is made; this one is not: take out one of both")
    return Bucket(name, make, keep, writable)


def _read_objects(entry: Entry, buckets: Mapping[str, Bucket]) -> Bucket:
    rule = "3 to 63 small letters, digits and dashes"
    name = entry.text("bucket", None, _BUCKET, rule)
    make = entry.flag("make")
    keep = _read_number(entry, "keep_days", Bucket.keep_days, (1, _LONGEST_DAYS))
    if name in buckets:
        entry.add("bucket", f"{name} is a group's: notebooks and logs of everybody need another")
    entry.close()
    return Bucket(name, make, keep)


def _read_database(entry: Entry) -> Database:
    database = Database(
        entry.text(
            "machine", Database.machine, _MACHINE, "a type of RDS is called like db.t4g.medium"
        ),
        _read_number(entry, "disk_gib", Database.disk_gib, DISK_GIB),
        entry.text("zones", Database.zones, allowed=ZONES),
        _read_number(entry, "backup_days", Database.backup_days, _BACKUP_DAYS),
        entry.text("version", Database.version, allowed=_VERSIONS),
        entry.flag("protected") if entry.has("protected") else Database.protected,
    )
    entry.close()
    return database


def _read_number(entry: Entry, name: str, default: int, bounds: tuple[int, int]) -> int:
    least, most = bounds
    found = int(entry.number(name, default, whole=True))
    if entry.has(name) and not least <= found <= most:
        entry.add(name, f"must be from {least} to {most}, not {found}")
    return found
