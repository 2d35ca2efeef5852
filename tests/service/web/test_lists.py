"""Lists that are narrowed: each parameter, all together, and for nobody more than is theirs."""

import pytest

from offline_jobs.contract.states import State
from tests.service.core.factories import create_job, make_new_job
from tests.service.web.factories import Client, Service


def listed(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"jobs?{query}")
    assert answer.status_code == 200, answer.text
    return [job["name"] for job in answer.json()["jobs"]]


def counted(client: Client, query: str = "") -> dict[str, int]:
    answer = client.get(f"jobs/counts?{query}")
    assert answer.status_code == 200, answer.text
    counts: dict[str, int] = answer.json()["states"]
    assert list(counts) == [state.value for state in State]
    return {state: number for state, number in counts.items() if number}


@pytest.fixture
def jobs(service: Service) -> dict[str, str]:
    """Ada's jobs: by their names, their ids."""
    usual = {"group": "lab", "path": "stereo/markers.ipynb", "machine_class": "standard"}
    news = [
        make_new_job("1", name="section 4", **usual),
        make_new_job("1", name="section 5", **usual, image="stomics"),
        make_new_job(
            "1", name="chip", **(usual | {"machine_class": "large"}), parameters={"seed": 4}
        ),
    ]
    ids = [create_job(service.store, new)[0].id for new in news]
    service.finish(ids[1], State.FAILED)
    return dict(zip(["section 4", "section 5", "chip"], ids, strict=True))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["chip", "section 5", "section 4"]),
        ("q=", ["chip", "section 5", "section 4"]),
        ("q=section", ["section 5", "section 4"]),
        ("q=section&image=stomics", ["section 5"]),
        ("q=section&image=stomics&state=queued", []),
        ("state=queued", ["chip", "section 4"]),
        ("state=queued,failed", ["chip", "section 5", "section 4"]),
        ("state=succeeded,failed,cancelled", ["section 5"]),
        ("class=large", ["chip"]),
        ("q=seed%3D4", ["chip"]),
        ("q=stereo/markers.ipynb", ["chip", "section 5", "section 4"]),
        ("path=stereo/markers.ipynb", ["chip", "section 5", "section 4"]),
        ("path=stereo/markers.ipynb&class=large", ["chip"]),
        ("path=markers.ipynb", []),
        ("path=stereo/marker_.ipynb", []),
        ("path=%00", []),
        ("q=%25", []),
        ("q=_", []),
        ("q=%00", []),
        ("q=%27%20OR%201%3D1%20--", []),
        ("group=lab&user=ada", ["chip", "section 5", "section 4"]),
        ("group=teaching&user=ada", []),
        ("image=no-such-image", []),
        ("since=2026-01-01T00:00:00Z", ["chip", "section 5", "section 4"]),
        ("since=9998-01-01T00:00:00-12:00", []),
        ("until=0001-01-01T00:00:00%2B14:00", []),
    ],
)
def test_a_list_and_its_counts_hold_what_was_asked_for(
    jobs: dict[str, str], ada: Client, ben: Client, query: str, names: list[str]
) -> None:
    assert listed(ada, query) == names
    counts = counted(ada, query)
    assert sum(counts.values()) == len(names)
    assert counts.get("failed", 0) == ("section 5" in names)
    if "user=" not in query:
        assert (listed(ben, query), counted(ben, query)) == ([], {})


def test_a_time_says_from_when_and_until_before_when(jobs: dict[str, str], ada: Client) -> None:
    created = ada.get(f"jobs/{jobs['section 5']}").json()["created"]
    assert listed(ada, f"since={created}") == ["chip", "section 5"]
    assert listed(ada, f"until={created}") == ["section 4"]


def test_a_narrowed_list_goes_on_where_its_page_ended(
    service: Service, jobs: dict[str, str], ada: Client
) -> None:
    first = ada.get("jobs?q=section&limit=1").json()
    assert [job["name"] for job in first["jobs"]] == ["section 5"]
    ada.submit("key-00000009", name="section 6")
    service.stand(jobs["section 4"], State.RUNNING)
    rest = ada.get(f"jobs?q=section&limit=1&cursor={first['next_cursor']}").json()
    assert [(job["name"], job["state"]) for job in rest["jobs"]] == [("section 4", "running")]
    assert rest["next_cursor"] is None


def test_leads_and_administrators_narrow_others_jobs(
    service: Service, jobs: dict[str, str], ben: Client
) -> None:
    lea, root = service.client("lea"), service.client("root")
    root.submit("key-00000001", name="section of root")
    ben.submit("key-00000001", name="section of ben", group="teaching")
    groups = "group=lab&user=*&q=section"
    assert listed(lea, groups) == listed(root, groups)
    assert listed(lea, groups) == ["section of root", "section 5", "section 4"]
    assert listed(lea, f"{groups}&state=failed") == ["section 5"]
    assert listed(lea, "group=lab&user=root") == ["section of root"]
    assert counted(lea, groups) == {"queued": 2, "failed": 1}
    assert listed(root, "user=*&q=of%20ben") == ["section of ben"]
    for query in ("user=*&q=section", "user=ada", "group=teaching&user=*&q=section"):
        assert lea.get(f"jobs?{query}").status_code == 403
        assert lea.get(f"jobs/counts?{query}").status_code == 403
