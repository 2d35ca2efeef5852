"""Puts the service together: store, backend, reconciler and the two applications.

Called by ``__main__.py`` alone, with what ``ground.py`` holds. One process, one event loop, a
server for each side: the public port behind the hub's proxy, the runners', and Prometheus'.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

import uvicorn
from fastapi import FastAPI

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Machine
from hub_config.platform.processes import measure
from offline_jobs.service.access import Access
from offline_jobs.service.backends.backend import Backend
from offline_jobs.service.backends.local.backend import LocalBackend
from offline_jobs.service.changes import Changes
from offline_jobs.service.errors import StartRefused, Unavailable
from offline_jobs.service.ground import Ground
from offline_jobs.service.housekeeping import Housekeeping
from offline_jobs.service.hub import Hub
from offline_jobs.service.intake import Intake
from offline_jobs.service.object_store import FolderStore, ObjectStore, result_key
from offline_jobs.service.publishing import Publishing
from offline_jobs.service.pulse import Pulse
from offline_jobs.service.reconciler import Reconciler
from offline_jobs.service.rules.kept import count_finished
from offline_jobs.service.rules.steps import Patience
from offline_jobs.service.settings import Settings, parse_waits
from offline_jobs.service.store.opening import keep_store, open_store
from offline_jobs.service.store.store import Store
from offline_jobs.service.tokens import Tokens
from offline_jobs.service.web.applications import build_public_app, build_runs_app
from offline_jobs.service.web.connections import Connection
from offline_jobs.service.web.identity import HubIdentity, TokenOwners
from offline_jobs.service.web.login import Sessions
from offline_jobs.service.web.measures import Measures, build_metrics_app
from offline_jobs.service.web.rooms import Addresses, Rooms

log = logging.getLogger(__name__)

_LONGEST_HEADERS = 32 * 1024
_CLOSING_SECONDS = 3
_ENDING_SECONDS = 15.0


class _Server(uvicorn.Server):
    """A server that leaves the process' signals to ``__main__.py``."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield


