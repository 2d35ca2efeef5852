"""A proxy between a client and the API server that does what networks and servers do at bad times.

It speaks plain HTTP (or TLS with a key of the bed) towards the client and TLS towards the server,
with the credentials of a kubeconfig; :attr:`FaultProxy.kubeconfig` leads a client through it.
Without a fault it hands everything on as it comes, watches too. It knows no `exec` and no
`port-forward`.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from kubernetes.client import Configuration
from kubernetes.config import load_kube_config

T = TypeVar("T")

#: Headers that concern one connection, not the request.
HOP_BY_HOP = frozenset({"connection", "host", "keep-alive", "transfer-encoding", "upgrade"})
REASONS = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}


class Action(StrEnum):
    """What a fault does to a request."""

    DELAY = "delay"
    CUT = "cut"
    DROP_REPLY = "drop-reply"
    BLACK_HOLE = "black-hole"
    ANSWER = "answer"


@dataclass(eq=False)
class Fault:
    """One fault, until it has happened `times` times or is lifted."""

    action: Action
    methods: frozenset[str]
    path: re.Pattern[str]
    times: int | None = None
    seconds: float = 0.0
    after_bytes: int = 0
    status: int = 500
    retry_after: int | None = None
    hits: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self, method: str, path: str) -> bool:
        """Tell whether the fault concerns a request."""
        is_over = self.over.is_set() or (self.times is not None and self.hits >= self.times)
        is_meant = not self.methods or method in self.methods
        return not is_over and is_meant and self.path.search(path) is not None


@dataclass(eq=False)
class Exchange:
    """A request that passed through: `path` with the query, `status` once the server answered.

    ``open`` while bytes may still flow.
    """

    method: str
    path: str
    transport: asyncio.BaseTransport | None
    status: int | None = None
    fault: Action | None = None
    open: bool = True
    held_by: Fault | None = None

    def cut(self) -> None:
        """Break the client's connection, whatever was said so far."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class FaultProxy:
    """The proxy; a context manager that runs it in a thread of its own.

    Each method that begins a fault takes `method` (a word or several with commas; empty: all),
    `path` (a regular expression found in path and query) and `times` (None: until it is lifted),
    and returns the :class:`Fault`, whose `hits` can be looked at and which :meth:`lift` ends.
    `under_way` also strikes exchanges that have begun, such as watches.
    """

    def __init__(
        self, kubeconfig: Path, folder: Path, *, keys: tuple[Path, Path, Path] | None = None
    ) -> None:
        """Lead to the server of `kubeconfig` as its user; write the clients' one into `folder`.

        Args:
            kubeconfig: server and user.
            folder: gets `faults.kubeconfig`.
            keys: certificate, key and authority, for TLS towards the client.
        """
        self._configuration = Configuration()
        load_kube_config(  # type: ignore[no-untyped-call]
            str(kubeconfig), client_configuration=self._configuration
        )
        self._folder = folder
        self._keys = keys
        self._faults: list[Fault] = []
        self._exchanges: list[Exchange] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._call(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig that leads through the proxy; it holds no secret."""
        cluster = {"server": self.url}
        if self._keys:
            cluster["certificate-authority"] = str(self._keys[2])
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "faults", "cluster": cluster}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "nobody"}}],
            "current-context": "faults",
        }
        path = self._folder / "faults.kubeconfig"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    @property
    def exchanges(self) -> list[Exchange]:
        """All requests so far, oldest first."""
        return list(self._exchanges)

    def delay(
        self, seconds: float, *, method: str = "", path: str = "", times: int | None = None
    ) -> Fault:
        """Hand requests on so much later."""
        return self._begin(Action.DELAY, method, path, times, seconds=seconds)

    def cut(
        self,
        *,
        method: str = "",
        path: str = "",
        times: int | None = None,
        after_bytes: int = 0,
        under_way: bool = False,
    ) -> Fault:
        """Break the connection after so many bytes of the answer's body, at the earliest."""
        return self._begin(
            Action.CUT, method, path, times, after_bytes=after_bytes, under_way=under_way
        )

    def drop_reply(self, *, method: str = "", path: str = "", times: int | None = None) -> Fault:
        """Let the server do what was asked, and break the connection instead of its answer."""
        return self._begin(Action.DROP_REPLY, method, path, times)

    def black_hole(
        self,
        *,
        method: str = "",
        path: str = "",
        times: int | None = None,
        under_way: bool = False,
    ) -> Fault:
        """Let nothing through, without a word; once lifted, what was held goes on its way."""
        return self._begin(Action.BLACK_HOLE, method, path, times, under_way=under_way)

    def answer(
        self,
        status: int,
        *,
        method: str = "",
        path: str = "",
        times: int | None = None,
        retry_after: int | None = None,
    ) -> Fault:
        """Answer in the server's stead, with that status and perhaps `Retry-After` in seconds."""
        return self._begin(
            Action.ANSWER, method, path, times, status=status, retry_after=retry_after
        )

    def lift(self, fault: Fault | None = None) -> None:
        """End a fault, or all of them."""
        self._call(self._lift([fault] if fault else self._faults))

    def _begin(
        self,
        action: Action,
        method: str,
        path: str,
        times: int | None,
        *,
        under_way: bool = False,
        **details: Any,
    ) -> Fault:
        methods = frozenset(word.strip().upper() for word in method.split(",") if word.strip())
        fault = Fault(action, methods, re.compile(path), times, **details)
        self._call(self._add(fault, under_way=under_way))
        return fault

    async def _add(self, fault: Fault, *, under_way: bool) -> None:
        self._faults.append(fault)
        for exchange in self._exchanges if under_way else ():
            if exchange.open and fault.takes(exchange.method, exchange.path):
                fault.hits += 1
                exchange.fault = fault.action
                if fault.action is Action.CUT:
                    exchange.cut()
                else:
                    exchange.held_by = fault

    async def _lift(self, faults: Iterable[Fault]) -> None:
        for fault in list(faults):
            fault.over.set()
            self._faults.remove(fault)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _start(self) -> str:
        configuration = self._configuration
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        # Answers are handed on as they are, compressed or not.
        self._session = ClientSession(
            connector=TCPConnector(ssl=context, limit=0),
            timeout=ClientTimeout(total=None),
            auto_decompress=False,
        )
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        own = None
        if self._keys:
            own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            own.load_cert_chain(*self._keys[:2])
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=own).start()
        host, port = self._runner.addresses[0][:2]
        return f"{'https' if own else 'http'}://{host}:{port}"

    async def _stop(self) -> None:
        await self._lift(self._faults)
        # A watch would keep the proxy from ending.
        for exchange in self._exchanges:
            if exchange.open:
                exchange.cut()
        await self._runner.cleanup()
        await self._session.close()
        # TLS connections close in the loop's next rounds.
        await asyncio.sleep(0.05)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        exchange = Exchange(request.method, request.path_qs, request.transport)
        self._exchanges.append(exchange)
        fault = next((f for f in self._faults if f.takes(exchange.method, exchange.path)), None)
        if fault:
            fault.hits += 1
            exchange.fault = fault.action
        try:
            return await self._pass_on(request, exchange, fault)
        except (ClientError, ConnectionError):
            # One side went away; the other shall notice.
            exchange.cut()
            return web.Response(status=502)
        finally:
            exchange.open = False

    async def _pass_on(
        self, request: web.BaseRequest, exchange: Exchange, fault: Fault | None
    ) -> web.StreamResponse:
        body = await request.read()
        if fault and fault.action is Action.ANSWER:
            exchange.status = fault.status
            return _build_answer(fault)
        if fault and fault.action is Action.DELAY:
            with suppress(TimeoutError):
                await asyncio.wait_for(fault.over.wait(), fault.seconds)
        if fault and fault.action is Action.BLACK_HOLE:
            await fault.over.wait()
        async with self._session.request(
            request.method,
            f"{self._configuration.host}{request.raw_path}",
            headers=self._build_headers(request),
            data=body or None,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        ) as answer:
            exchange.status = answer.status
            if fault and fault.action is Action.DROP_REPLY:
                await answer.read()
                raise ConnectionResetError("the reply is dropped")
            left = fault.after_bytes if fault and fault.action is Action.CUT else None
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            return await _relay(request, exchange, answer.content.iter_any(), response, left)

    def _build_headers(self, request: web.BaseRequest) -> list[tuple[str, str]]:
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in {*HOP_BY_HOP, "authorization", "content-length"}
        ]
        token = self._configuration.get_api_key_with_prefix("authorization")
        return [*headers, ("Authorization", token)] if token else headers


