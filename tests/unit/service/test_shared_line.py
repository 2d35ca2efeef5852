"""Within a group people take turns: who sends a hundred jobs keeps nobody's one waiting."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from offline_jobs.contract.states import Reason, State
from offline_jobs.service.model import Observation, Standing
from offline_jobs.service.reconciler import build_shares
from offline_jobs.service.rules.line import (
    Line,
    Waiter,
    Wish,
    find_place,
    form_shared_line,
    order_waiters,
)
from offline_jobs.service.rules.steps import (
    Patience,
    Shares,
    Stand,
    Start,
    Step,
    View,
    arrange,
    decide,
)
from tests.factories import make_catalogue, make_class, make_group
from tests.service.core.factories import NOON
from tests.unit.service.test_rules import make_view

#: Of what a share does not name, it has nothing.
SHARES = {"lab": {"cpu": 4.0, "memory": 100.0}}


def wish(
    name: str, cores: float = 1, group: str = "lab", memory: float = 1, gpus: float = 0
) -> Wish:
    """A wish of the person whose name begins the job's: `ada-1` is ada's."""
    amounts = {"cpu": cores, "memory": memory, "nvidia.com/gpu": gpus}
    return Wish(name, group, name.partition("-")[0], amounts)


def wishes(person: str, numbers: Sequence[int]) -> list[Wish]:
    return [wish(f"{person}-{number}") for number in numbers]


def form(
    waiting: Sequence[Wish], placed: Sequence[Wish] = (), standing: Sequence[str] = ()
) -> Line:
    return form_shared_line(waiting, placed, standing, SHARES)


def test_what_there_is_room_for_starts_and_one_more_of_each_person_stands_in_line() -> None:
    line = form(wishes("ada", range(8)))

    assert line.start == ("ada-0", "ada-1", "ada-2", "ada-3", "ada-4")
    assert line.ahead == {"ada-5": 1, "ada-6": 2, "ada-7": 3}


def test_a_colleague_s_single_job_is_the_next_but_one() -> None:
    """Ada's oldest stands in the cluster's line already; all her others come after ben's."""
    placed = [*wishes("ada", range(4)), wish("ada-4")]

    line = form([*wishes("ada", range(5, 30)), wish("ben-0")], placed, ["ada-4"])

    assert line.start == ("ben-0",)
    assert line.ahead["ada-5"] == 2
    assert line.ahead["ada-29"] == 26


def test_people_take_turns_in_the_room_that_there_is() -> None:
    line = form([*wishes("ada", range(4)), *wishes("ben", range(4))])

    assert line.start[:4] == ("ada-0", "ben-0", "ada-1", "ben-1")
    # And one of each stands in line.
    assert line.start[4:] == ("ada-2", "ben-2")
    assert line.ahead == {"ada-3": 2, "ben-3": 3}


def test_who_stands_in_line_has_had_a_turn() -> None:
    """Room for one: it is not hers again who has waited, but his who has not had any."""
    placed = [*wishes("ada", range(2)), wish("ada-2")]

    line = form([wish("ada-3"), wish("ben-0")], placed, ["ada-2"])

    assert line.start == ("ben-0",)


@pytest.mark.parametrize(
    ("asked", "starts"),
    [
        (wish("ben-0", cores=2), True),
        (wish("ben-0", cores=2, memory=99), False),
        (wish("ben-0", cores=3), False),
        (wish("ben-0", gpus=1), False),
        (wish("ben-0", memory=98), True),
    ],
)
def test_room_is_counted_for_each_resource(asked: Wish, starts: bool) -> None:
    """Where it does not fit, his next one is held back: this one stands in line."""
    line = form([asked, wish("ben-1", cores=4)], wishes("ada", range(2)))

    assert line.start == (("ben-0", "ben-1") if starts else ("ben-0",))
    assert line.ahead == ({} if starts else {"ben-1": 1})


def test_a_large_one_that_stands_in_line_is_not_overtaken_by_floods_of_small_ones() -> None:
    """One of each person stands beside it; the room that it waits for is counted as its own."""
    line = form([wish("ada-0", cores=3), wish("ada-1", cores=2), *wishes("ben", range(3))])

    assert line.start == ("ada-0", "ben-0", "ada-1", "ben-1")
    assert line.ahead == {"ben-2": 2}


