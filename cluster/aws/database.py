"""The PostgreSQL server of hub and jobs service, of RDS: part of step ``40-storage``'s stack. Pure.

Its administrator's password is made, kept and changed by AWS (Secrets Manager) and is in no file.
"""

from cluster.aws.template import (
    Manifest,
    build_output,
    build_security_group,
    build_subnets,
)
from cluster.driver.aws_settings import Aws
from cluster.driver.aws_storage import DISK_GIB, Database

_PORT = 5432
_ADMINISTRATOR = "postgres"
#: How many times its first size the disk may grow to, by itself.
_GROWTH = 4


def build_database(aws: Aws, database: Database) -> tuple[Manifest, Manifest]:
    """Resources and outputs.

    Only the core machines reach it, where hub and service are. Of a server that is deleted a
    snapshot stays, and not the server itself, which would hold the cluster's network.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
    """
    group = build_security_group(aws, "Database of hub and jobs service", _PORT, everywhere=False)
    subnets = {
        "DBSubnetGroupDescription": "Private subnets of the cluster",
        "SubnetIds": build_subnets(aws),
    }
    server = {
        "Engine": "postgres",
        "EngineVersion": database.version,
        "DBInstanceClass": database.machine,
        "AllocatedStorage": str(database.disk_gib),
        "MaxAllocatedStorage": min(database.disk_gib * _GROWTH, DISK_GIB[1]),
        "StorageType": "gp3",
        "StorageEncrypted": True,
        "MultiAZ": database.zones == "several",
        "PubliclyAccessible": False,
        "DBSubnetGroupName": {"Ref": "DatabaseSubnets"},
        "VPCSecurityGroups": [{"Fn::GetAtt": ["DatabaseSecurityGroup", "GroupId"]}],
        "MasterUsername": _ADMINISTRATOR,
        "ManageMasterUserPassword": True,
        "BackupRetentionPeriod": database.backup_days,
        "CopyTagsToSnapshot": True,
        "AutoMinorVersionUpgrade": True,
        # The settings say which, so a newer one is meant.
        "AllowMajorVersionUpgrade": True,
        "DeletionProtection": database.protected,
    }
    resources: Manifest = {
        "DatabaseSecurityGroup": group,
        "DatabaseSubnets": {"Type": "AWS::RDS::DBSubnetGroup", "Properties": subnets},
        "Database": {
            "Type": "AWS::RDS::DBInstance",
            "DeletionPolicy": "Snapshot",
            "UpdateReplacePolicy": "Snapshot",
            "Properties": server,
        },
    }
    host = {"Fn::GetAtt": ["Database", "Endpoint.Address"]}
    secret = {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}
    outputs: Manifest = {
        "DatabaseHost": build_output("PostgreSQL server of hub and jobs service", host),
        "DatabaseSecret": build_output("Its administrator's name and password", secret),
    }
    return resources, outputs
