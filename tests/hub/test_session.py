"""A session: how it starts, what its process sees, and what its token may do."""

import asyncio
import json
import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from hub_config.proxy import Proxy
from hub_config.spawners.logs import KEPT_BYTES, LARGEST_LOG_BYTES
from tests.hub.kernel import Kernel
from tests.plain import NO_TLS
from tests.platform_fixture import ROOT, Platform
from tests.site import User, wait_until

SMALL = {"group": "spatial-lab", "image": "notebook", "class": "small"}


def find_server(platform: Platform, name: str) -> psutil.Process:
    """The process of a user's session."""
    for process in platform.processes():
        words = process.cmdline()
        if "jupyterhub.singleuser" in words and process.environ()["JUPYTERHUB_USER"] == name:
            return process
    raise AssertionError(f"{name} has no session")


def test_a_form_leads_to_lab(ada: User, platform: Platform) -> None:
    answer = ada.post_form(SMALL)

    assert answer.status_code == 302
    ada.wait_for_lab()
    assert ada.client.get("/hub/spawn").headers["location"].startswith("/user/ada/")
    assert (platform.state / "homes" / "ada").is_dir()
    # No image has a language server: to look for them starts npm, and R where it is there.
    assert ada.client.get("/user/ada/lsp/status").json()["sessions"] == {}  # once it is ready
    log = (platform.state / "logs" / "session-ada.log").read_text(encoding="utf-8")
    assert "Skipped non-installed server" not in log
    # An image has all of Lab: whether it had to be built costs a second of Node at each opening.
    assert '"buildCheck": false' in ada.client.get("/user/ada/lab", follow_redirects=True).text


def test_a_long_log_is_cut_at_the_next_start(ada: User, platform: Platform) -> None:
    log = platform.state / "logs" / "session-ada.log"
    with log.open("ab") as file:
        file.truncate(LARGEST_LOG_BYTES + 1)

    ada.start_session(SMALL)

    assert log.stat().st_size < 2**20
    assert log.with_suffix(".old.log").stat().st_size <= KEPT_BYTES


def test_a_lost_route_comes_back_and_routes_tell_nothing_of_activity(
    ada: User, platform: Platform
) -> None:
    ada.start_session(SMALL)
    port = platform.child("hub_config/embedded/jupyterhub_config.py").environ()[
        "NOTEBOOK_HPC_PROXY_API_PORT"
    ]
    token = (platform.state / "secrets" / "proxy-token").read_text().strip()
    api = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"token {token}"}
    assert (
        "last_activity"
        in httpx.get(f"{api}/api/routes/user/ada", headers=headers, verify=NO_TLS).json()
    )

    routes = asyncio.run(Proxy(api_url=api, auth_token=token).get_all_routes())
    httpx.delete(f"{api}/api/routes/user/ada", headers=headers, verify=NO_TLS).raise_for_status()

    assert routes["/user/ada/"]["data"].keys() == {"user", "server_name"}
    ada.wait_for_lab()


SMUGGLED = [
    {"img--unlisted-choice": "evil/image:1"},
    {"res--unlisted-choice": "x"},
    {"profile": "notebook", "img--unlisted-choice": "evil/image:1"},
    {"profile": "notebook"},
    {**SMALL, "profile": "notebook"},
    {**SMALL, "img--unlisted-choice": "evil/image:1"},
    {**SMALL, "image": "evil/image:1"},
    {**SMALL, "class": "huge"},
    {**SMALL, "class": "gpu"},
    {**SMALL, "group": "teaching"},
    {**SMALL, "group": "gpu-users", "class": "gpu"},
    {**SMALL, "image": "gpu"},
    {**SMALL, "mem_limit": "1T"},
    {**SMALL, "cmd": ["/bin/sh"]},
    {**SMALL, "environment": {"PATH": "/somewhere"}},
    {**SMALL, "image": ["notebook"]},
    {**SMALL, "image": None},
    {**SMALL, "class": "small\n"},
    {**SMALL, "class": " small"},
    {**SMALL, "class": "{value}"},
    {"group": "spatial-lab", "class": "small"},
    {"image": "notebook", "class": "small"},
    {},
    [],
    "small",
]


