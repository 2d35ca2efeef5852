"""Karpenter on AWS: what its machines are made of, its pools and its chart's values.

Step ``20-karpenter``, from settings and catalogue. Pure but for the pinned versions.
"""

from collections.abc import Collection
from typing import Any

import yaml

from cluster.aws.eksctl import DISCOVERY, NODE_ROLE
from cluster.aws.gpus import is_shared
from cluster.driver.aws_pulls import Pull
from cluster.driver.aws_settings import Aws
from cluster.driver.node_pools import NodeClass, build_node_pools
from cluster.driver.settings import Settings
from cluster.driver.versions import read_versions
from cluster.driver.volumes import S3
from hub_config.platform.catalogue import GIB, Catalogue, NodePool

Manifest = dict[str, Any]

#: Of the file system on a disk with images; XFS takes twelve characters.
IMAGES_LABEL = "notebook-hpc"
NODE_CLASS = NodeClass("karpenter.k8s.aws", "EC2NodeClass")
#: Tags of machines and disks, by which bills can be read.
POOL_TAG, KIND_TAG, GROUP_TAG = (f"notebook-hpc/{each}" for each in ("pool", "kind", "group"))
#: Drivers of volumes whose pod on a machine takes this taint away as soon as it can mount. Until
#: then a pod that needs it would only fail there, and wait for another try. Their pods come to
#: every machine, whatever its taints. Only of drivers that the cluster gets (eksctl.py): no other
#: would take its taint away.
#: Sources: aws-efs-csi-driver 3.4 pkg/driver/node.go, aws-ebs-csi-driver 1.64 pkg/driver/node.go;
#: that of buckets, where the cluster gets it: mountpoint-s3-csi-driver v2.7 docs/CONFIGURATION.md
_TAINTED = ("efs.csi.aws.com", "ebs.csi.aws.com")
#: When memory runs out the kubelet ends all of a container. A session shall survive its kernel, and
#: a job's runner shall tell that its kernel was ended. NodeClasses have no key for it.
#: Sources: KubeletConfiguration v1beta1, singleProcessOOMKill (Kubernetes 1.32 and newer);
#: https://karpenter.sh/docs/concepts/nodeclasses/#specuserdata (v1.14)
_KUBELET = {"kubelet": {"config": {"singleProcessOOMKill": True}}}
#: EKS's own name for SOCI's snapshotter in its parallel mode, which fetches an image whole, without
#: an index. Of machines with fewer than 4 cores or 7 GiB it is ignored. Source:
#: https://github.com/awslabs/amazon-eks-ami, nodeadm/doc/examples.md (July 2026)
_PARALLEL = {"featureGates": {"FastImagePull": True}}
_NODE_CONFIG = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig"}
#: A disk with images is mounted before nodeadm starts containerd, for it waits for such scripts.
#: Where that fails the machine begins empty, and pulls. Source: nodeadm-run.service, there
_MOUNT = f"""\
#!/bin/sh
echo 'LABEL={IMAGES_LABEL} /var/lib/containerd auto noatime,nofail 0 0' >> /etc/fstab
udevadm settle
mount /var/lib/containerd
"""


#: GiB of the disk of a machine that has its own ones for all that pods write: the system alone.
#: Source: https://karpenter.sh/docs/concepts/nodeclasses/#specblockdevicemappings (v1.14), what it
#: takes by itself for AL2023
_SYSTEM_DISK_GIB = 20
_LOCAL_DISK = "karpenter.k8s.aws/instance-local-nvme"


