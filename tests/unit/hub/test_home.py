"""What the hub's home says: the last choice, a session, jobs and groups in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub_config.form.home import (
    LastChoice,
    Session,
    describe_groups,
    describe_jobs,
    describe_session,
    find_last_choice,
)
from hub_config.platform.catalogue import Price
from offline_jobs.contract.session import SessionTurn
from tests.factories import (
    make_catalogue,
    make_class,
    make_group,
    make_image,
    make_machine,
    make_offer,
    make_person,
)

CATALOGUE = make_catalogue(
    images=[make_image(default=True), make_image("gpu", name="GPU notebook", needs_gpu=True)],
    classes=[
        make_class(default=True, groups=("lab", "fast"), idle_session_seconds=3600),
        make_class("gpu", name="GPU", gpus=1, groups=("fast",), price=None),
    ],
    groups=[make_group(), make_group("fast")],
)
BOTH = make_offer(CATALOGUE, make_person(groups=("lab", "fast")))
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TURN = SessionTurn(
    session="5e55104",
    number=2,
    at=(NOW - timedelta(hours=2, minutes=14, seconds=30)).isoformat(),
    owner="ada",
    group="lab",
    image="notebook",
    machine_class="standard",
    state="running",
)


def make_job(state: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "a00000000001",
        "name": "section 1",
        "state": state,
        "sentence": "Cell 3 of 4",
        "created": "2026-11-30T11:00:00.000Z",
        "started": None,
        "ended": None,
        "cell": {"number": 0, "total": 0},
        **changes,
    }


def test_the_last_choice_can_be_started_as_it_was() -> None:
    last = find_last_choice(BOTH, {"group": "fast", "image": "notebook", "class": "standard"})

    assert last == LastChoice(
        "Notebook on Standard",
        "2 cores and 4 GiB · 0.10 € per hour · Fast",
        {"group": "fast", "image": "notebook", "class": "standard"},
    )


def test_a_group_that_went_without_saying_is_said() -> None:
    last = find_last_choice(make_offer(), {"image": "notebook", "class": "standard"})

    assert last is not None
    assert last.options["group"] == "lab"


@pytest.mark.parametrize(
    "nothing",
    [None, {}, [], "small", ["image"], {"image": "notebook"}, {"image": ["x"], "class": {"a": 1}}],
)
def test_what_was_never_a_choice_is_not_the_last_one(nothing: object) -> None:
    assert find_last_choice(BOTH, nothing) is None


@pytest.mark.parametrize(
    ("remembered", "words", "why"),
    [
        (
            {"group": "lab", "image": "gpu", "class": "gpu"},
            "GPU notebook on GPU",
            "GPU cannot be charged to Lab.",
        ),
        ({"group": "lab", "image": "gone", "class": "standard"}, "gone on Standard", "no image"),
        ({"group": "left", "image": "notebook", "class": "standard"}, "Notebook on", "no group"),
        (
            {"group": "fast", "image": "gpu", "class": "standard"},
            "GPU notebook on Standard",
            "needs a GPU and Standard has none",
        ),
    ],
)
def test_a_choice_that_is_not_offered_any_more_says_why(
    remembered: dict[str, str], words: str, why: str
) -> None:
    last = find_last_choice(BOTH, remembered)

    assert last is not None
    assert last.words.startswith(words)
    assert last.why.startswith("It cannot be started now. ")
    assert why in last.why
    assert last.options == {}


def test_what_this_machine_does_not_have_now_is_no_choice() -> None:
    offered = make_offer(CATALOGUE, make_person(), make_machine(images=frozenset()))

    last = find_last_choice(offered, {"image": "notebook", "class": "standard"})

    assert last is not None
    assert "make environment IMAGE=notebook" in last.why


def test_a_session_says_what_it_is_for_how_long_and_what_it_costs() -> None:
    used = NOW - timedelta(minutes=4)

    assert describe_session("running", TURN, CATALOGUE, used, NOW) == Session(
        "running",
        "Your session is running",
        "Notebook on Standard: 2 cores and 4 GiB · charged to Lab",
        "2 h 14 min",
        "about 0.22 €",
        "It stops by itself after 1 h without use (last used 4 min ago), and in 9 h 45 min at the"
        " latest. Offline jobs go on without it.",
    )


def test_what_is_not_known_of_a_session_is_left_out() -> None:
    assert describe_session("running", None, CATALOGUE, None, NOW) == Session(
        "running", "Your session is running"
    )
    gone = SessionTurn(**{**vars(TURN), "image": "old", "machine_class": "old", "group": "old"})
    session = describe_session("running", gone, CATALOGUE, None, NOW)
    assert session.about == "old on old · charged to old"
    assert (session.up, session.cost, session.ends) == ("2 h 14 min", "", "")
    free = SessionTurn(**{**vars(TURN), "machine_class": "gpu"})
    session = describe_session("running", free, CATALOGUE, None, NOW)
    assert session.cost == ""
    assert session.ends.startswith("It stops by itself in 9 h 45 min at the latest.")
    session = describe_session("running", free, CATALOGUE, None, NOW, idle_seconds=7200)
    assert session.ends.startswith("It stops by itself after 2 h without use (last used 2 h 14 min")


@pytest.mark.parametrize("state", ["starting", "stopping", "checking"])
def test_a_session_that_does_not_run_costs_nothing_yet(state: str) -> None:
    turn = SessionTurn(**{**vars(TURN), "state": "starting"})

    session = describe_session(state, turn, CATALOGUE, None, NOW)

    assert session.about.startswith("Notebook on Standard")
    assert (session.up, session.cost, session.ends) == ("", "", "")


def test_a_clock_that_is_behind_counts_from_nothing() -> None:
    early = datetime.fromisoformat(TURN.at) - timedelta(seconds=5)

    session = describe_session("running", TURN, CATALOGUE, early, early)

    assert (session.up, session.cost) == ("under 1 min", "about 0.00 €")
    assert "last used under 1 min ago" in session.ends


def test_jobs_are_rows_with_their_progress() -> None:
    running = make_job(
        "running", started="2026-11-30T11:38:00.000Z", cell={"number": 3, "total": 4}
    )
    failed = make_job("failed", started="2026-11-30T09:00:00Z", ended="2026-11-30T10:00:00Z")

    jobs = describe_jobs({"open": 9, "jobs": [running, make_job("queued")], "ended": [failed]}, NOW)

    assert [(row.when, row.percent) for row in jobs.rows] == [("22 min", 50), ("1 h", None)]
    assert [(row.when, row.percent) for row in jobs.ended] == [("2 h ago", None)]
    assert (jobs.open, jobs.away) == (9, "")


def test_a_group_s_jobs_are_counted_against_its_share() -> None:
    groups = tuple(CATALOGUE.groups.values())
    uses = {"lab": {"running": 1, "waiting": 1, "cores": 16.0}}

    lab, fast = describe_groups(groups, uses, shared=True)

    assert (lab.sentence, lab.used, lab.share, lab.percent) == (
        "1 job runs, 1 waits.",
        "16",
        "64 cores",
        25,
    )
    assert (fast.sentence, fast.percent) == ("No job runs or waits.", 0)
    # One machine serves jobs in their order, whosever they are.
    assert [use.share for use in describe_groups(groups, uses, shared=False)] == ["", ""]


def test_prices_of_any_currency_are_costs() -> None:
    price = Price(0.1, "SEK", "2026-11-01")
    catalogue = make_catalogue(classes=[make_class(price=price, default=True)])

    assert describe_session("running", TURN, catalogue, None, NOW).cost == "about 0.22 SEK"
