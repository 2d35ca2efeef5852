"""``/metrics``: what is listed, true values, each counted once, and nobody's name."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from offline_jobs.contract.session import SessionState
from offline_jobs.contract.states import Cause, Reason, State
from offline_jobs.service.changes import Changes
from offline_jobs.service.model import Ending, SessionTurn, Standing, WatchState
from offline_jobs.service.store.store import Store, utc_now
from offline_jobs.service.web.measures import Measures, build_metrics_app
from tests.plain import NO_TLS
from tests.service.core.conftest import Clock
from tests.service.core.factories import create_job, make_new_job
from tests.service.web.factories import Client, Service, served

LIST = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
GROUP, CLASS = "spatial-lab", "small"
PLACE = {"group": GROUP, "class": CLASS}
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Values:
    """Samples by name and labels, without those of histograms' buckets."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }


def at(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(either_url: str, clock: Clock) -> Iterator[Store]:
    made = Store(either_url, Changes(), clock)
    made.migrate()
    with closing(made):
        yield made


@pytest.fixture
def measures(store: Store) -> Measures:
    return begin(store)


def begin(store: Store) -> Measures:
    """The metrics of a service that begins now."""
    store.census.begin()
    state = {"jobs": WatchState(2.5, 3)}
    return Measures(store.census, lambda: state, "volcano", timedelta(days=2))


def scrape(measures: Measures) -> Values:
    measures.follow()
    return parse(generate_latest(measures.registry).decode())


def submit(store: Store) -> str:
    return create_job(store, make_new_job("1"))[0].id


def stand(store: Store, job: str, state: State, reason: Reason | None = None) -> None:
    store.states.set_standings({(job, 1): Standing(state, reason)})


def test_open_jobs_are_counted_by_what_they_wait_for(
    store: Store, clock: Clock, measures: Measures
) -> None:
    jobs = [submit(store) for _ in range(4)]
    stand(store, jobs[0], State.QUEUED, Reason.NO_NODE)
    stand(store, jobs[1], State.QUEUED, Reason.NO_NODE)
    stand(store, jobs[2], State.RUNNING)
    store.states.finish(jobs[3], 1, Ending(State.FAILED, Cause.CELL_ERROR))
    values = scrape(measures)
    waiting = {"state": "queued", "reason": "no-node", **PLACE}
    assert at(values, "offline_jobs_open", **waiting) == 2
    age = at(values, "offline_jobs_oldest_open_seconds", **waiting)
    first = store.job(jobs[0])
    assert first is not None
    assert age == pytest.approx((utc_now() - first.created).total_seconds(), abs=60)
    assert at(values, "offline_jobs_open", state="running", reason="", **PLACE) == 1
    assert at(values, "offline_jobs_kept", state="failed", cause="cell-error", **PLACE) == 1
    assert at(values, "offline_jobs_database_up") == 1
    store.delete_job(jobs[3])
    stand(store, jobs[0], State.RUNNING)
    values = scrape(measures)
    assert at(values, "offline_jobs_open", **waiting) == 1
    assert at(values, "offline_jobs_kept", state="failed", cause="cell-error", **PLACE) is None
    # That it ended stays true.
    assert at(values, "offline_jobs_ended_total", state="failed", cause="cell-error", **PLACE) == 1


def test_times_are_counted_once_and_by_the_ledgers_clock(
    store: Store, clock: Clock, measures: Measures
) -> None:
    job = submit(store)
    scrape(measures)
    clock.now += timedelta(seconds=100)
    stand(store, job, State.RUNNING)
    values = scrape(measures)
    assert at(values, "offline_jobs_waiting_seconds_count", **PLACE) == 1
    waited = at(values, "offline_jobs_waiting_seconds_sum", **PLACE)
    assert waited is not None
    assert 100 <= waited <= 105
    assert at(values, "offline_jobs_running_seconds_count", **PLACE) is None
    clock.now += timedelta(hours=3)
    store.states.finish(job, 1, Ending(State.SUCCEEDED))
    for _ in range(2):
        values = scrape(measures)
        assert at(values, "offline_jobs_waiting_seconds_count", **PLACE) == 1
        assert at(values, "offline_jobs_running_seconds_count", **PLACE) == 1
        ran = at(values, "offline_jobs_running_seconds_sum", **PLACE)
        assert ran is not None
        assert 3 * 3600 <= ran <= 3 * 3600 + 5
        ended = {"state": "succeeded", "cause": "", **PLACE}
        assert at(values, "offline_jobs_ended_total", **ended) == 1


def test_a_service_that_begins_anew_counts_from_zero_and_misses_no_end(
    store: Store, measures: Measures
) -> None:
    done, running, unseen = (submit(store) for _ in range(3))
    stand(store, running, State.RUNNING)
    store.states.finish(done, 1, Ending(State.SUCCEEDED))
    assert at(scrape(measures), "offline_jobs_ended_total", state="succeeded", cause="", **PLACE)
    anew = begin(store)
    values = scrape(anew)
    assert at(values, "offline_jobs_ended_total", state="succeeded", cause="", **PLACE) is None
    assert at(values, "offline_jobs_kept", state="succeeded", cause="", **PLACE) == 1
    for job in (running, unseen):
        store.states.finish(job, 1, Ending(State.FAILED, Cause.REMOVED))
    values = scrape(anew)
    assert at(values, "offline_jobs_ended_total", state="failed", cause="removed", **PLACE) == 2
    # One of them never ran.
    assert at(values, "offline_jobs_running_seconds_count", **PLACE) == 1
    assert at(values, "offline_jobs_waiting_seconds_count", **PLACE) is None


def test_an_attempt_after_which_another_follows_is_no_end(store: Store, measures: Measures) -> None:
    job = submit(store)
    store.states.add_attempt(job, 1, Ending(State.FAILED, Cause.INTERRUPTED))
    values = scrape(measures)
    assert at(values, "offline_jobs_retried_total", cause="interrupted", **PLACE) == 1
    assert not [name for name, _ in values if name == "offline_jobs_ended_total"]


def test_sessions_are_where_the_hub_last_said(store: Store, measures: Measures) -> None:
    now = utc_now()

    def tell(session: str, number: int, state: SessionState, days: float = 0) -> None:
        turn = SessionTurn(
            session=session,
            number=number,
            at=now - timedelta(days=days),
            owner="ada",
            group=GROUP,
            image="notebook",
            machine_class=CLASS,
            state=state,
            reason=None,
        )
        store.keep_turns([turn])

    for session in ("one", "two", "three"):
        tell(session, 1, SessionState.STARTING)
    for session in ("one", "two"):
        tell(session, 2, SessionState.RUNNING)
    tell("two", 3, SessionState.ENDED)
    # Longer ago than any class lets one run: its end was never told.
    tell("lost", 1, SessionState.RUNNING, days=4)
    values = scrape(measures)
    found = {
        dict(labels)["state"]: value
        for (name, labels), value in values.items()
        if name == "offline_jobs_sessions"
    }
    assert found == {"starting": 1, "running": 1}


def test_a_job_with_any_text_in_what_was_asked_for_is_counted(store: Store) -> None:
    """PostgreSQL keeps such a request, and cannot look into it."""
    parameters = {"text": "a\x00b"}
    create_job(store, make_new_job("1", parameters=parameters))
    submit(store)

    assert [each.count for each in store.census.count_open()] == [2]


def test_while_the_database_is_away_the_rest_is_told(tmp_path: Path) -> None:
    with closing(Store(f"sqlite:///{tmp_path / 'away' / 'jobs.sqlite'}", Changes())) as store:
        measures = Measures(store.census, dict, "local", timedelta(days=1))
        values = scrape(measures)
    assert at(values, "offline_jobs_database_up") == 0
    assert at(values, "offline_jobs_build_info", version="0.1.0", backend="local") == 1
    assert not [name for name, _ in values if name == "offline_jobs_open"]


def read_list() -> dict[str, tuple[str, frozenset[str]]]:
    """Name to type and labels, as documented."""
    rows = re.findall(r"^\| `(offline_jobs_\w+)` \| (\w+) \|(.*?)\|", LIST.read_text(), re.M)
    return {
        name: (kind, frozenset(filter(None, labels.strip().split(", "))))
        for name, kind, labels in rows
    }


def test_the_documented_list_is_what_is_exported_and_it_names_nobody(
    service: Service, ada: Client
) -> None:
    store = service.store
    measures = begin(store)
    jobs = [str(ada.submit(f"key-0000000{n}").json()["id"]) for n in range(3)]
    service.stand(jobs[0], State.RUNNING)
    service.finish(jobs[0])
    store.states.add_attempt(jobs[1], 1, Ending(State.FAILED, Cause.INTERRUPTED))
    turn = SessionTurn(
        "s", 1, utc_now(), "ada", "lab", "notebook", "standard", SessionState.RUNNING, None
    )
    store.keep_turns([turn])
    ada.get(f"jobs/{jobs[2]}")
    assert ada.http.get(f"/{jobs[2]}").status_code == 404
    with served(build_metrics_app(measures)) as url:
        answer = httpx.get(f"{url}/metrics", trust_env=False, verify=NO_TLS)
        assert httpx.get(f"{url}/health", trust_env=False, verify=NO_TLS).status_code == 404
    assert answer.headers["content-type"].startswith("text/plain; version=")
    exported: dict[str, tuple[str, frozenset[str]]] = {}
    for family in text_string_to_metric_families(answer.text):
        if family.name.startswith("process_") or family.name.endswith("_created"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        (labels,) = {frozenset(sample.labels) - {"le"} for sample in family.samples}
        exported[name] = (family.type, labels)
    assert exported == read_list()
    assert not re.search(rf"\bada\b|{'|'.join(jobs)}", answer.text)
    values = parse(answer.text)
    asked = {"side": "public", "method": "GET", "status": "200"}
    route = "/jobs/{job_id}"
    assert at(values, "offline_jobs_http_request_seconds_count", route=route, **asked)
    asked["status"] = "404"
    assert at(values, "offline_jobs_http_request_seconds_count", route="none", **asked)
