"""What keeps files, data and records: step ``40-storage``.

The class of storage of the disks that hub and jobs service have, and one CloudFormation stack with
all that ``aws: storage`` of the settings asks for: files (:mod:`cluster.aws.files`), buckets with
their roles (:mod:`cluster.aws.buckets`) and a database (:mod:`cluster.aws.database`). Pure.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cluster.aws.buckets import build_buckets, build_group_roles, build_service_role
from cluster.aws.database import build_database
from cluster.aws.files import build_files
from cluster.aws.template import Manifest, build_template
from cluster.driver.aws_settings import STORAGE_CLASS, Aws
from cluster.driver.settings import Settings
from cluster.driver.volumes import build_file_volume, name_stack


class StackUnfinished(Exception):
    """The stack does not say what the platform needs; the message names it, and the step.

    Args:
        cluster: whose stack it is.
        missing: outputs of the stack.
        otherwise: what else could be done, to be read on.
    """

    def __init__(self, cluster: str, missing: str, otherwise: str = "") -> None:
        said = f"Stack {name_stack(cluster)} does not say {missing} yet"
        super().__init__(f"{said}: run step 40-storage{otherwise}")


def build_storage_stack(settings: Settings, aws: Aws) -> Manifest:
    """The template of the stack; empty where nothing is to be made, and no stack is."""
    storage = aws.storage
    if storage is None:
        return {}
    resources: Manifest = {}
    outputs: Manifest = {}
    for part in (
        build_files(aws, storage.files) if storage.files else None,
        build_database(aws, storage.database) if storage.database else None,
    ):
        if part is not None:
            resources |= part[0]
            outputs |= part[1]
    resources |= build_buckets(aws, storage.buckets)
    resources |= build_group_roles(aws, settings.catalogue, storage.buckets)
    if storage.objects:
        resources |= build_buckets(aws, {storage.objects.name: storage.objects})
        resources |= build_service_role(aws, storage.objects)
    if not resources:
        return {}
    description = f"Files, buckets and database of cluster {aws.cluster}"
    return build_template(description, resources, Outputs=outputs)


def fill_volumes(settings: Settings, aws: Aws, outputs: Mapping[str, str]) -> Settings:
    """The settings with the handles of all volumes that the stack has made.

    Args:
        settings: of the installation.
        aws: its cluster.
        outputs: of the stack, by name.

    Raises:
        StackUnfinished: an output is not there that a volume needs.
    """
    volumes = dict(settings.volumes)
    wanted = {claim: each.output for claim, each in volumes.items() if each.output}
    missing = ", ".join(output for output in wanted.values() if not outputs.get(output))
    if missing:
        otherwise = ", or write under storage.volumes where the files are"
        raise StackUnfinished(aws.cluster, missing, otherwise)
    for claim, output in wanted.items():
        volumes[claim] = build_file_volume(outputs[output])
    return replace(settings, volumes=volumes)


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
