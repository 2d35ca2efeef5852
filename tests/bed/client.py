"""A thin client of the Kubernetes API: objects are plain mappings, waiting has a deadline.

It sends with the official client (which reads the kubeconfig, and speaks TLS) but builds paths from
the API's own lists of resources, so that custom resources work the moment their definitions do.
Used by the bed itself while it starts, by its fixtures and by the tests.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/ (v1.35)
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import yaml
from kubernetes import client as official
from kubernetes.config import load_kube_config
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError
from urllib3.exceptions import HTTPError

from tests.pauses import grow_pauses

Object = dict[str, Any]
Objects = list[Object]
Texts = list[str]
T = TypeVar("T")

MANAGER = "notebook-hpc-bed"
#: Requests that :meth:`Client.apply_all` sends at a time.
PARALLEL = 8


class Kind(NamedTuple):
    """What an object is; methods take it in two words: ``client.get(*JOB, name, namespace)``."""

    api_version: str
    kind: str


NAMESPACE = Kind("v1", "Namespace")
NODE = Kind("v1", "Node")
POD = Kind("v1", "Pod")
EVENT = Kind("v1", "Event")
SERVICE = Kind("v1", "Service")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount")
CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
JOB = Kind("batch.volcano.sh/v1alpha1", "Job")
COMMAND = Kind("bus.volcano.sh/v1alpha1", "Command")
POD_GROUP = Kind("scheduling.volcano.sh/v1beta1", "PodGroup")
QUEUE = Kind("scheduling.volcano.sh/v1beta1", "Queue")
NODE_POOL = Kind("karpenter.sh/v1", "NodePool")
NODE_CLAIM = Kind("karpenter.sh/v1", "NodeClaim")


class ApiError(Exception):
    """The API server answered with an error.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' word for it, such as ``AlreadyExists``; empty where it gave none.
        message: the sentence that came with it.
        body: the whole answer, a ``Status`` as a rule.
    """

    def __init__(self, status: int, reason: str, message: str, body: Object) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.body = status, reason, message, body


class NoAnswer(Exception):
    """The request got no answer, or only a part of one."""


class TooLate(AssertionError):
    """What was waited for did not come about; the message says what was seen last."""


class _Resource(NamedTuple):
    """Where objects of a kind live."""

    root: str
    plural: str
    namespaced: bool


class Client:
    """Reads and writes objects of one cluster, as one user."""

    def __init__(self, kubeconfig: Path, *, seconds: float = 30.0, user: str = "") -> None:
        """Take the user and the server of a kubeconfig; give each request so many seconds.

        ``user`` is whom to impersonate; a service account's groups come with it.
        """
        configuration = official.Configuration()
        load_kube_config(  # type: ignore[no-untyped-call]
            str(kubeconfig), client_configuration=configuration
        )
        # A lost answer is told, not asked for again behind the caller's back.
        configuration.retries = False
        self._api = official.ApiClient(configuration)
        if user:
            self._api.default_headers["Impersonate-User"] = user
        self._sender = DynamicClient(  # type: ignore[no-untyped-call]
            self._api, discoverer=lambda *_: None
        )
        self._seconds = seconds
        self._resources: dict[Kind, _Resource] = {}

    def create(self, body: Mapping[str, Any], namespace: str = "") -> Object:
        """Create an object; the namespace may stand in it."""
        namespace = namespace or body["metadata"].get("namespace", "")
        return self._load("POST", self._path(kind_of(body), namespace), body)

    def apply(self, body: Mapping[str, Any], namespace: str = "") -> Object:
        """Apply one object server-side."""
        (applied,) = self.apply_all([body], namespace)
        return applied

    def apply_all(self, bodies: Iterable[Mapping[str, Any]], namespace: str = "") -> list[Object]:
        """Apply objects server-side, several at a time, so none may need another.

        Fields that somebody else set are taken over.
        """
        todo = list(bodies)
        # Once here, not once in each thread.
        for kind in {kind_of(body) for body in todo}:
            self._find_resource(kind)
        with ThreadPoolExecutor(PARALLEL) as threads:
            return list(threads.map(lambda body: self._apply(body, namespace), todo))

    def try_apply_all(self, bodies: Iterable[Mapping[str, Any]], namespace: str = "") -> bool:
        """Apply objects; False where the server or a webhook is not ready for them yet."""
        try:
            self.apply_all(bodies, namespace)
        except (ApiError, NoAnswer) as error:
            # A webhook that does not answer is a 500 here; a refusal is none.
            if isinstance(error, ApiError) and error.status not in {429, 500, 503}:
                raise
            return False
        return True

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        """The object of that name; ApiError 404 if there is none."""
        return self._load("GET", self._path(Kind(api_version, kind), namespace, name))

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object of that name, or None."""
        try:
            return self.get(api_version, kind, name, namespace)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
    ) -> list[Object]:
        """All objects of a kind, in one namespace or in all, that match the selectors."""
        query = {"label_selector": labels or None, "field_selector": fields or None}
        found = self._load("GET", self._path(Kind(api_version, kind), namespace), **query)
        items: list[Object] = found["items"]
        # In lists the server leaves out what all items have in common.
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        changes: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        namespace: str = "",
        *,
        subresource: str = "",
    ) -> Object:
        """Merge changes into an object (None removes a key); a list is a JSON patch."""
        path = self._path(Kind(api_version, kind), namespace, name)
        path += f"/{subresource}" if subresource else ""
        form = "merge-patch" if isinstance(changes, Mapping) else "json-patch"
        return self._load("PATCH", path, changes, content_type=f"application/{form}+json")

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str = "",
        *,
        grace_seconds: int | None = None,
    ) -> bool:
        """Delete an object and, later, what it owns; False if it was gone already."""
        path = self._path(Kind(api_version, kind), namespace, name)
        query = {"propagation_policy": "Background", "grace_period_seconds": grace_seconds}
        try:
            self._load("DELETE", path, **query)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    def delete_all(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete all objects of a kind, in one namespace or cluster-wide."""
        query = {"propagation_policy": "Background", "grace_period_seconds": grace_seconds}
        self._load("DELETE", self._path(Kind(api_version, kind), namespace), **query)

    def evict(self, namespace: str, pod: str) -> None:
        """Ask for a pod's eviction, as a drain does."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        self._load("POST", self._path(POD, namespace, pod) + "/eviction", body)

    def list_events(self, namespace: str) -> Objects:
        """Events of a namespace, oldest first."""
        return sorted(self.list(*EVENT, namespace), key=_when)

    def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str = "",
        *,
        since: str = "0",
        seconds: int = 60,
        labels: str = "",
    ) -> Iterator[tuple[str, Object]]:
        """Changes as they come, as pairs of ``ADDED``, ``MODIFIED`` or ``DELETED`` and the object.

        Args:
            api_version: of the objects.
            kind: of the objects.
            namespace: empty for all.
            since: resource version after which changes count; by default what is there comes first.
            seconds: after which the server ends the watch.
            labels: selector.

        Raises:
            NoAnswer: the connection broke.
        """
        query = [("watch", "true"), ("timeoutSeconds", str(seconds)), ("resourceVersion", since)]
        if labels:
            query.append(("labelSelector", labels))
        path = self._path(Kind(api_version, kind), namespace)
        response = self._request("GET", path, query_params=query, _request_timeout=seconds + 30)
        try:
            for line in _split_lines(response.stream(2**16, decode_content=True)):
                change = json.loads(line)
                yield change["type"], change["object"]
        except HTTPError as error:
            raise NoAnswer(f"watch of {path}: {error}") from error
        finally:
            response.close()

    def read_log(self, namespace: str, pod: str, container: str = "") -> str:
        """What a container wrote."""
        query = [("container", container)] if container else []
        return self.read(self._path(POD, namespace, pod) + "/log", query)

    def read(self, path: str, query: Sequence[tuple[str, str]] = ()) -> str:
        """The text at a path of the API server, such as ``/readyz``."""
        return self._send("GET", path, query_params=list(query)).decode(errors="replace")

    def is_ready(self) -> bool:
        """Tell whether the API server answers, and says that it is ready."""
        try:
            return self.read("/readyz") == "ok"
        except (ApiError, NoAnswer):
            return False

    def wait_for_crds(self, seconds: float = 60.0) -> None:
        """Wait until the server serves all custom resources that were defined."""
        # Once: they are megabytes. What is served is established, too.
        definitions = wait("the definitions", lambda: self.list(*CRD), seconds, until=_is_answer)

        def find_missing() -> Texts:
            with ThreadPoolExecutor(PARALLEL) as threads:
                reasons = list(threads.map(self._serves, definitions))
            late = zip(definitions, reasons, strict=True)
            definitions[:] = [each for each, reason in late if reason]
            return [reason for reason in reasons if reason]

        wait("all custom resources", find_missing, seconds, until=lambda missing: not missing)

    def _serves(self, definition: Mapping[str, Any]) -> str | None:
        """Why a kind cannot be listed yet; None when it can."""
        spec = definition["spec"]
        version = next(each["name"] for each in spec["versions"] if each["storage"])
        try:
            self._load("GET", f"/apis/{spec['group']}/{version}/{spec['names']['plural']}?limit=1")
        except ApiError as error:
            # 429 "storage is (re)initializing", or 404 for a moment.
            return f"{definition['metadata']['name']}: {error}"
        return None

    def close(self) -> None:
        """Close the connections."""
        self._api.rest_client.pool_manager.clear()

    def _apply(self, body: Mapping[str, Any], namespace: str) -> Object:
        metadata = body["metadata"]
        path = self._path(
            kind_of(body), namespace or metadata.get("namespace", ""), metadata["name"]
        )
        return self._load(
            "PATCH",
            path,
            body,
            content_type="application/apply-patch+yaml",
            field_manager=MANAGER,
            force_conflicts=True,
        )

    def _path(self, kind: Kind, namespace: str = "", name: str = "") -> str:
        resource = self._find_resource(kind)
        inside = f"/namespaces/{quote(namespace)}" if namespace and resource.namespaced else ""
        return f"{resource.root}{inside}/{resource.plural}" + (f"/{quote(name)}" if name else "")

    def _find_resource(self, kind: Kind) -> _Resource:
        if kind not in self._resources:
            root = f"/apis/{kind.api_version}" if "/" in kind.api_version else "/api/v1"
            for each in self._load("GET", root)["resources"]:
                # Subresources are listed too, with a slash.
                if "/" not in each["name"]:
                    known = Kind(kind.api_version, each["kind"])
                    self._resources[known] = _Resource(root, each["name"], each["namespaced"])
        if kind not in self._resources:
            raise LookupError(f"the server serves no {kind.kind} of {kind.api_version}")
        return self._resources[kind]

    def _load(self, method: str, path: str, body: object = None, **options: Any) -> Object:
        loaded: Object = json.loads(self._send(method, path, body, **options))
        return loaded

    def _send(self, method: str, path: str, body: object = None, **options: Any) -> bytes:
        response = self._request(method, path, body, _request_timeout=self._seconds, **options)
        try:
            data: bytes = response.data
        except HTTPError as error:
            raise NoAnswer(f"{method} {path}: {error}") from error
        return data

    def _request(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        try:
            return self._sender.request(method, path, body=body, serialize=False, **options)
        except DynamicApiError as error:
            raise _convert(error) from error
        except (HTTPError, official.ApiException) as error:
            raise NoAnswer(f"{method} {path}: {error}") from error


def kind_of(body: Mapping[str, Any]) -> Kind:
    """The kind that an object says it is."""
    return Kind(body["apiVersion"], body["kind"])


def load_documents(folder: Path) -> list[Object]:
    """All objects in the YAML files below a folder, in the order of the files' names."""
    # libyaml's loader: the pure one takes seconds for the definitions of Volcano's Job.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [
        document
        for path in sorted(folder.rglob("*.yaml"))
        for document in yaml.load_all(path.read_bytes(), loader)
        if document
    ]


