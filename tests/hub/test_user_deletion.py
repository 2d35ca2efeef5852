"""A deleted user's name stands for nothing of theirs; last of its ring, for it deletes ben."""

from pathlib import Path

from tests.hub.test_jobs import JOBS, get_job, submit, wait_for_state
from tests.ledger import WHOLE
from tests.platform_fixture import Platform
from tests.site import wait_until

SESSION = {"group": "teaching", "image": "notebook", "class": "small"}


def list_retired(platform: Platform) -> list[Path]:
    return sorted((platform.homes / ".retired").glob("ben-20*"))


def test_who_gets_a_deleted_users_name_gets_nothing_of_theirs(platform: Platform) -> None:
    ben, admin = platform.sign_in("ben"), platform.sign_in("admin")
    ben.start_session(SESSION)
    (platform.homes / "ben" / "thesis.txt").write_text("mine")
    done = submit(ben, "print('old')")
    wait_for_state(ben, done, "succeeded")
    running = submit(ben, "import time\nwhile True: time.sleep(0.1)")
    wait_until(lambda: get_job(ben, running)["cell"]["number"] == 1, "its cell")

    answer = admin.api.delete("/hub/api/users/ben", timeout=90)

    assert answer.status_code == 204, answer.text
    assert [(each / "thesis.txt").read_text() for each in list_retired(platform)] == ["mine"]
    assert not (platform.homes / "ben").exists()
    assert not (platform.state / "scratch" / "ben").exists()
    told = [get_job(admin, job) for job in (done, running)]
    assert [each["state"] for each in told] == ["succeeded", "cancelled"]
    assert {each["owner"] for each in told} == {f".retired/{list_retired(platform)[0].name}"}

    # The sessions, too, are told to their end, and are nobody's who could sign in.
    assert platform.read_last_session(f".retired/{list_retired(platform)[0].name}") == WHOLE
    assert platform.read_sessions("ben") == {}

    ben = platform.sign_in("ben")
    assert ben.api.get(JOBS).json()["jobs"] == []
    assert ben.api.get(f"{JOBS}/{done}/result").status_code == 404
    ben.start_session(SESSION)
    names = {each.name for each in (platform.homes / "ben").iterdir()}
    assert "examples" in names
    assert not names & {"thesis.txt", "offline-jobs"}
    ben.stop_session()


def test_a_user_stays_while_the_jobs_service_cannot_be_asked(platform: Platform) -> None:
    ben, admin = platform.sign_in("ben"), platform.sign_in("admin")
    ben.start_session(SESSION)
    before = list_retired(platform)
    service = platform.child("offline_jobs.service")
    service.suspend()
    try:
        answer = admin.api.delete("/hub/api/users/ben", timeout=90)
    finally:
        service.resume()

    assert answer.status_code == 503
    assert "ben was not deleted: the jobs service did not say" in answer.json()["message"]
    assert (platform.homes / "ben" / "examples").exists()
    assert list_retired(platform) == before
    assert ben.api.get(JOBS).status_code == 200
