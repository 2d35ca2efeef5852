"""Buckets, and who may do what in them: part of step ``40-storage``'s stack.

A group's account has one role in both namespaces, so that its sessions and jobs read the group's
buckets, and write where the settings say so. Pure.
"""

from collections.abc import Iterator, Mapping

from cluster.aws.template import KEEP, Manifest, build_id, build_pod_role, build_policy
from cluster.driver.aws_settings import Aws
from cluster.driver.aws_storage import Bucket
from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from hub_config.platform.catalogue import Catalogue

#: The jobs service's account. Source: extensions/offline_jobs/chart
SERVICE_ACCOUNT = "offline-jobs"
#: Days after which S3 takes away the parts of an upload that was never finished.
_UNFINISHED_DAYS = 7


def build_buckets(aws: Aws, buckets: Mapping[str, Bucket]) -> Manifest:
    """The buckets that are to be made, with their policies; both stay when the stack goes."""
    resources: Manifest = {}
    for bucket in buckets.values():
        if bucket.make:
            place = build_id("Bucket", bucket.name)
            resources[place] = _build_bucket(bucket)
            resources[build_id("Policy", bucket.name)] = {
                "Type": "AWS::S3::BucketPolicy",
                **KEEP,
                "Properties": {
                    "Bucket": {"Ref": place},
                    "PolicyDocument": _build_bucket_policy(_build_arn(aws, bucket.name)),
                },
            }
    return resources


def build_group_roles(aws: Aws, catalogue: Catalogue, buckets: Mapping[str, Bucket]) -> Manifest:
    """A role for each account of a group that has buckets, and its places in the cluster.

    Groups that share an account share its rights.
    """
    names: dict[str, dict[str, None]] = {}
    for group in catalogue.groups.values():
        if group.buckets:
            names.setdefault(group.service_account, {}).update(dict.fromkeys(group.buckets))
    resources: Manifest = {}
    for account, own in names.items():
        statements = [*_list_group_rights(aws, [buckets[name] for name in own])]
        resources |= build_pod_role(
            aws, account, (NAMESPACE, JOBS_NAMESPACE), statements, "Buckets"
        )
    return resources


def build_service_role(aws: Aws, bucket: Bucket) -> Manifest:
    """The jobs service's role: notebooks and logs in a bucket of its own."""
    arn = _build_arn(aws, bucket.name)
    statements = [
        _build_right("TellWhatIsNotThere", ["s3:ListBucket"], [arn]),
        _build_right(
            "KeepNotebooksAndLogs",
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            [f"{arn}/*"],
        ),
    ]
    return build_pod_role(aws, SERVICE_ACCOUNT, (NAMESPACE,), statements, "Buckets")


def _build_bucket(bucket: Bucket) -> Manifest:
    """Private, encrypted, with versions that go after a time.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    unfinished = {"DaysAfterInitiation": _UNFINISHED_DAYS}
    rule = {
        "Id": "old-versions",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": bucket.keep_days},
        "ExpiredObjectDeleteMarker": True,
        "AbortIncompleteMultipartUpload": unfinished,
    }
    encryption = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    properties = {
        "BucketName": bucket.name,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [encryption]},
        "LifecycleConfiguration": {"Rules": [rule]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "VersioningConfiguration": {"Status": "Enabled"},
    }
    return {"Type": "AWS::S3::Bucket", **KEEP, "Properties": properties}


def _build_bucket_policy(arn: str) -> Manifest:
    statement = {
        "Sid": "NothingInClear",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return build_policy(statement)


def _list_group_rights(aws: Aws, buckets: list[Bucket]) -> Iterator[Manifest]:
    arns = [_build_arn(aws, bucket.name) for bucket in buckets]
    yield _build_right("FindData", ["s3:ListBucket"], arns)
    yield _build_right("ReadData", ["s3:GetObject"], [f"{arn}/*" for arn in arns])
    written = [
        f"{_build_arn(aws, bucket.name)}/{prefix}*"
        for bucket in buckets
        for prefix in bucket.writable
    ]
    if written:
        actions = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        yield _build_right("WriteResults", actions, written)


def _build_right(reason: str, actions: list[str], resources: list[str]) -> Manifest:
    return {"Sid": reason, "Effect": "Allow", "Action": actions, "Resource": resources}


def _build_arn(aws: Aws, bucket: str) -> str:
    return f"arn:{aws.partition}:s3:::{bucket}"
