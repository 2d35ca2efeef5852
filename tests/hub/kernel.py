"""A kernel in a user's session, spoken to as JupyterLab does: through the proxy's web socket."""

import json
import uuid
from types import TracebackType
from typing import Any

import websocket

from tests.site import User


class Kernel:
    """A new kernel ``python3`` in the session of ``user``; closing it leaves the kernel running."""

    def __init__(self, user: User) -> None:
        user.client.get(f"/user/{user.name}/lab", follow_redirects=True)
        token = user.client.cookies.get("_xsrf", path=f"/user/{user.name}/") or ""
        made = user.client.post(
            f"/user/{user.name}/api/kernels",
            headers={"X-XSRFToken": token},
            json={"name": "python3"},
        )
        assert made.status_code == 201, made.text
        cookies = "; ".join(f"{each.name}={each.value}" for each in user.client.cookies.jar)
        address = str(user.client.base_url).replace("http", "ws", 1).rstrip("/")
        self._socket = websocket.create_connection(
            f"{address}/user/{user.name}/api/kernels/{made.json()['id']}/channels",
            cookie=cookies,
            timeout=60,
        )

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the web socket."""
        self._socket.close()

    def send(self, code: str) -> str:
        """Send code and go on; the message's id."""
        number = uuid.uuid4().hex
        header = {
            "msg_id": number,
            "msg_type": "execute_request",
            "username": "",
            "session": "test",
            "version": "5.3",
        }
        message: dict[str, Any] = {
            "channel": "shell",
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": {"code": code, "silent": False, "allow_stdin": False},
        }
        self._socket.send(json.dumps(message))
        return number

    def execute(self, code: str) -> str:
        """What the code printed; fails when it raised."""
        number = self.send(code)
        printed = ""
        while True:
            message = json.loads(self._socket.recv())
            if message["parent_header"].get("msg_id") != number:
                continue
            content = message["content"]
            assert message["msg_type"] != "error", content
            if message["msg_type"] == "stream":
                printed += content["text"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed
