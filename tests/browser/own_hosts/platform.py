"""A platform behind TLS with a host for each user: ``https://ada.hub.localhost:PORT``.

Browsers take all names below ``localhost`` for this machine; what Python asks goes to the address.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.bed.pki import Authority
from tests.platform_fixture import Platform
from tests.ports import find_free_port

_PIECE = 64 * 1024


class OwnHosts(Platform):
    """The platform; ``address`` is the hub's."""

    address: str = ""


@contextmanager
def running_own_hosts(folder: Path) -> Iterator[OwnHosts]:
    """Run one, with its state below a folder, and what ends TLS before it."""
    port = find_free_port()
    address = f"https://hub.localhost:{port}"
    platform = OwnHosts(
        state=folder / "state",
        module="tests.browser.own_hosts",
        environment={"ADDRESS": address},
    )
    platform.address = address
    with _ending_tls(folder, port, platform.port), platform.running():
        yield platform


@contextmanager
def _ending_tls(folder: Path, port: int, plain: int) -> Iterator[None]:
    """Take TLS connections, as an Ingress does, and pass on what is in them."""
    certificate, key = Authority(folder / "pki").issue_server(
        "hub", "hub.localhost", ["hub.localhost", "*.hub.localhost"]
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    started = threading.Event()

    async def serve() -> None:
        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", plain)
                await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

        server = await asyncio.start_server(pass_on, "127.0.0.1", port, ssl=context)
        started.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
