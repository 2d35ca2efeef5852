"""The class of storage of the disks that hub and jobs service have: step ``40-storage``. Pure."""

from typing import Any

from cluster.driver.aws_settings import STORAGE_CLASS


def build_storage_class() -> dict[str, Any]:
    """A ``StorageClass`` of EBS, for claims that name it and for those that name none.

    A disk is made in the zone where its pod is to run, and goes with its claim.

    Source: aws-ebs-csi-driver 1.64 docs/parameters.md
    """
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            # EKS has no other.
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "encrypted": "true"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }
