"""Who may have a machine that can be taken away, and what is told of it."""

import pytest

from hub_config.platform.catalogue import Catalogue, Price
from hub_config.platform.choices import Machine
from offline_jobs.contract.request import Request
from offline_jobs.service.rules.submission import examine
from offline_jobs.service.web.catalogue import answer_offer
from offline_jobs.service.web.identity import Caller
from tests.factories import (
    make_catalogue,
    make_class,
    make_machine,
    make_offer,
    make_person,
    make_placement,
    make_pool,
)

POOL = make_pool("jobs", "job", capacity_types=("on-demand", "spot"))
PRICE = Price(per_hour=0.1, currency="EUR", date="2026-11-01", spot_per_hour=0.03)


@pytest.fixture
def catalogue() -> Catalogue:
    """A class whose jobs may go to spot machines, and one whose may not."""
    classes = (
        make_class("cheap", default=True, job=make_placement(POOL, spot=True), price=PRICE),
        make_class("steady", job=make_placement(POOL), price=PRICE),
    )
    return make_catalogue(classes=classes, node_pools=(make_pool(), POOL))


@pytest.mark.parametrize(
    ("machine_class", "machine", "expected"),
    [("cheap", None, True), ("steady", None, False), ("cheap", make_machine(), False)],
)
def test_a_run_is_repeated_only_where_a_machine_can_be_taken_away(
    catalogue: Catalogue, machine_class: str, machine: Machine | None, expected: bool
) -> None:
    asked = Request(
        path="a.ipynb", image="notebook", machine_class=machine_class, interruptible=True
    )
    offer = make_offer(catalogue, machine=machine)
    assert examine(asked, offer, None).request.interruptible is expected


def test_nobody_has_one_who_did_not_ask(catalogue: Catalogue) -> None:
    asked = Request(path="a.ipynb", image="notebook", machine_class="cheap")
    assert not examine(asked, make_offer(catalogue), None).request.interruptible


def test_the_dialog_learns_where_and_what_it_costs(catalogue: Catalogue) -> None:
    told = [
        {each["slug"]: (each["spot"], each["spot_price_per_hour"]) for each in answer["classes"]}
        for answer in (
            answer_offer(make_offer(catalogue, machine=machine), Caller(make_person()))
            for machine in (None, make_machine())
        )
    ]
    assert told == [
        {"cheap": (True, 0.03), "steady": (False, None)},
        {"cheap": (False, None), "steady": (False, None)},
    ]
