"""Hub and jobs service on a real PostgreSQL server, each with a database and a user of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database_server import PASSWORD, DatabaseServer, running_server
from tests.hub.on_server import PASSWORD as HUB_PASSWORD
from tests.hub.on_server import URL as HUB_URL
from tests.hub.test_jobs import submit, wait_for_state
from tests.ledger import WHOLE
from tests.platform_fixture import Platform
from tests.site import User, wait_until
from tests.skips import require

SMALL = {"group": "spatial-lab", "image": "notebook", "class": "small"}


@pytest.fixture
def server() -> Iterator[DatabaseServer]:
    require("PostgreSQL")
    with running_server() as server:
        for owner in ("hub", "service"):
            server.make_role(owner)
            server.execute(f"CREATE DATABASE {owner} OWNER {owner}")
        yield server


@pytest.fixture
def platform(tmp_path: Path, server: DatabaseServer) -> Iterator[Platform]:
    (tmp_path / "password").write_text(PASSWORD)
    (tmp_path / "url").write_text(server.url("service", "service", PASSWORD))
    platform = Platform(
        tmp_path / "state",
        module="tests.hub.on_server",
        environment={
            HUB_URL: server.url("hub", "hub"),
            HUB_PASSWORD: str(tmp_path / "password"),
            "OFFLINE_JOBS_DATABASE_URL_FILE": str(tmp_path / "url"),
        },
    )
    with platform.running():
        yield platform


def read_turns(server: DatabaseServer) -> list[tuple[object, ...]]:
    """What the service was told of sessions."""
    return server.execute(
        "SELECT number, state, reason FROM sessions ORDER BY at, number", database="service"
    )


def ask(user: User) -> int:
    """How the hub answers whoever has a token, which it looks up."""
    return user.api.get(f"/hub/api/users/{user.name}").status_code


def test_a_hub_and_a_service_on_a_server(platform: Platform, server: DatabaseServer) -> None:
    ada = platform.sign_in("ada")
    ada.start_session(SMALL)
    wait_until(lambda: read_turns(server) == WHOLE[:3], "the session to be told")
    wait_for_state(ada, submit(ada, "print(6 * 7)"), "succeeded")
    users = server.execute("SELECT name FROM users WHERE name = 'ada'", database="hub")
    assert users == [("ada",)]
    assert not list(platform.state.rglob("*.sqlite")), "something is in a file"

    # The hub dies, and finds the session in its database.
    hub = platform.child("jupyterhub -f")
    hub.kill()
    wait_until(lambda: not hub.is_running(), "the hub's death")
    wait_until(lambda: platform.answers("/hub/login"), "the hub", 90)
    assert ada.server()["ready"]
    ada.wait_for_lab()

    # The server goes and comes again: both go on by themselves, the same processes.
    processes = [platform.child(name).pid for name in ("jupyterhub -f", "offline_jobs.service")]
    server.stop()
    wait_until(lambda: ask(ada) != 200, "the hub to say so")
    server.start()
    wait_until(lambda: ask(ada) == 200, "the hub once more")
    ada.stop_session()
    wait_until(lambda: read_turns(server) == WHOLE, "the session's end to be told")
    assert processes == [
        platform.child(name).pid for name in ("jupyterhub -f", "offline_jobs.service")
    ]
    assert PASSWORD not in platform.logs()