def test_groups_do_not_wait_for_one_another() -> None:
    shares = {**SHARES, "class": {"cpu": 1.0, "memory": 9.0}}
    waiting = [*wishes("ada", range(9)), wish("ben-0", group="class"), wish("ben-1", group="class")]

    line = form_shared_line(waiting, [], [], shares)

    assert {"ben-0", "ben-1"} <= {*line.start}
    assert all(name.startswith("ada") for name in line.ahead)


def test_nobody_is_held_back_for_a_group_of_which_nothing_is_known() -> None:
    line = form([wish(f"ada-{n}", cores=9, group="gone") for n in range(3)])

    assert line.start == ("ada-0", "ada-1", "ada-2")


# ---- as the reconciler asks for it

ABSENT, ASKS = Observation("absent"), Observation("waiting", Reason.QUEUE_QUOTA)
ROOM = Shares({"lab": {"cpu": 1.0}}, {"small": {"cpu": 1.0}})


def arranged(views: Sequence[View]) -> dict[str, Step]:
    decided = {v.attempt.object_name: decide(v, NOON, Patience()) for v in views}
    return {view.job.id: step for view, step in arrange(views, decided, ROOM)}


def test_who_is_held_back_is_told_the_place_in_the_share_s_line() -> None:
    asked = {"group": "lab", "machine_class": "small"}
    views = [make_view(name, ABSENT, **asked) for name in ("a", "b", "c", "d")]

    steps = arranged(views)

    assert (steps["a"], steps["b"]) == (Start(), Start())
    for place, name in enumerate("cd", 1):
        facts = {"group": "lab", "ahead": place}
        assert steps[name] == Stand(Standing(State.QUEUED, Reason.QUEUE_QUOTA, facts))  # type: ignore[arg-type]


def test_who_stands_in_the_cluster_s_line_is_seen_there() -> None:
    asked = {"group": "lab", "machine_class": "small"}
    views = [
        make_view("a", ASKS, owner="ada", **asked),
        make_view("b", ABSENT, owner="ada", **asked),
        make_view("c", ABSENT, owner="ben", **asked),
    ]

    steps = arranged(views)

    assert steps["c"] == Start()
    facts = {"group": "lab", "ahead": 2}
    assert steps["b"] == Stand(Standing(State.QUEUED, Reason.QUEUE_QUOTA, facts))  # type: ignore[arg-type]


def test_shares_are_the_catalogues() -> None:
    catalogue = make_catalogue(
        classes=(make_class("gpu", cores=8, memory_bytes=7, gpus=1),), groups=(make_group("lab"),)
    )

    shares = build_shares(catalogue)

    assert shares.groups == {"lab": catalogue.groups["lab"].queue.capability}
    assert shares.classes == {"gpu": {"cpu": 8, "memory": 7, "nvidia.com/gpu": 1}}


@pytest.mark.parametrize(
    ("reason", "facts", "place"),
    [
        (Reason.LOCAL_SLOTS, {"ahead": 0}, 1),
        (Reason.QUEUE_QUOTA, {"group": "lab", "ahead": 4}, 5),
        (Reason.QUEUE_QUOTA, {"asking": True}, None),
        # It has left the line.
        (Reason.POOL_LIMIT, {"ahead": 4}, None),
        (Reason.HUB_UNREACHABLE, {}, None),
        (None, {}, None),
    ],
)
def test_a_place_is_told_where_one_is_known(
    reason: Reason | None, facts: dict[str, object], place: int | None
) -> None:
    assert find_place(reason, facts) == place


def test_who_waits_is_told_by_place_and_without_one_as_they_came() -> None:
    def make(job: str, minute: int, place: int | None) -> Waiter:
        return Waiter(job, NOON + timedelta(minutes=minute), NOON, place)

    told = [
        make("b", 9, 1),
        make("d", 1, 2),
        # Two looks told them the same.
        make("a", 2, 2),
        make("c", 0, None),
        make("e", 3, None),
    ]
    assert order_waiters(reversed(told)) == told
