"""Homes and shared folders on EFS, with backups: part of step ``40-storage``'s stack. Pure."""

from cluster.aws.template import (
    KEEP,
    Manifest,
    build_output,
    build_policy,
    build_security_group,
    build_subnet,
)
from cluster.driver.aws_settings import Aws
from cluster.driver.aws_storage import Files
from cluster.driver.volumes import OUTPUTS

_NFS = 2049
#: Whom all files belong to, whoever writes them: the user of sessions and jobs.
_USER, _GROUP = "1000", "100"
#: AWS Backup takes names of vaults with at most 50 characters.
_VAULT = 41
#: At night in Europe; in UTC.
_SCHEDULE = "cron(0 2 * * ? *)"


def build_files(aws: Aws, files: Files) -> tuple[Manifest, Manifest]:
    """Resources and outputs: a file system, a mount target in each zone, two access points.

    The file system stays when the stack goes; so do its backups.
    """
    system: object = files.file_system or {"Ref": "FileSystem"}
    resources: Manifest = {
        "FilesSecurityGroup": build_security_group(
            aws, "Homes and shared folders", _NFS, everywhere=True
        )
    }
    if not files.file_system:
        resources["FileSystem"] = _build_file_system(aws, files)
    for number in range(len(aws.zones)):
        resources[f"MountTarget{number + 1}"] = {
            "Type": "AWS::EFS::MountTarget",
            "Properties": {
                "FileSystemId": system,
                "SubnetId": build_subnet(aws, number),
                "SecurityGroups": [{"Fn::GetAtt": ["FilesSecurityGroup", "GroupId"]}],
            },
        }
    outputs: Manifest = {"FileSystem": build_output("Of homes and shared folders", system)}
    for claim, output in OUTPUTS.items():
        point = f"{claim.capitalize()}AccessPoint"
        resources[point] = _build_access_point(system, claim)
        handle = {"Fn::Join": ["::", [system, {"Ref": point}]]}
        outputs[output] = build_output(f"Volume of claim {claim}", handle)
    if files.backup_days:
        resources |= _build_backup(aws, files)
        outputs["BackupVault"] = build_output("Backups of the files", {"Ref": "BackupVault"})
        role = {"Fn::GetAtt": ["BackupRole", "Arn"]}
        outputs["BackupRole"] = build_output("Makes backups, and restores them", role)
    return resources, outputs


def _build_file_system(aws: Aws, files: Files) -> Manifest:
    properties: Manifest = {
        "Encrypted": True,
        "PerformanceMode": "generalPurpose",
        "ThroughputMode": files.throughput,
        # Ours, below, says how long they are kept.
        "BackupPolicy": {"Status": "DISABLED"},
        "FileSystemPolicy": _build_policy(aws),
        "FileSystemTags": [{"Key": "Name", "Value": f"{aws.cluster}-files"}],
    }
    if days := files.infrequent_days:
        properties["LifecyclePolicies"] = [
            {"TransitionToIA": f"AFTER_{days}_DAY{'S' if days > 1 else ''}"},
            {"TransitionToPrimaryStorageClass": "AFTER_1_ACCESS"},
        ]
    return {"Type": "AWS::EFS::FileSystem", **KEEP, "Properties": properties}


def _build_policy(aws: Aws) -> Manifest:
    """Who may mount it: the machines that reach it, by an access point, over TLS.

    Nobody is root there, so nobody gets behind an access point.

    Source: https://docs.aws.amazon.com/efs/latest/ug/iam-access-control-nfs-efs.html
    """
    place = f"arn:{aws.partition}:elasticfilesystem:{aws.region}:{aws.account}"
    write = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    return build_policy(
        {
            "Sid": "MachinesWriteThroughAccessPoints",
            "Effect": "Allow",
            # The driver mounts without credentials; who is not in the network gets no answer.
            "Principal": {"AWS": "*"},
            "Action": write,
            "Condition": {
                "Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"},
                "StringLike": {"elasticfilesystem:AccessPointArn": f"{place}:access-point/*"},
            },
        },
        {
            "Sid": "NothingInClear",
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": [*write, "elasticfilesystem:ClientRootAccess"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def _build_access_point(system: object, name: str) -> Manifest:
    """A folder of its own, whose root belongs to the user of sessions and jobs."""
    return {
        "Type": "AWS::EFS::AccessPoint",
        "Properties": {
            "FileSystemId": system,
            "PosixUser": {"Uid": _USER, "Gid": _GROUP},
            "RootDirectory": {
                "Path": f"/{name}",
                "CreationInfo": {
                    "OwnerUid": _USER,
                    "OwnerGid": _GROUP,
                    "Permissions": "0770",
                },
            },
        },
    }


def _build_backup(aws: Aws, files: Files) -> Manifest:
    """A daily backup, by a role that may do that and restore.

    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/iam-service-roles.html
    """
    place = f"arn:{aws.partition}:elasticfilesystem:{aws.region}:{aws.account}"
    system: object = {"Fn::GetAtt": ["FileSystem", "Arn"]}
    if files.file_system:
        system = f"{place}:file-system/{files.file_system}"
    # A vault stays with what is in it, and a later stack needs another name: the first part of this
    # stack's own id.
    number = {"Fn::Select": ["2", {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
    first = {"Fn::Select": ["0", {"Fn::Split": ["-", number]}]}
    name = {"Fn::Join": ["-", [aws.cluster[:_VAULT], first]]}
    rule = {
        "RuleName": "daily",
        "TargetBackupVault": {"Ref": "BackupVault"},
        "ScheduleExpression": _SCHEDULE,
        "Lifecycle": {"DeleteAfterDays": files.backup_days},
    }
    policies = "arn:{}:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor{}"
    trust = {
        "Sid": "OfBackupsInThisAccount",
        "Effect": "Allow",
        "Principal": {"Service": "backup.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": aws.account}},
    }
    return {
        "BackupVault": {
            "Type": "AWS::Backup::BackupVault",
            **KEEP,
            "Properties": {"BackupVaultName": name},
        },
        "BackupPlan": {
            "Type": "AWS::Backup::BackupPlan",
            "Properties": {
                "BackupPlan": {"BackupPlanName": f"{aws.cluster}-files", "BackupPlanRule": [rule]}
            },
        },
        "BackupRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": build_policy(trust),
                "ManagedPolicyArns": [
                    policies.format(aws.partition, each) for each in ("Backup", "Restores")
                ],
            },
        },
        "BackupSelection": {
            "Type": "AWS::Backup::BackupSelection",
            "Properties": {
                "BackupPlanId": {"Ref": "BackupPlan"},
                "BackupSelection": {
                    "SelectionName": "files",
                    "IamRoleArn": {"Fn::GetAtt": ["BackupRole", "Arn"]},
                    "Resources": [system],
                },
            },
        },
    }
