"""A hub as somebody with a token of it sees it: sessions, their kernels, offline jobs."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urljoin

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from offline_jobs.contract.names import API_PREFIX, SERVICE_PREFIX, build_service_url

#: Seconds for an answer, and for a cell in a session.
ANSWER_SECONDS, CELL_SECONDS = 30.0, 120.0
#: Seconds between two looks at a job.
LOOK_SECONDS = 2.0

Say = Callable[[str], None]


class SmokeFailed(Exception):
    """Something did not go as it goes for everybody; the message says what."""


class Person:
    """Somebody with a token that the hub gave them (its page *Token*).

    Args:
        url: of the hub, as browsers have it.
        token: of the person; it is sent to hub, session and jobs service only.
        say: told what is waited for, a line at a time.

    Entering the block signs in, and leaving it closes the connections.
    """

    def __init__(self, url: str, token: str, say: Say) -> None:
        self._url = url.rstrip("/") + "/"
        self._authorization = {"Authorization": f"token {token}"}
        self._http = httpx.Client(headers=self._authorization, timeout=ANSWER_SECONDS)
        self._say = say
        self.name = self._jobs = ""

    def __enter__(self) -> Self:
        """Sign in.

        Raises:
            SmokeFailed: the hub does not answer, or does not know the token.
        """
        try:
            self.name = str(self._load("GET", "hub/api/user")["name"])
            service = urljoin(self._url, SERVICE_PREFIX.lstrip("/"))
            # Where users have hosts of their own, the hub leads to the service's. The token goes
            # to that one only, whatever the answer names.
            if self._ask("GET", f"{service}{API_PREFIX}/catalogue").is_redirect:
                service = build_service_url(self._url.rstrip("/"))
        except SmokeFailed:
            self._http.close()
            raise
        self._jobs = f"{service}{API_PREFIX}/"
        return self

    def __exit__(self, *raised: object) -> None:
        """Close the connections."""
        self._http.close()

    def load_catalogue(self) -> dict[str, Any]:
        """What this person may have."""
        catalogue: dict[str, Any] = self._load("GET", self._jobs + "catalogue")
        return catalogue

    def find_session(self) -> dict[str, Any]:
        """The session that is there; empty for none."""
        servers = self._load("GET", f"hub/api/users/{self.name}")["servers"]
        session: dict[str, Any] = servers.get("", {})
        return session

    def start_session(self, options: Mapping[str, str]) -> None:
        """Start a session and wait until its server answers.

        Raises:
            SmokeFailed: it was refused or did not come up, in the hub's words.
        """
        self._load("POST", f"hub/api/users/{self.name}/server", json=dict(options))
        address = urljoin(self._url, f"hub/api/users/{self.name}/server/progress")
        last = ""
        # A machine may take its time; what it waits for comes as it changes.
        with self._http.stream("GET", address, timeout=None) as answer:
            for event in _read_events(answer):
                if event.get("failed"):
                    raise SmokeFailed(str(event.get("message")))
                if event.get("ready"):
                    return
                if (said := str(event.get("message", ""))) not in ("", last):
                    last = said
                    self._say(f"  {said}")
        if not self.find_session().get("ready"):
            raise SmokeFailed(f"the start ended without a server; the last word was {last!r}")

    def stop_session(self) -> None:
        """Stop the session and wait until it is gone."""
        self._ask("DELETE", f"hub/api/users/{self.name}/server")
        while self.find_session():
            time.sleep(LOOK_SECONDS)

    def run_cell(self, code: str) -> str:
        """What a cell prints in a new kernel of the session, which is ended afterwards.

        Raises:
            SmokeFailed: it raised, or no kernel answered in time.
        """
        session = self.find_session()
        server = urljoin(self._url, session.get("full_url") or session["url"])
        kernel = self._load("POST", server + "api/kernels", json={"name": "python3"})["id"]
        address = f"{server}api/kernels/{kernel}"
        try:
            return asyncio.run(asyncio.wait_for(self._execute(address, code), CELL_SECONDS))
        except TimeoutError as error:
            raise SmokeFailed(f"no kernel answered in {CELL_SECONDS:g} s") from error
        finally:
            self._ask("DELETE", address)

    async def _execute(self, address: str, code: str) -> str:
        # Source: https://jupyter-client.readthedocs.io/en/stable/messaging.html (5.4)
        url = address.replace("http", "ws", 1) + "/channels"
        socket = await websocket_connect(HTTPRequest(url, headers=self._authorization))
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "version": "5.4"}
        header |= {"session": uuid.uuid4().hex, "username": self.name}
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        message = {"channel": "shell", "header": header, "content": content}
        await socket.write_message(json.dumps(message | {"parent_header": {}, "metadata": {}}))
        printed = ""
        try:
            while answer := await socket.read_message():
                said = json.loads(answer)
                if said["parent_header"].get("msg_id") != number:
                    continue
                if said["msg_type"] == "error":
                    raise SmokeFailed(f"the cell raised {said['content']['ename']}")
                if said["msg_type"] == "stream":
                    printed += said["content"]["text"]
                if said["content"].get("execution_state") == "idle":
                    return printed
        finally:
            socket.close()
            # Until the other side has closed it, too.
            while await socket.read_message() is not None:
                pass
        raise SmokeFailed("the kernel's connection was cut")

    def submit(self, notebook: Mapping[str, Any], choice: Mapping[str, str]) -> str:
        """Submit a notebook as an offline job; its id.

        Args:
            notebook: of nbformat 4.
            choice: ``group``, ``image`` and ``class``.

        Raises:
            SmokeFailed: it was refused, in the service's words.
        """
        body = {
            **choice,
            "name": "smoke",
            "path": "smoke.ipynb",
            "notebook": notebook,
            "kernel": {"name": "python3", "source": "image"},
            "time_limit_seconds": 600,
        }
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return str(self._load("POST", self._jobs + "jobs", json=body, headers=key)["id"])

    def wait_for_job(self, job: str, seconds: float) -> dict[str, Any]:
        """The job once it has ended.

        Raises:
            SmokeFailed: it has not, for so long; it was cancelled.
        """
        deadline, last = time.monotonic() + seconds, ""
        while True:
            found: dict[str, Any] = self._load("GET", f"{self._jobs}jobs/{job}")
            if found["ended"]:
                return found
            if found["sentence"] != last:
                last = found["sentence"]
                self._say(f"  {last}")
            if time.monotonic() > deadline:
                self._ask("POST", f"{self._jobs}jobs/{job}/cancel")
                raise SmokeFailed(f"not ended after {seconds / 60:g} min ({last}); cancelled")
            time.sleep(LOOK_SECONDS)

    def read_result(self, job: str) -> dict[str, Any]:
        """The executed notebook."""
        notebook: dict[str, Any] = self._load("GET", f"{self._jobs}jobs/{job}/result")
        return notebook

    def forget_job(self, job: str) -> None:
        """Delete the job's record; its files stay in the home."""
        self._ask("DELETE", f"{self._jobs}jobs/{job}")

    def _ask(self, method: str, place: str, **words: Any) -> httpx.Response:
        try:
            return self._http.request(method, urljoin(self._url, place), **words)
        except httpx.HTTPError as error:
            raise SmokeFailed(f"{method} {place}: no answer ({error})") from error

    def _load(self, method: str, place: str, **words: Any) -> Any:
        answer = self._ask(method, place, **words)
        if answer.status_code in (401, 403):
            raise SmokeFailed(
                f"{method} {place}: the token may not do this ({answer.status_code}): make one on"
                " the hub's page Token, without narrower scopes"
            )
        if not answer.is_success:
            raise SmokeFailed(f"{method} {place} answered {answer.status_code}: {_word(answer)}")
        return answer.json() if answer.content else {}


def _read_events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """Server-sent events, the way the hub tells the progress of a start."""
    for line in answer.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line.removeprefix("data:"))


def _word(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
