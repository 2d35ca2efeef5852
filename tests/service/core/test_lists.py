"""Jobs that are looked for, counted and paged, by both databases alike."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from offline_jobs.contract.states import TERMINAL, State
from offline_jobs.service.model import Ending, Selection, Standing
from offline_jobs.service.rules.searching import read_terms
from offline_jobs.service.store.store import Store
from tests.service.core.factories import NOON, create_job, make_new_job

DONE = Ending(State.SUCCEEDED)


def submit(store: Store, **changes: Any) -> str:
    return create_job(store, make_new_job("1", **changes))[0].id


def find(store: Store, query: str = "", **wanted: Any) -> list[str]:
    """Names of the jobs that are found, newest first."""
    selection = Selection(terms=read_terms(query), **wanted)
    found = [job.request.name for job in store.jobs(selection, 99, None)[0]]
    assert sum(store.count_jobs(selection).values()) == len(found)
    return found


@pytest.mark.parametrize(
    ("name", "queries", "others"),
    [
        ("Section 4", ["section 4", "SECTION", "  4 sec ", "tion"], ["section 5", "sections"]),
        ("100%", ["%", "100%", "0%"], ["100_", "1%0"]),
        ("a_b", ["_", "a_b"], ["a.b", "axb"]),
        ("a/b\\c", ["/", "\\", "b\\c"], ["//", "\\\\"]),
        ('it\'s "so"; --', ["'", '"so"', "; --"], ["''"]),
        ("Straße ÉCOLE", ["strasse", "STRASSE", "École", "e\u0301cole"], ["ecole"]),
        ("قسم ٣ 🧠", ["قسم", "🧠", "٣ قسم"], ["🧡"]),
        ("x\0y", ["x\0y"], ["xy"]),
    ],
)
def test_words_are_found_as_they_are_written(
    store: Store, name: str, queries: list[str], others: list[str]
) -> None:
    submit(store, name="something else")
    submit(store, name=name)
    for query in queries:
        assert find(store, query) == [name], query
    for query in others:
        assert find(store, query) == [], query


def test_notebook_and_values_are_searched_too(store: Store) -> None:
    values = {"seed": 4, "tissue": "left Brain", "plot": True, "gone": None, "rate": 0.5}
    submit(store, name="one", path="stereo/Markers.ipynb", parameters=values)
    submit(store, name="two", parameters={"seed": 42, "long": "x" * 200})
    for query in ("stereo/markers", "seed=4", "Seed = 4", "plot=true", "gone=null", "rate=0.5"):
        assert find(store, query) == ["one"], query
    assert find(store, "tissue=left brain one") == ["one"]
    assert find(store, "seed=") == ["two", "one"]
    assert find(store, "seed=4 two") == find(store, "long=x") == []


def test_all_that_is_said_must_hold(store: Store) -> None:
    submit(store, name="alpha", image="notebook", machine_class="small", group="lab")
    b = submit(store, name="beta", image="stomics", machine_class="small", group="lab")
    submit(store, name="gamma", image="stomics", machine_class="large", group="teaching")
    submit(store, name="beta", owner="ben", image="stomics", machine_class="small", group="lab")
    store.states.finish(b, 1, DONE)
    assert find(store, owner="ada", image="stomics") == ["gamma", "beta"]
    assert find(store, owner="ada", machine_class="small") == ["beta", "alpha"]
    assert find(store, owner="ada", group="teaching") == ["gamma"]
    assert find(store, "beta", owner="ada", image="stomics", machine_class="small") == ["beta"]
    assert find(store, "beta", image="stomics", group="lab") == ["beta", "beta"]
    assert find(store, "beta", image="stomics", states=TERMINAL) == ["beta"]
    assert find(store, "beta", owner="ada", image="notebook") == []


def test_a_day_has_its_first_moment_and_not_that_of_the_next(store: Store) -> None:
    for name in ("one", "two", "three"):
        submit(store, name=name)
    times = {job.request.name: job.created for job in store.jobs(Selection(), 9, None)[0]}
    assert find(store, since=times["two"]) == ["three", "two"]
    assert find(store, until=times["two"]) == ["one"]
    assert find(store, since=times["two"], until=times["three"]) == ["two"]
    assert find(store, since=NOON + timedelta(days=1)) == []


@pytest.mark.parametrize("states", [TERMINAL, {State.FAILED}, {State.FAILED, State.QUEUED}])
def test_pages_stay_whole_while_jobs_change_their_states(
    store: Store, states: frozenset[State]
) -> None:
    ids = [submit(store, name=f"run {n}") for n in range(30)]
    submit(store, name="another")
    submit(store, name="run 31", owner="ben")
    for job in ids[::2]:
        store.states.finish(job, 1, Ending(State.FAILED))
    wanted = Selection("ada", frozenset(states), terms=read_terms("run"))
    stay = {*ids[::2]} if State.QUEUED not in states else {*ids}
    seen: list[str] = []
    cursor = None
    for turn in range(99):
        page, cursor = store.jobs(wanted, 4, cursor)
        seen += [job.id for job in page]
        if cursor is None:
            break
        # Of those that are still to come and of those that were: some begin, some end.
        late, early = ids[2 * turn + 1], ids[29 - 2 * turn]
        store.states.finish(late, 1, DONE)
        store.states.set_standings({(early, 1): Standing(State.RUNNING)})
        stay -= {late, early}
        submit(store, name="run new")
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)
    assert seen == sorted(seen, key=ids.index, reverse=True)


def test_the_parts_of_a_list_make_it_whole(store: Store) -> None:
    ids = [submit(store) for _ in range(9)]
    submit(store, owner="ben")
    for job, state in zip(ids, sorted(TERMINAL), strict=False):
        store.states.finish(job, 1, Ending(state))
    store.states.set_standings({(ids[5], 1): Standing(State.RUNNING)})
    mine = Selection("ada")
    counts = store.count_jobs(mine)
    assert counts == {
        **dict.fromkeys(State, 0),
        **dict.fromkeys(TERMINAL, 1),
        State.RUNNING: 1,
        State.QUEUED: 5,
    }
    parts = [TERMINAL, {State.QUEUED}, {State.STARTING, State.RUNNING, State.CANCELLING}]
    lists = [
        [job.id for job in store.jobs(replace(mine, states=frozenset(part)), 99, None)[0]]
        for part in parts
    ]
    assert sorted(id for part in lists for id in part) == sorted(ids)
    assert all(part == sorted(part, key=ids.index, reverse=True) for part in lists)
