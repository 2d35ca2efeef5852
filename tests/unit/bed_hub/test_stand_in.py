"""The stand-in for the hub's chart: its values and objects, and the port into the bed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from hub_config.settings import Cluster
from hub_config.values import parse_values
from tests.bed.hub import forward, stand_in
from tests.bed.installation import RANDOM_KEYS, read_hub_values
from tests.bed.overlay import load_catalogue
from tests.bed.pki import Authority
from tests.bed.processes import Daemons
from tests.ports import find_free_port

URL = "http://127.0.0.1:8000"


def test_the_hub_reads_what_its_chart_would_get(tmp_path: Path) -> None:
    settings = parse_values(
        read_hub_values(tmp_path, URL),
        secrets=dict.fromkeys(RANDOM_KEYS, "ab" * 32),
        namespace="jupyterhub",
    )

    assert settings.catalogue == load_catalogue(real=True)
    assert settings.demonstration_host == "127.0.0.1"
    assert settings.sessions == Cluster("jupyterhub", 1200, "IfNotPresent")


def test_a_port_leads_to_the_other_side_and_says_when_nobody_is_there() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def ask(port: int) -> bytes:
        reader, writer = await asyncio.open_connection(forward.LOOPBACK, port)
        writer.write(b"hello\n")
        said = await reader.read()
        writer.close()
        return said

    async def run() -> tuple[bytes, bytes]:
        behind = await asyncio.start_server(answer, forward.LOOPBACK, 0)
        target = behind.sockets[0].getsockname()[1]
        port = find_free_port()
        serving = asyncio.create_task(forward.serve(port, forward.LOOPBACK, target))
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                first = await ask(port)
                break
            await asyncio.sleep(0.01)
        behind.close()
        await behind.wait_closed()
        second = await ask(port)
        serving.cancel()
        return first, second

    assert asyncio.run(asyncio.wait_for(run(), 20)) == (b"HELLO\n", b"")


def test_browsers_speak_tls_to_it_where_it_has_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(*authority.issue_server("forward", "forward", ["localhost"]))
    trusted = ssl.create_default_context(cafile=str(authority.certificate_file))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    async def run() -> bytes:
        behind = await asyncio.start_server(answer, forward.LOOPBACK, 0)
        target = behind.sockets[0].getsockname()[1]
        port = find_free_port()
        serving = asyncio.create_task(forward.serve(port, forward.LOOPBACK, target, served))
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                reader, writer = await asyncio.open_connection("localhost", port, ssl=trusted)
                break
            await asyncio.sleep(0.01)
        writer.write(b"hello\n")
        said = await reader.read()
        writer.close()
        serving.cancel()
        behind.close()
        return said

    assert asyncio.run(asyncio.wait_for(run(), 20)) == b"HELLO\n"


def test_a_port_that_somebody_else_has_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server((forward.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(stand_in.PortTaken, match="make bed-hub PORT="):
            stand_in.choose_port(Daemons(tmp_path), port)