@pytest.mark.parametrize("options", SMUGGLED, ids=json.dumps)
def test_smuggled_options_are_refused(ada: User, platform: Platform, options: object) -> None:
    answer = ada.post_server(options)

    assert answer.status_code == 400, answer.text
    sentence = answer.json()["message"]
    assert sentence.endswith(".") or "Allowed" in sentence
    assert not ada.server()
    assert not [p for p in platform.processes() if "jupyterhub.singleuser" in p.cmdline()]


def test_many_refusals_do_not_end_the_hub(ada: User, platform: Platform) -> None:
    hub = platform.child("jupyterhub -f").pid
    for _ in range(12):
        assert ada.post_server({"profile": "x"}).status_code == 400

    assert platform.child("jupyterhub -f").pid == hub
    assert platform.answers("/hub/login")


def test_what_a_session_sees(ada: User, platform: Platform) -> None:
    ada.start_session(SMALL)

    server = find_server(platform, "ada")
    environment = server.environ()
    home = platform.state / "homes" / "ada"
    assert environment["HOME"] == str(home)
    assert environment["OFFLINE_JOBS_GROUP"] == "spatial-lab"
    assert environment["OFFLINE_JOBS_IMAGE"] == "notebook"
    assert environment["OFFLINE_JOBS_CLASS"] == "small"
    assert int(environment["OFFLINE_JOBS_LONGEST_SESSION_SECONDS"]) >= 3600
    assert environment["OFFLINE_JOBS_URL"].endswith("/services/offline-jobs")
    assert Path(environment["SCRATCH"]).is_relative_to(platform.state / "scratch")
    assert environment["PATH"].startswith(str(ROOT / "build/environments/notebook/bin"))
    assert server.cwd() == str(home)
    assert len(server.cpu_affinity()) == 1  # small has one core
    assert not [name for name in environment if name.startswith("NOTEBOOK_HPC")]
    for secret in (platform.state / "secrets").iterdir():
        assert secret.read_text() not in "\n".join(environment.values())


def test_secrets_are_for_their_owner_only(platform: Platform) -> None:
    folder = platform.state / "secrets"
    secrets = list(folder.iterdir())

    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(secrets) == 5
    assert {secret.stat().st_mode & 0o777 for secret in secrets} == {0o600}
    assert len({secret.read_text() for secret in secrets}) == 5


def test_a_sessions_token_opens_the_jobs_service_and_stops_itself_and_nothing_new(
    ada: User, platform: Platform
) -> None:
    platform.sign_in("ben")
    ada.start_session(SMALL)
    token = find_server(platform, "ada").environ()["JUPYTERHUB_API_TOKEN"]

    with httpx.Client(
        base_url=platform.url,
        timeout=30,
        headers={"Authorization": f"token {token}"},
        verify=NO_TLS,
    ) as client:
        scopes = set(client.get("/hub/api/user").json()["scopes"])
        others = client.get("/hub/api/users").status_code
        new_token = client.post("/hub/api/users/ada/tokens").status_code
        new_server = client.post("/hub/api/users/ada/server").status_code
        refused = [
            client.delete(f"/hub/api/users/{place}").status_code
            for place in ("ben/server", "ada/servers/other", "ben", "ada")
        ]

    assert "access:services!service=offline-jobs" in scopes
    assert scopes - {"access:services!service=offline-jobs"} == {
        "access:servers!server=ada/",
        "delete:servers!server=ada/",
        "read:users:activity!user=ada",
        "read:users:groups!user=ada",
        "read:users:name!user=ada",
        "users:activity!user=ada",
    }
    assert (others, new_token, new_server) == (403, 403, 403)
    assert set(refused) <= {403, 404}
    assert ada.server()

    # As Lab does, with that token: the server is often gone before it can answer.
    xsrf = ada.client.cookies.get("_xsrf", path="/user/ada/") or ""
    answer = ada.client.post("/user/ada/offline-jobs/session/stop", headers={"X-XSRFToken": xsrf})
    assert answer.status_code in (202, 424, 503), answer.text
    wait_until(lambda: not ada.server(), "the session to stop itself")


