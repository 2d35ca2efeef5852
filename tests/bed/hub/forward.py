"""``python -m tests.bed.hub.forward PORT ADDRESS:PORT``: a port of loopback leads into the bed.

A stand-in for an Ingress. The demonstration login answers on loopback only, and a Service's address
is none. Bytes go to and fro unseen; when the other side is away the connection is closed. With a
certificate and its key as further words, browsers speak TLS to it. Started by
:mod:`tests.bed.hub.stand_in` as one of the bed's daemons.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import suppress

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024


async def serve(port: int, host: str, target: int, tls: ssl.SSLContext | None = None) -> None:
    """Forward connections until the process ends."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(host, target)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        writer.close()

    server = await asyncio.start_server(forward, LOOPBACK, port, ssl=tls)
    async with server:
        await server.serve_forever()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(_CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    with suppress(OSError):
        sink.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    host, _, target = words[1].rpartition(":")
    context = None
    if words[2:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*words[2:])
    asyncio.run(serve(int(words[0]), host, int(target), context))
