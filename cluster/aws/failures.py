"""What programs of AWS and Kubernetes write when they fail -> what it means and how to mend it.

Pure. Known by their own words, for these programs have one exit code for everything.
"""

import re
from collections.abc import Sequence
from pathlib import Path

#: Pattern of what was written -> what it means; groups of the pattern may be named in braces.
#: Sources: botocore's exceptions and `Common errors` of the AWS API references (July 2026);
#: eksctl v0.230.0; kubectl v1.35.
_KNOWN: Sequence[tuple[str, str]] = (
    (
        r"ExpiredToken|token included in the request is expired|SSO session .* has expired"
        r"|Token has expired",
        "The credentials are expired: sign in again (aws sso login, or a new session of the role)",
    ),
    (
        r"Unable to locate credentials|NoCredentialProviders|no EC2 IMDS role found"
        r"|failed to refresh cached credentials|config profile \(.*\) could not be found",
        "There are no credentials: aws configure sso, or name a profile in AWS_PROFILE",
    ),
    (
        r"InvalidClientTokenId|UnrecognizedClientException|SignatureDoesNotMatch"
        r"|security token included in the request is invalid",
        "AWS does not know these credentials: they were taken away, or are of another partition",
    ),
    (
        r"not authorized to perform:? (?P<action>[a-z0-9-]+:[A-Za-z]+)",
        "These credentials may not do {action}: have it allowed, or sign in as who may",
    ),
    (
        r"AccessDenied|UnauthorizedOperation",
        "These credentials may not do this: have it allowed, or sign in as who may",
    ),
    (
        r"OptInRequired|AuthFailure|region is disabled|InvalidRegion",
        "The region is not enabled in this account: enable it (Account, AWS Regions) and wait",
    ),
    (
        r"Throttling|Rate exceeded|TooManyRequests|RequestLimitExceeded",
        "AWS lets no more calls in at this time: run it again in some minutes",
    ),
    (
        r"LimitExceeded|VcpuLimitExceeded|ServiceQuotaExceeded|maximum number of",
        "A quota of the account is too small: ask for more in Service Quotas, and run it again",
    ),
    (
        r"Could not connect to the endpoint|no such host|i/o timeout|connection refused"
        r"|network is unreachable|Connect timeout|was refused - did you specify the right host",
        "There is no way to it from here: look at network, proxy and `network.api_access`",
    ),
    (
        r"ROLLBACK_COMPLETE|ROLLBACK_FAILED",
        "A stack went back: its events say which part could not be made, and why",
    ),
    (
        r"Waiter NodegroupActive failed",
        "The core machines did not come up: their node group's health says why (EKS in the console,"
        " Compute). Then eksctl delete nodegroup --name core --cluster NAME, and run it again",
    ),
    (
        r"PodEvictionFailure",
        "A pod did not leave an old core machine, for its PodDisruptionBudget lets none go: kubectl"
        " get pdb -A shows which; what is new has gone back, so mend it and run it again",
    ),
    (
        r"IN_PROGRESS|ResourceInUse|UPDATE_IN_PROGRESS",
        "AWS is still at work on it: run it again when that has ended",
    ),
)


def explain(words: Sequence[str], written: str) -> str:
    """What failed, its last words, and what they mean where that is known.

    Args:
        words: of the command.
        written: all that it wrote where errors go.
    """
    what = " ".join([Path(words[0]).name, *words[1:3]])
    end = "\n".join(written.strip().splitlines()[-5:]) or "It said nothing"
    meaning = find_meaning(written)
    return f"{what} failed: {end}" + (f"\n{meaning}." if meaning else "")


def find_meaning(written: str) -> str:
    """What is known of a failure by its words; empty for nothing."""
    for pattern, sentence in _KNOWN:
        if found := re.search(pattern, written):
            return sentence.format(**found.groupdict())
    return ""


def judge_stack(name: str, status: str, undo: str) -> str:
    """Why a stack of this status cannot be gone on with; empty where it can, or is not there.

    Args:
        name: of the stack.
        status: in CloudFormation's words; empty where there is none.
        undo: the command that takes it away.
    """
    if status.endswith("_IN_PROGRESS"):
        return f"Stack {name} is {status}: AWS is at work on it. Run it again when that has ended"
    # After an update that went back a stack is as it was before.
    if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
        return (
            f"Stack {name} is {status}: it is half made, and nothing can be added to it. Its events"
            f" say why; then take it away and run this again: {undo}"
        )
    if status == "UPDATE_ROLLBACK_FAILED":
        return (
            f"Stack {name} is {status}: aws cloudformation continue-update-rollback"
            f" --stack-name {name}"
        )
    return ""