async def _relay(
    request: web.BaseRequest,
    exchange: Exchange,
    chunks: AsyncIterator[bytes],
    response: web.StreamResponse,
    left: int | None,
) -> web.StreamResponse:
    """Hand an answer on as it comes; break the connection after `left` bytes of its body."""
    # At once: a watch's headers go out before anything happens.
    await response.prepare(request)
    if left == 0:
        raise ConnectionResetError("the answer is cut")
    async for chunk in chunks:
        if exchange.held_by:
            await exchange.held_by.over.wait()
        await response.write(chunk[:left])
        if left is not None:
            left -= len(chunk)
            if left <= 0:
                # What was written has to leave before the connection breaks.
                await asyncio.sleep(0.05)
                raise ConnectionResetError("the answer is cut")
    await response.write_eof()
    return response


def _build_answer(fault: Fault) -> web.Response:
    """An error as the API server words it."""
    details: dict[str, Any] = {}
    headers = {}
    if fault.retry_after is not None:
        details = {"details": {"retryAfterSeconds": fault.retry_after}}
        headers["Retry-After"] = str(fault.retry_after)
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"the fault proxy answers {fault.status}",
        "reason": REASONS.get(fault.status, ""),
        "code": fault.status,
        **details,
    }
    return web.json_response(body, status=fault.status, headers=headers)
