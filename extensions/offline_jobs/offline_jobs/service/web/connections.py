"""Connections that wait neither for ever nor for nothing: uvicorn bounds no request's head in time.

``app.py`` gives this protocol to both servers. A body's time is bounded in ``limits.py``, an idle
connection's by uvicorn itself.
"""

import asyncio
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0


class Connection(H11Protocol):
    """Ends when the head of a request took too long to arrive; sends at once what is to be sent."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        # An answer's head and body are two packets, and without this the second one waits until the
        # first is acknowledged: 40 ms. asyncio does it for sockets that were made otherwise.
        bound: socket.socket = transport.get_extra_info("socket")
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; go on waiting if it was only a part of a head."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._due is None:
            self._due = self.loop.call_later(HEAD_SECONDS, self._end)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end(self) -> None:
        self._due = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
