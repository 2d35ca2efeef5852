"""Sessions and the login's state: sealed, bounded, ended."""

import pytest

from offline_jobs.service.web import login
from offline_jobs.service.web.login import Sessions, is_below

BASE = "/services/offline-jobs/"


def test_a_seal_holds_for_its_state_and_for_us_only() -> None:
    sessions = Sessions()
    value = sessions.seal("state-1", f"{BASE}jobs/x")
    assert sessions.unseal(value, "state-1") == f"{BASE}jobs/x"
    assert sessions.unseal(value, "state-2") is None
    assert Sessions().unseal(value, "state-1") is None
    assert sessions.unseal(value[:-1] + ("0" if value[-1] != "0" else "1"), "state-1") is None
    forged = value.replace(value.split(".")[1], "Ly9ldmlsLmV4YW1wbGU=")
    assert sessions.unseal(forged, "state-1") is None
    assert sessions.unseal("", "") is None


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "https://evil.example/", "/hub/logout", f"{BASE}/../../x",
        f"{BASE}a//b", f"{BASE}\\evil", f"{BASE}\r\nX: y", "/services/offline-jobs-evil/",
        f"{BASE}{'x' * 600}",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(path: str) -> None:
    assert not is_below(path, BASE)


def test_ours_is_below() -> None:
    assert is_below(BASE, BASE)
    assert is_below(f"{BASE}jobs/a00000000000", BASE)


def test_sessions_end_by_age_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "MOST_SESSIONS", 3)
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    made = [sessions.begin(f"token {n}", "login") for n in range(4)]
    assert sessions.find(made[0].key) is None
    assert sessions.find(made[3].key) == made[3]
    assert len({s.key for s in made} | {s.xsrf for s in made}) == 8
    now[0] = login.SESSION_SECONDS + 1
    assert sessions.find(made[3].key) is None
    assert sessions.find("") is None