def get_disk_gib(aws: Aws, pool: NodePool) -> int:
    """GiB of the disk that each machine of a pool gets, besides its own ones."""
    return _SYSTEM_DISK_GIB if pool.slug in aws.local_disks else -(-pool.disk_bytes // GIB)


def build_node_classes(aws: Aws, catalogue: Catalogue) -> list[Manifest]:
    """An ``EC2NodeClass`` for every pool of the catalogue, called as the pool is.

    Source: https://karpenter.sh/docs/concepts/nodeclasses/ (v1.14)
    """
    image = f"al2023@{read_versions()['AL2023_AMI']}"
    return [
        _build_node_class(aws, pool, image, _list_groups(catalogue, pool))
        for pool in catalogue.node_pools.values()
    ]


def build_pools(settings: Settings) -> list[Manifest]:
    """The catalogue's pools, each with its own node class.

    Where machines are to use their own disks, others have no room for what pods write.
    """
    tainted = (*_TAINTED, *([S3] if settings.aws and settings.aws.mounts_buckets else []))
    taints = [
        f"{driver}/agent-not-ready" for driver in tainted if driver in _list_drivers(settings)
    ]
    pools = build_node_pools(settings.catalogue, NODE_CLASS, taints)
    for each in pools:
        if settings.aws and each["metadata"]["name"] in settings.aws.local_disks:
            requirements = each["spec"]["template"]["spec"]["requirements"]
            requirements.append({"key": _LOCAL_DISK, "operator": "Exists"})
    return pools


def build_karpenter_values(aws: Aws, catalogue: Catalogue) -> Manifest:
    """Values of Karpenter's chart that follow from the cluster.

    Source: karpenter-provider-aws v1.14.1, charts/karpenter/values.yaml
    """
    return {
        "settings": {
            "clusterName": aws.cluster,
            # Karpenter's stack calls the queue as the cluster is called. Without it a spot machine
            # would be taken away with no notice.
            "interruptionQueue": aws.cluster,
            # An alpha, only where it is needed (gpus.py).
            **({"featureGates": {"nodeOverlay": True}} if is_shared(catalogue) else {}),
        },
        # It would ask its machine, which answers no pod.
        "controller": {"env": [{"name": "AWS_REGION", "value": aws.region}]},
    }


def _build_node_class(aws: Aws, pool: NodePool, image: str, groups: Collection[str]) -> Manifest:
    tags = {**aws.tags, POOL_TAG: pool.slug, KIND_TAG: pool.kind}
    if len(groups) == 1:
        tags[GROUP_TAG] = next(iter(groups))
    pull = aws.pulls.get(pool.slug, Pull())
    spec: Manifest = {
        "role": f"{NODE_ROLE}-{aws.cluster}",
        # Of the alias Karpenter takes the image with NVIDIA's driver for machines that need it.
        "amiSelectorTerms": [{"alias": image}],
        # Private ones: eksctl gives this second tag to no others.
        "subnetSelectorTerms": [
            {"tags": {DISCOVERY: aws.cluster, "kubernetes.io/role/internal-elb": "1"}}
        ],
        "securityGroupSelectorTerms": [{"tags": {DISCOVERY: aws.cluster}}],
        "associatePublicIPAddress": False,
        # Answers get no further than the machine: no pod has the machine's credentials.
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpProtocolIPv6": "disabled",
            "httpPutResponseHopLimit": 1,
            "httpTokens": "required",
        },
        "blockDeviceMappings": _build_disks(aws, pool, pull),
        "userData": _build_user_data(pull),
        "tags": tags,
    }
    if pool.slug in aws.local_disks:
        spec["instanceStorePolicy"] = "RAID0"
    return {
        "apiVersion": f"{NODE_CLASS.group}/v1",
        "kind": NODE_CLASS.kind,
        "metadata": {"name": pool.slug},
        "spec": spec,
    }


def _build_disks(aws: Aws, pool: NodePool, pull: Pull) -> list[Manifest]:
    """The machine's own disk, and one with images where that comes from a snapshot."""
    disk: Manifest = {"volumeType": "gp3", "encrypted": True, "deleteOnTermination": True}
    # What is not written is as every gp3 has it.
    speed = {"throughput": pull.throughput} if pull.further_throughput else {}
    speed |= {"iops": pull.iops} if pull.further_iops else {}
    own: Manifest = {"volumeSize": f"{get_disk_gib(aws, pool)}Gi", **disk}
    root = {"deviceName": "/dev/xvda", "rootVolume": True, "ebs": own}
    if not pull.snapshot:
        own |= speed
        return [root]
    # It is as large as the snapshot, and encrypted as that is: EC2 lets nobody say otherwise.
    held = {"snapshotID": pull.snapshot, "volumeType": "gp3", "deleteOnTermination": True, **speed}
    if pull.fill:
        held["volumeInitializationRate"] = pull.fill
    return [root, {"deviceName": "/dev/xvdb", "ebs": held}]


def _build_user_data(pull: Pull) -> str:
    """What a machine reads at its start; Karpenter adds to it what it says itself."""
    spec = {**_KUBELET, **(_PARALLEL if pull.parallel else {})}
    config = yaml.safe_dump({**_NODE_CONFIG, "spec": spec}, sort_keys=False)
    if not pull.snapshot:
        return config
    parts = {'text/x-shellscript; charset="us-ascii"': _MOUNT, "application/node.eks.aws": config}
    lines = ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="//"', ""]
    for kind, content in parts.items():
        lines += ["--//", f"Content-Type: {kind}", "", content]
    return "\n".join([*lines, "--//--", ""])


def _list_groups(catalogue: Catalogue, pool: NodePool) -> list[str]:
    """Groups that may have something on the pool's machines."""
    kinds = {"session": lambda each: each.session, "job": lambda each: each.job}
    found: dict[str, None] = {}
    for each in catalogue.classes.values():
        if kinds[pool.kind](each).node_pool == pool.slug:
            found |= dict.fromkeys(each.groups)
    return list(found)


def _list_drivers(settings: Settings) -> set[str]:
    """Drivers of the volumes that sessions and jobs mount."""
    sources = [volume.source.get("csi", {}) for volume in settings.volumes.values()]
    return {str(source.get("driver", "")) for source in sources}
