"""A terminal of a session finds what the image has."""

from __future__ import annotations

import asyncio
import json
import os

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from .conftest import DEADLINE_SECONDS, TOKEN, StartJupyter, session_environment


async def type_into_terminal(url: str, name: str, line: str, end: str) -> str:
    """Type a line into a terminal; return what it shows until the end comes."""
    address = f"{url.replace('http', 'ws', 1)}terminals/websocket/{name}"
    request = HTTPRequest(address, headers={"Authorization": f"token {TOKEN}"})
    connection = await websocket_connect(request)
    await connection.write_message(json.dumps(["stdin", f"{line}\r"]))
    shown = ""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while end not in shown:
            kind, *text = json.loads(str(await connection.read_message()))
            shown += str(text[0]) if kind == "stdout" else ""
    connection.close()
    return shown


def test_a_terminal_has_the_search_path_of_the_session(start_jupyter: StartJupyter) -> None:
    path = f"/opt/image/bin:{os.environ['PATH']}"
    environment = session_environment("http://127.0.0.1:9/services/offline-jobs")
    jupyter = start_jupyter({**environment, "PATH": path, "SHELL": "/bin/bash"})
    name = jupyter.request("POST", "api/terminals").json()["name"]
    line = 'echo "[$PATH] the"" end"'
    assert f"[{path}] the end" in asyncio.run(
        type_into_terminal(jupyter.url, name, line, "] the end")
    )