async def serve(settings: Settings, ground: Ground, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set.

    Raises:
        StartRefused: something that the administrator has to mend, in one line.
    """
    catalogue = ground.catalogue
    with ExitStack() as stack:
        changes = Changes()
        store = Store(ground.database_url or f"sqlite:///{settings.state / 'jobs.sqlite'}", changes)
        stack.callback(store.close)
        if not await open_store(store, stop):
            return
        objects = _open_objects(settings, stack)
        tokens = Tokens(ground.run_token_key.encode())
        hub, sessions = Hub(settings.hub_api_url, ground.hub_token), Sessions()
        backend, measure = _build_backend(settings, catalogue)
        stack.callback(backend.close)
        publishing, pulse = Publishing(), Pulse(settings.stuck_seconds)
        host, port = ground.runs.getsockname()[:2]
        reconciler = Reconciler(
            store,
            backend,
            tokens,
            catalogue,
            internal_url=settings.internal_url or f"http://{host}:{port}",
            changes=changes,
            find_groups=hub.fetch_groups,
            count_kept=partial(count_kept, objects),
            publishing=publishing,
            pulse=pulse,
            patience=build_patience(settings),
        )
        backend.start(reconciler.wake)
        rooms = Rooms(
            store=store,
            objects=objects,
            tokens=tokens,
            changes=changes,
            catalogue=catalogue,
            intake=Intake(store, catalogue, measure, settings.open_jobs_per_user, reconciler.wake),
            access=Access(store, catalogue),
            publishing=publishing,
            pulse=pulse,
            addresses=Addresses(settings.base_path, settings.hub_public_url, settings.public_url),
            wake=reconciler.wake,
            slots=backend.slots,
        )
        public = build_public_app(
            rooms, HubIdentity(TokenOwners(hub), sessions), sessions=sessions, hub=hub
        )
        housekeeping = Housekeeping(store, backend, objects, changes)
        loops = [
            asyncio.create_task(reconciler.run(), name="reconciler"),
            asyncio.create_task(housekeeping.run(), name="housekeeping"),
        ]
        if ground.database_url:
            loops.append(asyncio.create_task(keep_store(store), name="keeping"))
        servers = {
            "public": (build_server(public), ground.public),
            "runs": (build_server(build_runs_app(rooms)), ground.runs),
        }
        if ground.metrics is not None:
            app = build_metrics_app(_build_measures(settings, catalogue, store, backend))
            servers["metrics"] = (build_server(app), ground.metrics)
        try:
            await _run(servers, loops, stop, settings, reconciler, public)
        finally:
            public.state.reader.close()
            await hub.close()


def build_patience(settings: Settings) -> Patience:
    """How long what is waited for."""
    waits = parse_waits(settings.longest_waits)
    return Patience(
        cancel_seconds=settings.cancel_patience_seconds,
        stop_seconds=settings.cancel_patience_seconds,
        **{f"{name}_seconds": seconds for name, seconds in waits.items()},
    )


def _open_objects(settings: Settings, stack: ExitStack) -> ObjectStore:
    """The bucket, where there is one, or a folder of the state.

    Raises:
        StartRefused: the bucket cannot be used, and no wait mends that.
    """
    if not settings.objects:
        return FolderStore(settings.state / "objects")
    # Imported here: a folder needs no client of S3, whose import takes long.
    from offline_jobs.service.bucket import BucketStore  # noqa: PLC0415

    bucket = BucketStore(
        settings.objects,
        endpoint_url=settings.objects_endpoint,
        region=settings.objects_region,
    )
    stack.callback(bucket.close)
    bucket.check()
    return bucket


def _build_measures(
    settings: Settings, catalogue: Catalogue, store: Store, backend: Backend
) -> Measures:
    longest = max((each.longest_session_seconds for each in catalogue.classes.values()), default=0)
    with contextlib.suppress(Unavailable):
        store.census.begin()
    return Measures(store.census, backend.watches, settings.backend, timedelta(seconds=longest))


def count_kept(objects: ObjectStore, job: str, attempt: int) -> int:
    """How many cells are finished in the notebook that is kept of an attempt; 0 without one."""
    notebook = objects.open(result_key(job, attempt))
    if notebook is None:
        return 0
    with notebook:
        return count_finished(notebook.read())


async def _run(
    servers: Mapping[str, tuple[uvicorn.Server, socket.socket]],
    loops: list[asyncio.Task[None]],
    stop: asyncio.Event,
    settings: Settings,
    reconciler: Reconciler,
    public: FastAPI,
) -> None:
    """Run all until told to stop, or until one of them ends by itself."""
    serving = [asyncio.create_task(server.serve(sockets=[s])) for server, s in servers.values()]
    stopping = asyncio.create_task(stop.wait())
    for name, (_, bound) in servers.items():
        log.info("serving", extra={"port": bound.getsockname()[1], "side": name})
    done, _ = await asyncio.wait({*serving, *loops, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    public.state.streams.closing.set()
    if settings.end_jobs_on_term and stop.is_set():
        # While the runner's side still answers, so that jobs can say how they ended.
        await reconciler.end_jobs(_ENDING_SECONDS)
    for server, _ in servers.values():
        server.should_exit = True
    await asyncio.gather(*serving)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    for task in done - {stopping}:
        task.result()


def build_server(app: FastAPI) -> uvicorn.Server:
    """The server of an application, as both ports have it."""
    return _Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_CLOSING_SECONDS,
            h11_max_incomplete_event_size=_LONGEST_HEADERS,
        )
    )


def _build_backend(
    settings: Settings, catalogue: Catalogue
) -> tuple[Backend, Callable[[], Machine | None]]:
    """What runs jobs, and what the machine can give that they run on, where it is only one.

    The only place of the service that asks in which world it is.
    """
    match settings.backend:
        case "local":
            backend = _build_local_backend(settings, catalogue)
            return backend, lambda: _measure_machine(settings, catalogue)
        case "volcano":
            return _build_volcano_backend(settings, catalogue), lambda: None


def _build_volcano_backend(settings: Settings, catalogue: Catalogue) -> Backend:
    # Imported here: one machine needs no client of a cluster, whose import takes seconds.
    from offline_jobs.service.backends.kubernetes.client import Client  # noqa: PLC0415
    from offline_jobs.service.backends.volcano.backend import VolcanoBackend  # noqa: PLC0415

    if settings.kubeconfig:
        client = Client.from_kubeconfig(settings.kubeconfig)
    else:
        client = Client.in_cluster()
    pools = catalogue.node_pools
    return VolcanoBackend(
        client,
        settings.kubernetes_namespace,
        {each.slug: pools[each.job.node_pool] for each in catalogue.classes.values()},
    )


def _build_local_backend(settings: Settings, catalogue: Catalogue) -> LocalBackend:
    state, environments = settings.local_state, settings.local_environments
    if state is None or environments is None:
        raise StartRefused(
            "The local backend needs OFFLINE_JOBS_LOCAL_STATE and OFFLINE_JOBS_LOCAL_ENVIRONMENTS."
        )
    return LocalBackend(
        slots=settings.local_slots,
        state=state,
        environments=environments,
        machine=_measure_machine(settings, catalogue),
        patience_seconds=settings.local_patience_seconds,
    )


def _measure_machine(settings: Settings, catalogue: Catalogue) -> Machine:
    """What this machine can give; an image's environment may come while we run."""
    return measure(
        catalogue,
        settings.local_environments,
        cores=settings.local_cores,
        memory_bytes=settings.local_memory_bytes,
        gpus=settings.local_gpus,
    )
