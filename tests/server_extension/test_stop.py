"""A server asks the hub to stop it, with its own token; that it does is shown with a real hub."""

import pytest

from offline_jobs.server_extension.hub import Hub, StopRefused

from .conftest import HUB_TOKEN, Jupyter, Service


def test_the_hub_is_asked_with_the_servers_token(jupyter: Jupyter, service: Service) -> None:
    service.answers(202)
    answer = jupyter.ask("POST", "session/stop", headers={"Cookie": "a=b"})
    assert (answer.status_code, answer.json()) == (202, {})
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("DELETE", "/hub/api/users/a%20b%2Fc/server")
    assert asked.headers["Authorization"] == f"token {HUB_TOKEN}"
    assert "Cookie" not in asked.headers


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (302, 502, "stop-failed"),
        (401, 403, "stop-refused"),
        (403, 403, "stop-refused"),
        (404, 403, "stop-refused"),
        (400, 502, "stop-failed"),
        (500, 502, "stop-failed"),
    ],
)
def test_a_refusal_says_what_to_do(
    jupyter: Jupyter, service: Service, said: int, status: int, code: str
) -> None:
    service.answers(said, {"message": "The hub's own words."}, {"Location": "/elsewhere"})
    answer = jupyter.ask("POST", "session/stop")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "on the hub's home" in answer.json()["message"]
    assert len(service.asked) == 1


def test_a_hub_that_does_not_answer_has_stopped_nothing(jupyter: Jupyter, service: Service) -> None:
    service.drops = True
    answer = jupyter.ask("POST", "session/stop")
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-unavailable")


@pytest.mark.asyncio
async def test_a_server_with_a_name_is_stopped_by_it(service: Service) -> None:
    environment = {
        "JUPYTERHUB_API_URL": f"{service.url}/",
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "ada",
        "JUPYTERHUB_SERVER_NAME": "second one",
    }
    service.answers(204)
    await Hub(environment).stop_server()
    assert service.asked[0].path.endswith("/users/ada/servers/second%20one")


@pytest.mark.asyncio
@pytest.mark.parametrize("missing", ["API_URL", "API_TOKEN", "USER"])
async def test_without_a_hub_nothing_is_asked(service: Service, missing: str) -> None:
    environment = {
        "JUPYTERHUB_API_URL": service.url,
        "JUPYTERHUB_API_TOKEN": HUB_TOKEN,
        "JUPYTERHUB_USER": "ada",
    }
    del environment[f"JUPYTERHUB_{missing}"]
    with pytest.raises(StopRefused, match="Stop it where you started it"):
        await Hub(environment).stop_server()
    assert service.asked == []
