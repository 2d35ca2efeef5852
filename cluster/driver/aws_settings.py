"""What an administrator says of a cluster on AWS: section ``aws`` of the settings → :class:`Aws`.

Read with the rest of the file by :mod:`cluster.driver.settings`, in the same way: every mistake
with its line and mend, all at once. Pure but for the pinned versions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from cluster.driver.aws_observe import Observe, read_observe
from cluster.driver.aws_pulls import Pull, read_pulls
from cluster.driver.aws_storage import Storage, read_storage
from cluster.driver.versions import find_misfits, read_compatibility, read_versions
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.entry import Entry

#: Partition -> how its regions begin. In the others (us-gov, iso) nothing of this was looked at.
PARTITIONS = {"aws": "", "aws-cn": "cn-"}
_OTHER_REGIONS = ("us-gov-", "us-iso", "eu-iso", "eusc-")
#: What ``nat`` may say -> eksctl's word for it.
NAT = {"single": "Single", "each-zone": "HighlyAvailable"}
#: Which machines a quota of EC2 counts, by the letter of their category.
#: Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
QUOTAS = {"standard": "acdhimrtz", "gpu": "g"}
CAPACITY_TYPES = ("on-demand", "spot")
#: Services of AWS that machines and Karpenter call, and that may get an address in the network. Not
#: those that sessions and jobs call (sts ...): their policies deny them private addresses. S3 needs
#: none: its gateway is always there, and free.
ENDPOINTS = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "sqs", "ssm")
#: RFC 1918. Others count as the world outside: network policies let sessions and jobs go there, and
#: who really owns such an address cannot be reached.
PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
#: What EKS and eksctl take as network of the cluster, and as range of its services.
#: Sources: eksctl v0.230.0, pkg/vpc/vpc.go; KubernetesNetworkConfigRequest of the EKS API.
_PREFIXES, _SERVICE_PREFIXES = (16, 24), (12, 24)
_ACCOUNT = re.compile(r"[0-9]{12}")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}")
#: EKS takes 100 characters, but a role's name has 64 at most, and one is KarpenterNodeRole-NAME.
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,44}[a-z0-9])?")
#: Kubelets of older versions do not know singleProcessOOMKill, which our machines are told.
#: Source: k8s.io/kubelet, config/v1beta1/types.go, which has it in v0.32.0 and not in v0.31.14.
_OLDEST = 32
#: The one storage class that such a cluster gets (cluster/aws/storage.py).
STORAGE_CLASS = "gp3"
#: Tags that AWS, Kubernetes, Karpenter or this give to what they make.
_FOREIGN_TAGS = (
    *("aws:", "eks:", "kubernetes.io/", "karpenter.sh/", "karpenter.k8s.aws/"),
    "notebook-hpc/",
)
_MINOR = re.compile(r"1\.[0-9]{1,2}")
_ZONE = re.compile(r"Z[0-9A-Z]{1,31}")
_MACHINE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_ARN = re.compile(
    r"arn:(?P<partition>[a-z-]+):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>[0-9]*)"
    r":(?P<resource>[^\s,]+)"
)
#: What may be the certificate of a load balancer, and the key of the cluster's secrets.
_CERTIFICATES = {"acm": "certificate/", "iam": "server-certificate/"}
_KEYS = {"kms": "key/"}
#: Where ARNs are written: an entry, the key, and its text, one or several with commas.
Written = tuple[Entry, str, str]


@dataclass(frozen=True)
class Network:
    """The cluster's own network.

    Attributes:
        cidr: of machines and pods.
        services: addresses of services.
        nat: a key of :data:`NAT`.
        api_access: who may reach the API server from outside; empty for everybody who can sign in.
        endpoints: of :data:`ENDPOINTS`, those that get an address in it.
    """

    cidr: IPv4Network
    services: IPv4Network
    nat: str
    api_access: tuple[IPv4Network, ...] = ()
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Core:
    """Machines that are always there: of hub, service, Volcano and Karpenter.

    Attributes:
        machine: EC2's name of their type.
        count: how many, over the zones.
    """

    machine: str
    count: int


@dataclass(frozen=True)
class Aws:
    """A cluster in an account.

    Attributes:
        account: its twelve digits.
        region: of everything.
        partition: ``aws`` or ``aws-cn``.
        cluster: name of the cluster, and part of the names of its roles, queue and stacks.
        kubernetes: minor version.
        zones: at least two, whole names.
        network: its ranges.
        core: its machines.
        secrets_key: ARN of a KMS key for the cluster's Secrets; empty for EKS's own.
        local_disks: node pools whose machines use their own NVMe disks as scratch.
        pulls: node pool -> how its machines pull images, where that is said.
        tags: of everything that costs.
        quotas: capacity type -> key of :data:`QUOTAS` -> virtual cores that the account may have.
        storage: files, buckets and database; ``None`` where all of it is elsewhere.
        zone: of Route 53, in which the address is; empty where its records are made otherwise.
        observe: what watches it; ``None`` where nothing does.
    """

    account: str
    region: str
    partition: str
    cluster: str
    kubernetes: str
    zones: tuple[str, ...]
    network: Network
    core: Core
    secrets_key: str = ""
    local_disks: tuple[str, ...] = ()
    pulls: Mapping[str, Pull] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    quotas: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    storage: Storage | None = None
    zone: str = ""
    observe: Observe | None = None

    @property
    def mounts_buckets(self) -> bool:
        """Whether buckets are mounted, so that the cluster needs the driver for that."""
        return bool(self.storage and self.storage.buckets)

    def build_arn(self, service: str, resource: str) -> str:
        """ARN of something in the account that belongs to no region, as of IAM."""
        return f"arn:{self.partition}:{service}::{self.account}:{resource}"


def read_aws(
    entry: Entry, catalogue: Catalogue | None, certificate: Written | None = None
) -> Aws | None:
    """The section; ``None`` where it has mistakes, which are noted.

    Args:
        entry: the section.
        catalogue: whose node pools may be named.
        certificate: of the load balancer, which has to be of the same account and region.
    """
    account = entry.text("account", None, _ACCOUNT, "the account's number has twelve digits")
    region = entry.text("region", None, _REGION, "a region is called like eu-central-1")
    partition = _read_partition(entry, region)
    cluster = _read_name(entry, region)
    kubernetes = _read_kubernetes(entry)
    zones = _read_zones(entry, region)
    network = _read_network(entry.entry("network"))
    core = _read_core(entry.entry("core"), len(zones))
    key = entry.text("secrets_key", "")
    # What is no region or account was noted; nothing is held against it.
    place = (
        partition,
        region if _REGION.fullmatch(region) else "",
        account if _ACCOUNT.fullmatch(account) else "",
    )
    if key:
        _check_arns((entry, "secrets_key", key), place, _KEYS)
    if certificate:
        _check_arns(certificate, place, _CERTIFICATES)
    pools = list(catalogue.node_pools) if catalogue else None
    local_disks = entry.texts("local_disks", (), allowed=pools)
    below = entry.entry("pulls", required=False)
    # Of a catalogue with mistakes nobody knows the pools.
    pulls = read_pulls(below, pools, local_disks) if pools is not None else {}
    tags = _read_tags(entry)
    quotas = _read_quotas(entry.entry("quotas", required=False))
    storage = read_storage(entry.entry("storage", required=False), catalogue)
    zone = entry.text("zone", "", _ZONE, "a hosted zone of Route 53 is called like Z0123456789ABC")
    observe = read_observe(entry.entry("observe", required=False), tags)
    entry.close()
    if not entry.sound or network is None or core is None:
        return None
    return Aws(
        account,
        region,
        partition,
        cluster,
        kubernetes,
        zones,
        network,
        core,
        key,
        local_disks,
        pulls,
        tags,
        quotas,
        storage,
        zone,
        observe,
    )


def _check_arns(written: Written, place: tuple[str, str, str], services: Mapping[str, str]) -> None:
    """Note each ARN that is of another kind, partition, region or account.

    Args:
        written: the ARNs.
        place: partition, region and account that they should be of; empty where any will do.
        services: service -> how its resources begin.
    """
    entry, name, arns = written
    for arn in (each.strip() for each in arns.split(",")):
        found = _ARN.fullmatch(arn)
        start = services.get(found["service"]) if found else None
        if found is None or start is None or not found["resource"].startswith(start):
            kinds = " or ".join(
                f"arn:PARTITION:{service}:REGION:ACCOUNT:{begin}ID"
                for service, begin in services.items()
            )
            entry.add(name, f"must be {kinds}, not {arn}")
            continue
        for what, wanted in zip(("partition", "region", "account"), place, strict=True):
            # What is of no region, as of IAM, leaves it out.
            if wanted and found[what] and found[what] != wanted:
                entry.add(
                    name, f"is of {what} {found[what]}, and the cluster of {wanted}: name one there"
                )


def _read_partition(entry: Entry, region: str) -> str:
    belongs = next((p for p, start in PARTITIONS.items() if start and region.startswith(start)), "")
    if region.startswith(_OTHER_REGIONS):
        entry.add("region", f"{region} is of another partition than {', '.join(PARTITIONS)}")
    belongs = belongs or "aws"
    said = entry.text("partition", belongs, allowed=PARTITIONS)
    if said in PARTITIONS and said != belongs:
        entry.add("partition", f"of {region} is {belongs}; take it out, it follows from the region")
    return belongs


def _read_name(entry: Entry, region: str) -> str:
    """The cluster's name, which ends with its region.

    Roles and policies are called after it and count in the whole account, so that a second cluster
    of that name, in another region, could not be made.
    """
    name = entry.text(
        "cluster",
        f"notebook-hpc-{region}",
        _NAME,
        "at most 46 small letters, digits and dashes, a letter first",
    )
    if _NAME.fullmatch(name) and _REGION.fullmatch(region) and not name.endswith(f"-{region}"):
        entry.add(
            "cluster",
            "must end with the region, for roles and policies that are called after it are the"
            f" whole account's: write {name}-{region}, or leave it out",
        )
    return name


def _read_kubernetes(entry: Entry) -> str:
    versions = read_versions()
    pinned = versions["KUBERNETES_VERSION"]
    said = entry.text("kubernetes", pinned, _MINOR, f'a minor version in quotes, "{pinned}"')
    misfits = find_misfits(said, versions, read_compatibility()) if _MINOR.fullmatch(said) else ()
    if found := "; ".join(misfits):
        entry.add("kubernetes", f"{said} does not go with what is installed: {found}")
    elif _MINOR.fullmatch(said) and int(said.partition(".")[2]) < _OLDEST:
        entry.add(
            "kubernetes",
            f"{said} is too old: where memory runs out its kubelet ends a whole session and not"
            f' just the process; write "1.{_OLDEST}" or newer, or leave it out for {pinned}',
        )
    return said


def _read_zones(entry: Entry, region: str) -> tuple[str, ...]:
    zones = entry.texts("zones")
    for number, zone in enumerate(zones):
        if region and not re.fullmatch(rf"{re.escape(region)}[a-z]", zone):
            entry.add(f"zones[{number}]", f"{zone} is no zone of {region}, as {region}a would be")
    if len(zones) == 1:
        entry.add("zones", "must be two at least: EKS takes no fewer")
    return zones


def _read_network(entry: Entry | None) -> Network | None:
    if entry is None:
        return None
    cidr = _read_range(entry, "cidr", _PREFIXES)
    services = _read_range(entry, "services", _SERVICE_PREFIXES)
    nat = entry.text("nat", "single", allowed=NAT)
    peers = {f"peers[{n}]": text for n, text in enumerate(entry.texts("peers", ()))}
    ranges = {"cidr": cidr, "services": services}
    ranges |= {place: _parse_range(entry, place, text) for place, text in peers.items()}
    access = tuple(
        found
        for number, text in enumerate(entry.texts("api_access", ()))
        if (found := _parse_range(entry, f"api_access[{number}]", text))
    )
    endpoints = entry.texts("endpoints", (), allowed=ENDPOINTS)
    entry.close()
    earlier: dict[str, IPv4Network] = {}
    for place, found in ranges.items():
        if found is None:
            continue
        for other, taken in earlier.items():
            # Peers among themselves are others' affair.
            if found.overlaps(taken) and not {place, other} <= peers.keys():
                entry.add(place, f"{found} overlaps {other}, {taken}: choose ranges that are apart")
        earlier[place] = found
    if cidr is None or services is None:
        return None
    return Network(cidr, services, nat, access, endpoints)


def _read_range(entry: Entry, name: str, prefixes: tuple[int, int]) -> IPv4Network | None:
    """A range of our own: private, and of a size that AWS takes."""
    text = entry.text(name)
    found = _parse_range(entry, name, text) if text else None
    if found is None:
        return None
    largest, smallest = prefixes
    if not any(found.subnet_of(each) for each in PRIVATE):
        entry.add(
            name,
            f"{found} is not private (RFC 1918): its real owners could not be reached, and network"
            f" policies would take it for the world outside; choose one in"
            f" {', '.join(map(str, PRIVATE))}",
        )
    elif not largest <= found.prefixlen <= smallest:
        entry.add(name, f"{found} must be of a size from /{largest} to /{smallest}")
    return found


def _parse_range(entry: Entry, name: str, text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except ValueError:
        pass
    try:
        entry.add(name, f"{text} has bits behind its prefix: write {IPv4Network(text, False)}")
    except ValueError:
        entry.add(name, f"{text!r} is no range of IPv4, as 10.20.0.0/16 would be")
    return None


def _read_core(entry: Entry | None, zones: int) -> Core | None:
    if entry is None:
        return None
    machine = entry.text("machine", None, _MACHINE, "a type of EC2 is called like m6i.large")
    # Karpenter's two programs, and the two of each of Volcano's, want machines apart.
    count = int(entry.number("count", max(zones, 2), least=2, whole=True))
    entry.close()
    return Core(machine, count)


def _read_tags(entry: Entry) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in entry.plain("tags").items():
        if not isinstance(value, str):
            entry.add(f"tags.{key}", "must be a text; put it in quotes")
        elif key.lower().startswith(_FOREIGN_TAGS):
            entry.add(f"tags.{key}", "is of AWS, Karpenter or this: call it otherwise")
        else:
            tags[key] = value
    return tags


def _read_quotas(entry: Entry | None) -> dict[str, dict[str, int]]:
    quotas: dict[str, dict[str, int]] = {}
    for capacity_type in CAPACITY_TYPES if entry else ():
        below = entry.entry(capacity_type, required=False) if entry else None
        if below is not None:
            quotas[capacity_type] = {
                kind: int(below.number(kind, 0, whole=True)) for kind in QUOTAS if below.has(kind)
            }
            below.close()
    if entry:
        entry.close()
    return quotas
