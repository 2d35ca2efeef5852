"""What a pod of a pool at its limit waits for, from words that Karpenter said on the test bed."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from hub_config.platform.catalogue import GIB, NodePool
from hub_config.platform.pool_limits import explain_limit
from hub_config.platform.waiting import Waiting
from offline_jobs.contract.states import Reason
from tests.bed.overlay import load_catalogue
from tests.bed.record import load

POOL = replace(
    load_catalogue(real=False).node_pools["jobs-general"],
    limits={"cpu": 36, "memory": 300 * GIB},
)
FULL, NEARLY = "pool-full", "pool-nearly-full"
NO_ROOM = Waiting(Reason.NO_NODE, {"beyond_limit": True})


def take(situation: str) -> dict[str, Any]:
    return copy.deepcopy(dict(load(situation)))


def get_word(situation: str) -> str:
    """Karpenter's last."""
    words = [
        each["message"]
        for each in load(situation)["events"]
        if each["reason"] == "FailedScheduling"
    ]
    return str(words[-1])


def explain(
    situation: str,
    claims: list[Any] | None,
    *,
    word: str = "",
    pool: NodePool = POOL,
) -> Waiting | None:
    return explain_limit(word or get_word(situation), take(situation)["pod"], claims, pool)


def make_claim(pool: str = "jobs-general", **capacity: str) -> dict[str, Any]:
    claim = take(NEARLY)["node_claim"]
    claim["metadata"]["labels"]["karpenter.sh/nodepool"] = pool
    claim["status"]["capacity"] = capacity
    return dict(claim)


@pytest.mark.parametrize("situation", [FULL, NEARLY])
def test_who_waits_for_others_to_be_done_stands_in_a_line(situation: str) -> None:
    found = explain(situation, [take(situation)["node_claim"]])

    assert found is not None
    assert found.reason is Reason.POOL_LIMIT


@pytest.mark.parametrize("situation", [FULL, NEARLY])
def test_whose_pool_has_no_machine_waits_for_nobody(situation: str) -> None:
    pool = replace(POOL, limits={"cpu": 1, "memory": GIB})

    assert explain(situation, [], pool=pool) == NO_ROOM
    assert explain(situation, [make_claim("sessions-general", cpu="32")], pool=pool) == NO_ROOM


def test_the_limit_of_another_pool_is_not_its_own() -> None:
    other = replace(POOL, slug="jobs-gpu")

    for situation in (FULL, NEARLY):
        assert explain(situation, [make_claim("jobs-gpu", cpu="32")], pool=other) is None
    full = get_word(FULL).replace("jobs-general", "jobs-general-2")
    assert explain(FULL, [make_claim(cpu="32")], word=full) is None
    # What is too small is said of one pool, where the other is named.
    of_gpus = "all available instance types exceed limits for nodepool (NodePool=jobs-gpu)"
    sold_out = get_word(NEARLY).replace("has enough resources", "has the required offering")
    assert explain(NEARLY, [make_claim(cpu="32")], word=f"{of_gpus}; {sold_out}") is None


def test_a_limit_of_the_number_of_machines() -> None:
    word = get_word(FULL).replace(
        "all available instance types exceed limits", "node limits have been exhausted"
    )

    found = explain(FULL, [make_claim(cpu="2", **{"vendor.com/odd": "1e3"})], word=word)

    assert found is not None
    assert found.reason is Reason.POOL_LIMIT


@pytest.mark.parametrize(
    ("words", "is_line"),
    [
        ("no instance type has enough resources", True),
        ("no instance type met the scheduling requirements or had enough resources", True),
        ("no instance type had enough resources or had a required offering", True),
        (
            "no instance type which met the scheduling requirements and the required offering had"
            " the required resources",
            True,
        ),
        ("no instance type met the requirements/resources/offering tuple", True),
        # It would fit, and is sold out, or of another kind.
        ("no instance type has the required offering", False),
        ("no instance type met all requirements", False),
        (
            "no instance type which met the scheduling requirements and had enough resources, had a"
            " required offering",
            False,
        ),
        (
            "no instance type which had enough resources and the required offering met the"
            " scheduling requirements",
            False,
        ),
    ],
)
def test_only_size_is_a_matter_of_the_limit(words: str, is_line: bool) -> None:
    word = get_word(NEARLY).replace("no instance type has enough resources", words)
    found = explain(NEARLY, [make_claim(cpu="32")], word=word)

    assert (found is not None) is is_line


def test_a_pod_that_fits_on_no_machine_is_not_in_a_line() -> None:
    pool = replace(POOL, limits={"cpu": 256, "memory": 2048 * GIB})

    assert explain(NEARLY, [make_claim(cpu="2", memory="8Gi")], pool=pool) is None
    assert explain(NEARLY, [], pool=pool) is None
    # Twice its size is the most that its machine may have.
    assert explain(NEARLY, [make_claim(cpu="196")], pool=pool) is None
    found = explain(NEARLY, [make_claim(cpu="160"), make_claim(cpu="37")], pool=pool)
    facts = {"resource": "cpu", "used": 197, "limit": 256}
    assert found == Waiting(Reason.POOL_LIMIT, facts)  # type: ignore[arg-type]


def test_the_scarcest_is_told() -> None:
    claims = [make_claim(cpu="16", memory="250Gi", pods="58")]

    found = explain(NEARLY, claims, pool=replace(POOL, limits={"cpu": 90, "memory": 512 * GIB}))

    assert found is not None
    assert found.facts == {"resource": "memory", "used": 250 * GIB, "limit": 512 * GIB}


def test_a_machine_that_is_not_bought_yet_counts_as_it_was_asked_for() -> None:
    claim = take(NEARLY)["node_claim"]
    del claim["status"]
    claim["spec"]["resources"]["requests"]["cpu"] = "31"

    found = explain(NEARLY, [claim])

    assert found is not None
    assert found.facts["used"] == 31


def test_without_the_claims_only_the_plain_word_counts() -> None:
    assert explain(FULL, None) == Waiting(Reason.POOL_LIMIT)
    assert explain(NEARLY, None) is None