def wait(
    what: str,
    look: Callable[[], T],
    seconds: float = 30.0,
    *,
    until: Callable[[T], object] = bool,
    every: float | None = None,
) -> T:
    """Look again and again until what is seen pleases ``until``, and return it.

    A server that does not answer counts as nothing seen.

    Args:
        what: what is waited for; begins the message of :class:`TooLate`.
        look: reads the state of things, for example an object.
        seconds: the deadline; one look is taken in any case.
        until: tells whether this is what was waited for; by default anything that is true.
        every: seconds between looks; by default few at first, more later (:mod:`tests.pauses`).
    """
    deadline = time.monotonic() + seconds
    pauses = grow_pauses() if every is None else repeat(every)
    seen: object = None
    while True:
        try:
            value = look()
        except NoAnswer as error:
            seen = error
        else:
            if until(value):
                return value
            seen = value
        if time.monotonic() > deadline:
            raise TooLate(f"{what}: not within {seconds:g} s; last seen: {_shorten(seen)}")
        time.sleep(next(pauses))


def _split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def find_condition(found: Mapping[str, Any], name: str) -> Object:
    """The condition of that type in an object's status; empty if there is none."""
    conditions: list[Object] = found.get("status", {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == name), {})


def is_true(found: Mapping[str, Any], name: str) -> bool:
    """Tell whether an object's condition of that type is ``True``."""
    return find_condition(found, name).get("status") == "True"


def _is_answer(found: object) -> bool:
    return found is not None


def _when(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp"))


def _convert(error: DynamicApiError) -> ApiError:
    try:
        status = json.loads(error.body or "")
    except (TypeError, ValueError):
        status = {}
    if not isinstance(status, dict):
        status = {}
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else error.body
    message = status.get("message") or re.sub(r"\s+", " ", str(body or error.reason))[:500]
    return ApiError(int(error.status), status.get("reason") or "", message, status)


def _shorten(seen: object, longest: int = 4000) -> str:
    if isinstance(seen, BaseException):
        return f"{type(seen).__name__}: {seen}"
    text = json.dumps(seen, default=str, indent=1)
    return text if len(text) <= longest else text[:longest] + " …"