def test_services_may_do_what_they_need_and_no_more(platform: Platform) -> None:
    def as_service(name: str) -> httpx.Client:
        token = (platform.state / "secrets" / f"{name}-token").read_text()
        return httpx.Client(
            base_url=platform.url,
            timeout=30,
            headers={"Authorization": f"token {token}"},
            verify=NO_TLS,
        )

    platform.sign_in("ben")
    with as_service("service") as service:
        ben = service.get("/hub/api/users/ben").json()
        assert (ben["name"], ben["groups"]) == ("ben", ["teaching"])
        assert "auth_state" not in ben
        assert service.post("/hub/api/users/ben/server").status_code in (403, 404)
        assert service.post("/hub/api/users/ben/tokens").status_code in (403, 404)
    with as_service("culler") as culler:
        assert culler.get("/hub/api/users").status_code == 200
        assert "groups" not in culler.get("/hub/api/users").json()[0]
        assert culler.post("/hub/api/users/ben/server").status_code in (403, 404)
        assert culler.get("/services/offline-jobs/api/v1/jobs").status_code in (401, 403)


def test_examples_come_into_a_new_home_and_never_overwrite(ada: User, platform: Platform) -> None:
    ada.start_session(SMALL)
    examples = platform.state / "homes" / "ada" / "examples"
    names = sorted(file.name for file in (ROOT / "images/notebook/examples").iterdir())
    assert sorted(file.name for file in examples.iterdir()) == names
    assert not [file for file in examples.parent.iterdir() if file.name.startswith(".examples-")]

    mine = examples / "mine.txt"
    mine.write_text("mine")
    changed = examples / names[0] if names else mine
    changed.write_text("changed")
    ada.stop_session()
    ada.start_session(SMALL)

    assert mine.exists()
    assert changed.read_text() in ("changed", "mine")


def test_a_broken_home_can_be_started_around(ben: User, platform: Platform) -> None:
    home = platform.state / "homes" / "ben"
    broken = "raise RuntimeError('broken home')\n"
    packages = home / ".local/lib/python3.11/site-packages"
    for file in (
        home / ".jupyter/jupyter_server_config.py",
        home / "tornado.py",
        home / "json.py",
        packages / "tornado/__init__.py",
        packages / "jupyterlab/__init__.py",
        packages / "usercustomize.py",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(broken)
    if (home / "examples").is_dir():
        shutil.rmtree(home / "examples")
    (home / "examples").write_text("a file where the folder should be")

    ben.start_session({"image": "notebook", "class": "small"})

    environment = find_server(platform, "ben").environ()
    assert "PYTHONNOUSERSITE" not in environment  # kernels do see what the home has
    ben.stop_session()
    shutil.rmtree(home)


def test_a_server_that_cannot_start_is_told_at_once_and_where_to_look(
    ben: User, platform: Platform
) -> None:
    local = platform.state / "scratch" / "ben"
    configuration = local / "configuration" / "jupyter_server_config.py"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text("import os; os._exit(7)\n")
    try:
        answer = ben.post_form({"image": "notebook", "class": "small"})
        page = wait_until(
            lambda: next(
                (
                    text
                    for text in (answer.text, ben.client.get("/hub/spawn-pending/ben").text)
                    if "ended while it was starting" in text
                ),
                "",
            ),
            "the reason on the page",
            20,
        )
        assert "session-ben.log" in page
    finally:
        configuration.unlink()

    ben.start_session({"image": "notebook", "class": "small"})  # and the next start works


def test_a_stopped_session_leaves_no_process(ada: User, platform: Platform) -> None:
    ada.start_session(SMALL)
    kernel = Kernel(ada)
    kernel.close()
    server = find_server(platform, "ada")
    wait_until(server.children, "the kernel's process")
    family = [server, *server.children(recursive=True)]

    ada.stop_session()

    gone, alive = psutil.wait_procs(family, timeout=10)
    assert len(gone) >= 2
    assert not alive


def test_a_kernel_is_at_home_and_kernels_of_the_home_are_there(
    ada: User, platform: Platform
) -> None:
    home = platform.state / "homes" / "ada"
    own = home / ".local/share/jupyter/kernels/mine/kernel.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(json.dumps({"argv": ["python"], "display_name": "Mine", "language": "python"}))
    ada.start_session(SMALL)

    with Kernel(ada) as kernel:
        assert kernel.execute("import os; print(os.getcwd())") == f"{home}\n"
        assert kernel.execute("print(len(os.sched_getaffinity(0)))") == "1\n"
        assert kernel.execute("print(os.environ.get('PYTHONNOUSERSITE'))") == "None\n"
    kernels = ada.client.get("/user/ada/api/kernelspecs").json()["kernelspecs"]
    assert {"mine", "python3"} <= set(kernels)
