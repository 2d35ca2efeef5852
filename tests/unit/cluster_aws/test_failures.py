"""What failures of programs mean, by their own words."""

from __future__ import annotations

import pytest

from cluster.aws.failures import explain, find_meaning, judge_stack


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("(ExpiredToken) when calling the X operation", "The credentials are expired"),
        ("Unable to locate credentials. You can", "There are no credentials"),
        ("(InvalidClientTokenId) when calling", "AWS does not know these credentials"),
        (
            "(AccessDenied) User: u is not authorized to perform: iam:GetRole on resource",
            "These credentials may not do iam:GetRole",
        ),
        ("(UnauthorizedOperation) when calling", "These credentials may not do this"),
        ("(ThrottlingException) Rate exceeded", "AWS lets no more calls in"),
        ("(LimitExceededException): too many", "A quota of the account is too small"),
        ("Could not connect to the endpoint URL", "There is no way to it from here"),
        ("Stack X is in ROLLBACK_COMPLETE state", "A stack went back"),
        ("Waiter NodegroupActive failed: Waiter enc", "The core machines did not come up"),
        ("(OptInRequired) when calling", "The region is not enabled"),
        ("something else", ""),
    ],
)
def test_words_are_known(written: str, meaning: str) -> None:
    assert find_meaning(written)[: len(meaning) or 1] == meaning


def test_the_last_words_are_shown() -> None:
    said = explain(("/opt/aws", "sts", "get-caller-identity", "--x"), "1\n2\n3\n4\n5\n6\n")

    assert said == "aws sts get-caller-identity failed: 2\n3\n4\n5\n6"


@pytest.mark.parametrize(
    ("status", "stops"),
    [
        ("", False),
        ("CREATE_COMPLETE", False),
        ("UPDATE_ROLLBACK_COMPLETE", False),
        ("ROLLBACK_COMPLETE", True),
        ("DELETE_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_FAILED", True),
    ],
)
def test_a_half_made_stack_stops(status: str, stops: bool) -> None:
    assert bool(judge_stack("name", status, "undo")) == stops
