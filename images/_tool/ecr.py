"""Amazon's registry (ECR): a repository for each image, and the login.

Place in the path: `push` and `mirror` come here for a registry whose host is an account's. A
repository is made where there is none: tags are not changed, images are scanned when they come, and
what lost its tag goes after a while; one that has a tag never goes, for a catalogue may name it.
Credentials are boto3's, wherever it finds them. Nobody else imports boto3 here.

Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/ (2015-09-21) and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from images._tool.registry import Login
from images._tool.steps import StepFailed

HOST = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com"
    r"(?P<china>\.cn)?"
)
#: What loses its tag is in no catalogue; until then a pull by digest that is under way ends.
UNTAGGED_DAYS = 14
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "what has no tag any more",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}
#: What a cluster of another account may do: pull.
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_SECONDS = 10
_FORBIDDEN = 403
_NO_LOGIN = (
    *("UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"),
    *("InvalidClientTokenId", "ExpiredToken"),
)


@dataclass(frozen=True)
class Ecr:
    """An account's registry in a region.

    Attributes:
        host: of the registry.
        account: its twelve digits.
        region: of AWS.
        partition: ``aws`` or ``aws-cn``.
        fips: whether its FIPS end points are meant.
    """

    host: str
    account: str
    region: str
    partition: str
    fips: bool = False

    def log_in(self) -> Login:
        """Get the login for half a day.

        Raises:
            StepFailed: no credentials, no right, or AWS is away.
        """
        answer = self._call("get_authorization_token")
        encoded = answer["authorizationData"][0]["authorizationToken"]
        name, _, password = base64.b64decode(encoded).decode("ascii").partition(":")
        return Login(name, password)

    def have_repository(self, name: str, reader: str = "") -> str:
        """Have a repository; return what is worth telling of it, or nothing.

        Immutable tags and the scan come with it, in one call; the rule and the reader after it.

        Args:
            name: of the repository.
            reader: an account whose clusters pull from one that is made; empty for its own only.

        Raises:
            StepFailed: it is not there and cannot be made.
        """
        where = {"registryId": self.account, "repositoryName": name}
        found = self._find(name)
        if found is not None:
            if not str(found.get("imageTagMutability", "")).startswith("IMMUTABLE"):
                return "its tags can be moved to other images; digests hold anyway"
            return self._mend(where, reader)
        try:
            self._call(
                "create_repository",
                registryId=self.account,
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
            )
        except ClientError as error:
            if not _is_denied(error):
                raise StepFailed(self._tell(error)) from error
            raise StepFailed(
                f"there is no repository {name} in {self.host}, and these credentials may not make"
                f" one: get the right ecr:CreateRepository in account {self.account}, or have it"
                " made there, with immutable tags"
            ) from error
        # The rest comes after it, and is mended by the next run if this one ends here.
        self._set_rule(where)
        if reader and reader != self.account:
            self._admit(where, reader)
            return f"made, for account {reader} to pull from"
        return "made: immutable tags, scanned on push"

    def _mend(self, where: dict[str, str], reader: str) -> str:
        """Give a repository what it lacks because the run that made it was cut off.

        It is told by being empty: images come after all this. In one that has images somebody may
        have left out the rule on purpose, and it would remove some of them.
        """
        done = []
        lacks_rule = self._lacks("get_lifecycle_policy", "LifecyclePolicyNotFoundException", where)
        lacks_reader = reader not in ("", self.account) and self._lacks(
            "get_repository_policy", "RepositoryPolicyNotFoundException", where
        )
        if not (lacks_rule or lacks_reader) or not self._is_empty(where):
            return ""
        if lacks_rule:
            self._set_rule(where)
            done.append("what has no tag goes")
        if lacks_reader:
            self._admit(where, reader)
            done.append(f"account {reader} may pull from it")
        return f"was made by a run that was cut off; now {' and '.join(done)}"

    def _set_rule(self, where: dict[str, str]) -> None:
        self._try("put_lifecycle_policy", **where, lifecyclePolicyText=json.dumps(LIFECYCLE))

    def _admit(self, where: dict[str, str], reader: str) -> None:
        text = json.dumps(build_policy(self.partition, reader))
        self._try("set_repository_policy", **where, policyText=text)

    def _lacks(self, action: str, code: str, where: dict[str, str]) -> bool:
        """Whether AWS says that a repository has no such thing; who may not ask leaves it."""
        try:
            self._call(action, **where)
        except ClientError as error:
            if _get_code(error) == code:
                return True
            if not _is_denied(error):
                raise StepFailed(self._tell(error)) from error
        return False

    def _is_empty(self, where: dict[str, str]) -> bool:
        try:
            return not self._call("list_images", **where, maxResults=1)["imageIds"]
        except ClientError as error:
            if _is_denied(error):
                return False
            raise StepFailed(self._tell(error)) from error

    def _find(self, name: str) -> dict[str, Any] | None:
        try:
            answer = self._call(
                "describe_repositories", registryId=self.account, repositoryNames=[name]
            )
        except ClientError as error:
            if _get_code(error) == "RepositoryNotFoundException":
                return None
            if _is_denied(error):
                # Whoever may push need not be allowed to look; the push will tell.
                return {"imageTagMutability": "IMMUTABLE"}
            raise StepFailed(self._tell(error)) from error
        found: dict[str, Any] = answer["repositories"][0]
        return found

    def _try(self, action: str, **words: Any) -> None:
        try:
            self._call(action, **words)
        except ClientError as error:
            raise StepFailed(self._tell(error)) from error

    @cached_property
    def _client(self) -> Any:
        configuration = Config(
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
            use_fips_endpoint=self.fips,
        )
        return boto3.session.Session().client("ecr", region_name=self.region, config=configuration)

    def _call(self, action: str, **words: Any) -> dict[str, Any]:
        """Call AWS; what it refuses stays a `ClientError` but for the credentials."""
        try:
            answer: dict[str, Any] = getattr(self._client, action)(**words)
        except ClientError as error:
            if _get_code(error) in _NO_LOGIN or action == "get_authorization_token":
                raise StepFailed(self._tell(error)) from error
            raise
        except NoCredentialsError as error:
            raise StepFailed(
                f"no credentials of AWS for {self.host}: aws configure, aws sso login or"
                " AWS_PROFILE=NAME, then again"
            ) from error
        except BotoCoreError as error:
            raise StepFailed(f"AWS cannot be asked about {self.host}: {error}") from error
        return answer

    def _tell(self, error: ClientError) -> str:
        said = error.response.get("Error", {}).get("Message", "")
        if _get_code(error) in _NO_LOGIN:
            return f"AWS does not take these credentials for {self.host} (any more): {said}"
        return f"AWS refuses {error.operation_name} in {self.host}: {_get_code(error)}: {said}"


def find_ecr(host: str) -> Ecr | None:
    """The registry of an account, if a host is that of one.

    Raises:
        StepFailed: region and host are not of the same partition.
    """
    found = HOST.fullmatch(host)
    if found is None:
        return None
    is_chinese = found["region"].startswith("cn-")
    if is_chinese != bool(found["china"]):
        ending = "amazonaws.com.cn" if is_chinese else "amazonaws.com"
        raise StepFailed(f"the registry of {found['region']} ends in {ending}, and not as {host}")
    partition = "aws-cn" if is_chinese else "aws"
    return Ecr(host, found["account"], found["region"], partition, bool(found["fips"]))


def build_policy(partition: str, reader: str) -> dict[str, Any]:
    """What lets another account's machines pull."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Pull",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{reader}:root"},
                "Action": list(PULL),
            }
        ],
    }


def _get_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _is_denied(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return _get_code(error) == "AccessDeniedException" or status == _FORBIDDEN
