"""Requests to the API server: objects are plain mappings, errors are ours.

Place in the path: ``volcano/backend.py`` creates, reads and deletes with it, ``watch.py`` lists and
watches. The official client signs the requests and renews the token of the pod's ServiceAccount;
its answers are read raw, for its models cost ten times the time. One client may be used by several
threads. The only module, beside ``watch.py``, that knows the library.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (v1.35)
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kubernetes import client as official
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config
from urllib3.exceptions import HTTPError

from offline_jobs.service.errors import (
    BackendError,
    ClusterAway,
    ClusterFull,
    ClusterRefused,
    StartRefused,
)

Object = dict[str, Any]

_CONFLICT = 409
_NOT_FOUND = 404
_FORBIDDEN = 403
#: The server is there, but not for us now: too many requests, an error, a webhook without answer.
_NOT_NOW = frozenset({429, 500, 502, 503, 504})
#: How a refusal for want of room in a ResourceQuota is worded; it has no word of its own.
_OVER_QUOTA = "exceeded quota"
_LISTED_AT_ONCE = 500
_CHUNK_BYTES = 2**16


@dataclass(frozen=True)
class Resource:
    """Where objects of a kind live: ``root`` is the API group's path."""

    root: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of one object, or of all."""
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{self.root}{inside}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


JOBS = Resource("/apis/batch.volcano.sh/v1alpha1", "jobs")
POD_GROUPS = Resource("/apis/scheduling.volcano.sh/v1beta1", "podgroups")
QUEUES = Resource("/apis/scheduling.volcano.sh/v1beta1", "queues", namespaced=False)
PODS = Resource("/api/v1", "pods")
EVENTS = Resource("/api/v1", "events")
NODE_CLAIMS = Resource("/apis/karpenter.sh/v1", "nodeclaims", namespaced=False)


class Stream:
    """The changes of a watch, as they come; :meth:`close` ends the wait for the next."""

    def __init__(self, response: Any, what: str) -> None:
        self._response = response
        self._what = what

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        """Pairs of ``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK`` or ``ERROR`` and the object.

        Ends when the server ends the watch.

        Raises:
            ClusterAway: the connection broke, or what came is no JSON.
        """
        try:
            for line in _split_lines(self._response.stream(_CHUNK_BYTES, decode_content=True)):
                change = json.loads(line)
                yield change["type"], change["object"]
        except (HTTPError, OSError, ValueError, KeyError, TypeError) as e:
            raise ClusterAway(f"the watch of {self._what} broke: {e}") from e

    def close(self) -> None:
        """End it, also while another thread waits for the next change."""
        try:
            self._response.shutdown()
        except (OSError, ValueError, RuntimeError):
            # It has ended already.
            self._response.close()

    def release(self) -> None:
        """Close the connection; only by the thread that reads."""
        self._response.close()


class Client:
    """Reads and writes objects of one cluster."""

    def __init__(self, configuration: official.Configuration, *, seconds: float = 20.0) -> None:
        """Use a configuration of the official client; give each request so many seconds."""
        # A lost answer is told, not asked for again behind the caller's back.
        configuration.retries = False
        self._api = official.ApiClient(configuration)
        self._seconds = seconds

    @classmethod
    def in_cluster(cls) -> "Client":
        """With the credentials of the pod's ServiceAccount.

        Raises:
            StartRefused: this is no pod, or it has none.
        """
        configuration = official.Configuration()
        try:
            load_incluster_config(  # type: ignore[no-untyped-call]
                client_configuration=configuration
            )
        except ConfigException as e:
            raise StartRefused(
                f"There are no credentials of a cluster here ({e}): run in a pod with a "
                "ServiceAccount's token, or set OFFLINE_JOBS_KUBECONFIG."
            ) from e
        return cls(configuration)

    @classmethod
    def from_kubeconfig(cls, path: Path) -> "Client":
        """With the credentials of a kubeconfig.

        Raises:
            StartRefused: it cannot be read, or holds none.
        """
        configuration = official.Configuration()
        try:
            load_kube_config(  # type: ignore[no-untyped-call]
                str(path), client_configuration=configuration
            )
        except (ConfigException, OSError) as e:
            raise StartRefused(
                f"OFFLINE_JOBS_KUBECONFIG names {path}, which gives no credentials: {e}"
            ) from e
        return cls(configuration)

    def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Object | None:
        """Create an object; ``None``: one of that name is there already.

        Raises:
            ClusterRefused: it may not or cannot be made.
            ClusterFull: there is no room in the namespace's quota.
            ClusterAway: nobody knows whether it was made.
        """
        try:
            return self._load("POST", resource.path(namespace), body=dict(body))
        except ClusterRefused as e:
            if e.status == _CONFLICT and e.word == "AlreadyExists":
                return None
            raise

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object of that name, or ``None``.

        Raises:
            ClusterRefused, ClusterAway: as always.
        """
        try:
            return self._load("GET", resource.path(namespace, name))
        except ClusterRefused as e:
            if e.status == _NOT_FOUND:
                return None
            raise

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> bool:
        """Delete that very object, and in the background what it owns; ``False``: it is not there.

        Raises:
            ClusterRefused, ClusterAway: as always.
        """
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        try:
            self._load("DELETE", resource.path(namespace, name), body=options)
        except ClusterRefused as e:
            # A conflict: by now another object has the name.
            if e.status in (_NOT_FOUND, _CONFLICT):
                return False
            raise
        return True

    def list(self, resource: Resource, namespace: str = "") -> tuple[list[Object], str]:
        """All objects as they are now, and the version from which a watch may go on.

        Raises:
            ClusterRefused: also status 410, when it took so long that the server forgot.
            ClusterAway: as always.
        """
        items: list[Object] = []
        query = {"limit": str(_LISTED_AT_ONCE)}
        while True:
            page = self._load("GET", resource.path(namespace), query=query)
            items += page["items"]
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return items, str(metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    def watch(self, resource: Resource, namespace: str, version: str, seconds: int) -> Stream:
        """Changes after a version; the server ends it after so many seconds.

        Raises:
            ClusterRefused: also status 410, when the server has forgotten that version.
            ClusterAway: as always.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        path = resource.path(namespace)
        # Nothing for longer than the whole watch means that the server is gone without a word.
        return Stream(self._request("GET", path, query=query, seconds=seconds + 15), path)

    def read_log(self, namespace: str, pod: str, *, most_bytes: int) -> bytes:
        """The first bytes of what a pod's only container wrote.

        Raises:
            ClusterRefused: also while the container has not started.
            ClusterAway: as always.
        """
        query = {"limitBytes": str(most_bytes)}
        response = self._request("GET", PODS.path(namespace, pod) + "/log", query=query)
        with _telling("the log"):
            data: bytes = response.data
        return data

    def close(self) -> None:
        """Close the connections that nobody reads from."""
        self._api.rest_client.pool_manager.clear()

    def _load(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Object:
        response = self._request(method, path, query=query, body=body)
        with _telling(f"{method} {path}"):
            loaded: Object = json.loads(response.data)
        return loaded

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = 0,
    ) -> Any:
        """The raw answer to a request, its body unread.

        Raises:
            ClusterRefused: the server said no.
            ClusterAway: it gave no answer, or says that it cannot now.
        """
        what = f"{method} {path}"
        with _telling(what):
            request = self._api.param_serialize(
                method=method,
                resource_path=path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": "application/json"},
                body=body,
                auth_settings=["BearerToken"],
            )
            answer = self._api.call_api(*request, _request_timeout=seconds or self._seconds)
            response = answer.response
            if response.status < 300:  # noqa: PLR2004  (HTTP: success)
                return response
            data = response.data
        raise _refusal(what, response.status, data)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Turn the libraries' errors into ours; the message never holds what was sent."""
    try:
        yield
    except (HTTPError, OSError, ValueError) as e:
        raise ClusterAway(f"{what}: {type(e).__name__}: {e}") from e
    except official.ApiException as e:
        # No answer: an error of TLS. Answers with an error are not raised.
        raise ClusterAway(f"{what}: {e.reason}") from e


def _refusal(what: str, status: int, data: bytes) -> BackendError:
    try:
        body = json.loads(data)
    except ValueError:
        body = {}
    told = body if isinstance(body, dict) else {}
    word, message = str(told.get("reason") or ""), str(told.get("message") or "")
    if status in _NOT_NOW:
        return ClusterAway(f"{what}: {status} {word}: {message}")
    if status == _FORBIDDEN and _OVER_QUOTA in message:
        return ClusterFull(f"{what}: {message}")
    return ClusterRefused(f"{what}: {status} {word}: {message}", status, word, message)


def _split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
