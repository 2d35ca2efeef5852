"""`make push` into an account's registry: moto's ECR, and a real registry by the account's name."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from images._tool.ecr import LIFECYCLE, UNTAGGED_DAYS, build_policy, find_ecr
from images._tool.logins import LENT
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
    with subprocess.Popen(["true"]) as killed:
        left = tmp_path / "temporary" / f"{LENT}{killed.pid}-left"
    left.mkdir()
    (left / "config.json").write_text(PASSWORD)
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


def use_rights(cloud: Cloud, patch: pytest.MonkeyPatch, *actions: str) -> ExitStack:
    """Be somebody who may do these actions on a registry, and look, for a while."""
    stack = ExitStack()
    keys = stack.enter_context(cloud.guarded({"Action": [f"ecr:{each}" for each in actions]}))
    context = stack.enter_context(patch.context())
    context.setenv("AWS_ACCESS_KEY_ID", keys[0])
    context.setenv("AWS_SECRET_ACCESS_KEY", keys[1])
    return stack


@pytest.mark.parametrize(
    ("done", "news"),
    [
        ((), f"now what has no tag goes and account {CLUSTER} may pull from it"),
        (("PutLifecyclePolicy",), f"now account {CLUSTER} may pull from it"),
    ],
)
def test_a_repository_that_was_left_half_made_is_mended(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, done: tuple[str, ...], news: str
) -> None:
    ecr = find_ecr(HOST)
    assert ecr is not None
    name = f"half/{len(done)}"
    with (
        use_rights(cloud, monkeypatch, "Describe*", "CreateRepository", *done),
        pytest.raises(StepFailed, match=r"AWS refuses (PutLifecycle|SetRepository)Policy"),
    ):
        find_ecr(HOST).have_repository(name, CLUSTER)  # type: ignore[union-attr]
    client = cloud.client("ecr")
    assert ecr.have_repository(name, CLUSTER) == f"was made by a run that was cut off; {news}"
    rule = client.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    assert json.loads(rule) == LIFECYCLE
    policy = client.get_repository_policy(repositoryName=name)["policyText"]
    assert json.loads(policy) == build_policy("aws", CLUSTER)
    (made,) = client.describe_repositories(repositoryNames=[name])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert ecr.have_repository(name, CLUSTER) == ""


def test_a_repository_with_images_keeps_the_rules_that_somebody_gave_it(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr, client = find_ecr(HOST), cloud.client("ecr")
    assert ecr is not None
    for name in ("own/full", "own/empty", "own/bare"):
        client.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    # An expiring rule would remove this image one day: it has no tag.
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "layers": [], "config": {}}
    client.put_image(repositoryName="own/full", imageManifest=json.dumps(manifest))
    theirs = json.dumps(LIFECYCLE).replace(str(UNTAGGED_DAYS), "900")
    client.put_lifecycle_policy(repositoryName="own/empty", lifecyclePolicyText=theirs)
    # Whoever may not look at the rules leaves them.
    for right in ("ListImages", "GetLifecyclePolicy"):
        with use_rights(cloud, monkeypatch, "Describe*", right):
            assert find_ecr(HOST).have_repository("own/bare") == ""  # type: ignore[union-attr]
    assert ecr.have_repository("own/full") == ""
    with pytest.raises(client.exceptions.LifecyclePolicyNotFoundException):
        client.get_lifecycle_policy(repositoryName="own/full")
    assert ecr.have_repository("own/empty", ACCOUNT) == ""
    kept = client.get_lifecycle_policy(repositoryName="own/empty")["lifecyclePolicyText"]
    assert kept == theirs


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
