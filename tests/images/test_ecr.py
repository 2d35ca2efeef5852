"""`make push` into an account's registry: moto's ECR, and a real registry by the account's name."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from images._tool.ecr import LIFECYCLE, find_ecr
from images._tool.registry import Registry
from images._tool.steps import StepFailed
from tests.image_registry import Trials
from tests.images.aws import ACCOUNT, HOST, PASSWORD, Cloud, running_cloud
from tests.images.pushing import build, write_installation
from tests.skips import require

pytestmark = pytest.mark.usefixtures("store")
#: Of the cluster in the settings that are shipped.
CLUSTER = "111122223333"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    require("a registry of images")
    with running_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_a_repository_is_made_and_filled(
    cloud: Cloud, trials: Trials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    build(trials, tmp_path / "files", b"one", "notebook")
    installation = write_installation(tmp_path, f"{HOST}/lab")
    with caplog.at_level(logging.DEBUG):
        installation.push("notebook")
    name = "lab/notebook-hpc/notebook"
    ecr = cloud.client("ecr")
    (made,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["encryptionConfiguration"] == {"encryptionType": "AES256"}
    rule = ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    assert json.loads(rule) == LIFECYCLE
    policy = json.loads(ecr.get_repository_policy(repositoryName=name)["policyText"])
    (statement,) = policy["Statement"]
    # The cluster's account is another: it pulls, and nothing else.
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{CLUSTER}:root"}
    assert not [each for each in statement["Action"] if "Put" in each or "Upload" in each]
    manifest = Registry(HOST, find_ecr(HOST).log_in()).find_manifest(name, "0.1.0")  # type: ignore[union-attr]
    assert manifest is not None
    assert installation.read()["notebook"] == ("0.1.0", manifest.digest)
    # The password is in no line, and in no file that stays.
    assert PASSWORD not in caplog.text
    assert not list((tmp_path / "temporary").iterdir())
    # Again: it is there, and so is the repository.
    caplog.clear()
    with caplog.at_level(logging.INFO):
        installation.push("notebook")
    assert "was there" in caplog.text
    assert "Repository" not in caplog.text


def test_a_repository_whose_tags_can_move_is_told(
    cloud: Cloud, trials: Trials, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.client("ecr").create_repository(repositoryName="loose/notebook-hpc/folders")
    build(trials, tmp_path / "files", b"one", "folders")
    with caplog.at_level(logging.INFO):
        write_installation(tmp_path, f"{HOST}/loose").push("folders")
    assert "its tags can be moved to other images" in caplog.text


def test_what_aws_refuses_is_said_with_the_mend(
    cloud: Cloud, trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(trials, tmp_path / "files", b"one", "notebook")
    installation = write_installation(tmp_path, HOST)

    def refuse(match: str) -> None:
        with pytest.raises(StepFailed, match=match) as failed:
            installation.push("notebook")
        assert len(str(failed.value).splitlines()) == 1
        assert PASSWORD not in str(failed.value)

    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        refuse("no credentials of AWS for .*: aws configure, aws sso login or AWS_PROFILE=NAME")
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        refuse("AWS cannot be asked about .*: Could not connect to the endpoint URL")
    with cloud.guarded({"Action": ["ecr:GetAuthorizationToken"]}) as keys:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys[1])
        # May not look, so the registry is asked, which has it as soon as somebody made it.
        installation.push("notebook")
    with cloud.guarded({"Action": ["ecr:GetAuthorizationToken", "ecr:Describe*"]}) as keys:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys[1])
        refuse(
            f"there is no repository notebook-hpc/notebook in {HOST}, and these credentials may not"
            f" make one: get the right ecr:CreateRepository in account {ACCOUNT}"
        )


@pytest.mark.parametrize(
    ("host", "partition"),
    [
        ("111122223333.dkr.ecr.eu-central-1.amazonaws.com", "aws"),
        ("111122223333.dkr.ecr-fips.us-east-1.amazonaws.com", "aws"),
        ("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn", "aws-cn"),
    ],
)
def test_an_accounts_registry_is_known_by_its_host(host: str, partition: str) -> None:
    found = find_ecr(host)
    assert found is not None
    assert (found.account, found.partition) == ("111122223333", partition)
    assert found.fips == ("fips" in host)


def test_a_registry_of_others_is_no_accounts() -> None:
    assert find_ecr("registry.example.org:5000") is None
    with pytest.raises(StepFailed, match=r"cn-north-1 ends in amazonaws\.com\.cn"):
        find_ecr("111122223333.dkr.ecr.cn-north-1.amazonaws.com")
