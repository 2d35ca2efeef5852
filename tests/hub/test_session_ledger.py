"""The jobs service's ledger has each change of each session, whoever was away when it happened."""

from tests.ledger import WHOLE
from tests.platform_fixture import Platform
from tests.site import User, wait_until

SMALL = {"group": "spatial-lab", "image": "notebook", "class": "small"}


def test_a_session_is_told_from_its_start_to_its_end(platform: Platform, ada: User) -> None:
    earlier = platform.read_sessions("ada")

    ada.start_session(SMALL)
    wait_until(lambda: platform.read_last_session("ada") == WHOLE[:3], "the session to be told")
    ada.stop_session()
    wait_until(lambda: platform.read_last_session("ada") == WHOLE, "its end to be told")

    assert len(platform.read_sessions("ada")) == len(earlier) + 1


def test_what_happens_while_the_service_hangs_is_told_later_and_once(
    platform: Platform, ada: User
) -> None:
    earlier = platform.read_sessions("ada")
    service = platform.child("offline_jobs.service")
    service.suspend()
    try:
        for _ in range(2):
            ada.start_session(SMALL)
            ada.stop_session()
    finally:
        service.resume()

    wait_until(
        lambda: list(platform.read_sessions("ada").values())[len(earlier) :] == [WHOLE, WHOLE],
        "both sessions to be told",
    )


def test_a_start_that_is_refused_is_no_session(platform: Platform, ada: User) -> None:
    earlier = platform.read_sessions("ada")

    assert ada.post_server({**SMALL, "class": "moon"}).status_code == 400
    ada.start_session(SMALL)
    ada.stop_session()

    wait_until(lambda: platform.read_last_session("ada") == WHOLE, "the next session to be told")
    assert len(platform.read_sessions("ada")) == len(earlier) + 1
