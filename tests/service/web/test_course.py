"""How a run goes, as it is answered: over time, its cells, earlier runs; for whom, and of whom."""

import json
from typing import Any

import pytest

from offline_jobs.contract.run import Progress
from offline_jobs.contract.states import State
from offline_jobs.service.web.reading import LARGE_BYTES
from tests.factories import make_person
from tests.service.web import factories
from tests.service.web.factories import Client, Service, make_notebook

SERIES: dict[str, Any] = {
    "every_seconds": 2.0,
    "memory_mib": [120, 340],
    "cores": [0.25, 1.0],
    "gpus": {
        "count": 2,
        "memory_limit_mib": 32_000,
        "percent": [None, 97],
        "memory_mib": [4, 9_000],
    },
    "first_cell_seconds": None,
}
NOTHING: dict[str, Any] = {"series": None, "earlier_seconds": []}


@pytest.fixture
def mia(monkeypatch: pytest.MonkeyPatch, service: Service) -> Client:
    """Another member of ada's group, who leads nothing."""
    monkeypatch.setitem(factories.PEOPLE, "mia", make_person("mia", ["lab"]))
    return service.client("mia")


def tell(service: Service, job: str, series: Any) -> int:
    said = Progress("running", 1, 2).to_json() | {"series": series}
    return service.runner(job).post("/progress", json=said).status_code


def run_before(service: Service, ada: Client, key: str, **changes: Any) -> str:
    """A job that succeeded."""
    job: str = ada.submit(key, **changes).json()["id"]
    service.stand(job, State.RUNNING)
    service.end(job)
    return job


def test_a_run_is_followed_over_time_and_stays_known(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    assert ada.get(f"jobs/{job}/course").json() == NOTHING
    assert tell(service, job, SERIES) == 200
    assert tell(service, job, None) == 200
    assert ada.get(f"jobs/{job}/course").json()["series"] == SERIES
    assert "series" not in ada.get(f"jobs/{job}").json()
    whole = SERIES | {"memory_mib": [120, 340, 90], "cores": [0.25, 1, 0], "first_cell_seconds": 1}
    service.end(job, series=whole)
    assert ada.get(f"jobs/{job}/course").json()["series"] == whole
    assert ada.get(f"jobs/{job}/record").json()["record"]["series"] == whole


def test_a_runner_of_before_knows_no_gpus(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    tell(service, job, {name: said for name, said in SERIES.items() if name != "gpus"})
    assert ada.get(f"jobs/{job}/course").json()["series"] == SERIES | {"gpus": None}


def test_what_a_runner_said_is_known_when_it_vanished(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    tell(service, job, SERIES)
    service.finish(job, State.FAILED)
    assert ada.get(f"jobs/{job}/course").json()["series"] == SERIES


def test_a_runner_of_before_says_nothing_of_it(service: Service, ada: Client) -> None:
    job = ada.submit().json()["id"]
    service.end(job, cell=1)
    assert ada.get(f"jobs/{job}/course").json() == NOTHING
    assert ada.get(f"jobs/{job}/record").json()["record"]["series"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"every_seconds": 0},
        {"cores": [-1.0]},
        {"memory_mib": [1.5]},
        {"memory_mib": [1] * 1_001},
        {"cores": None},
        {"first_cell_seconds": "x"},
        {"gpus": SERIES["gpus"] | {"percent": [101]}},
        {"gpus": SERIES["gpus"] | {"memory_mib": [1] * 1_001}},
        {"gpus": {"count": 2}},
    ],
)
def test_a_series_that_is_none_is_refused(
    service: Service, ada: Client, change: dict[str, Any]
) -> None:
    job = ada.submit().json()["id"]
    assert tell(service, job, SERIES | change) == 422


def test_earlier_runs_of_the_notebook_tell_how_long_it_takes(
    service: Service, ada: Client, mia: Client
) -> None:
    for number in range(3):
        run_before(service, ada, f"key-0000001{number}")
    run_before(service, ada, "key-00000020", path="stereo/others.ipynb")
    failed = ada.submit("key-00000021").json()["id"]
    service.finish(failed, State.FAILED)
    run_before(service, mia, "key-00000022")
    job = ada.submit("key-00000030").json()["id"]
    run_before(service, ada, "key-00000031")
    earlier = ada.get(f"jobs/{job}/course").json()["earlier_seconds"]
    assert len(earlier) == 3
    assert earlier == sorted(earlier)
    mias = mia.submit("key-00000032").json()["id"]
    assert mia.get(f"jobs/{mias}/course").json()["earlier_seconds"] == []
    # A guest is told of this one alone.
    ada.post(f"jobs/{job}/share", {"shared": True})
    tell(service, job, SERIES)
    assert mia.get(f"jobs/{job}/course").json() == NOTHING | {"series": SERIES}
    service.end(job)
    assert ada.get(f"jobs/{job}/course").json()["earlier_seconds"] == []


def test_a_job_of_a_second_try_tells_nothing_of_the_time(service: Service, ada: Client) -> None:
    jobs = [run_before(service, ada, f"key-0000001{number}") for number in range(2)]
    with service.store._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE jobs SET attempt = 2 WHERE id = '{jobs[0]}'")  # noqa: S608
    job = ada.submit("key-00000030").json()["id"]
    assert ada.get(f"jobs/{job}/course").json()["earlier_seconds"] == []


@pytest.mark.parametrize("padding", [0, LARGE_BYTES])
def test_cells_are_known_by_their_first_lines(service: Service, ada: Client, padding: int) -> None:
    note = {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "#" * padding}
    notebook = make_notebook("# Load\nload()", " ", "plot(k)", parameters="k = 1")
    notebook["cells"].insert(1, note)
    job = ada.submit(notebook=notebook, parameters={"k": 5}).json()["id"]
    lines = ["k = 1", "# Parameters", "# Load", "plot(k)"]
    assert ada.get(f"jobs/{job}/cells").json() == {"lines": lines}


def test_a_guest_has_the_lines_where_the_result_has_them(
    service: Service, ada: Client, ben: Client, mia: Client
) -> None:
    job = ada.submit().json()["id"]
    for client in (ben, mia):
        for what in ("course", "cells"):
            assert client.get(f"jobs/{job}/{what}").status_code == 404
    ada.post(f"jobs/{job}/share", {"shared": True})
    assert mia.get(f"jobs/{job}/cells").json() == {"lines": []}
    content = json.dumps(make_notebook("print(1)")).encode()
    assert service.runner(job).put("/notebook", content=content).is_success
    assert mia.get(f"jobs/{job}/cells").json() == {"lines": ["print(1)"]}
    assert ben.get(f"jobs/{job}/cells").status_code == 404
