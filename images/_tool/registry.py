"""Speaks with a registry of images: reads back what is there, and copies between two.

Place in the path: `push` asks here what a tag is before and after a builder pushed; `mirror` copies
with it. A digest counts only when what came for it has that hash. Registries speak TLS, but on this
machine's own loopback, as builders have it. Standard library only.

Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md; the challenge of a
login: https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from images._tool.steps import StepFailed

#: Kinds of manifests: of one image, and of one for several machines.
IMAGES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?")
SECONDS = 60
CHUNK_BYTES = 1 << 20
MOST_MANIFEST_BYTES = 4 << 20
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Login:
    """Name and password at a registry; neither shows in a traceback."""

    name: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def encoded(self) -> str:
        """As HTTP's Basic and the builders' files have it."""
        return base64.b64encode(f"{self.name}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True)
class Manifest:
    """What a tag or digest stands for.

    Attributes:
        kind: its media type.
        content: as it came; the digest is of just these bytes.
    """

    kind: str
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """What it goes by."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @cached_property
    def parts(self) -> Mapping[str, Any]:
        """What it says."""
        found: Mapping[str, Any] = json.loads(self.content)
        return found

    @property
    def compressions(self) -> list[str]:
        """How each layer of an image is compressed, by its kind: `gzip`, `zstd`, `tar` if not."""
        kinds = [str(each["mediaType"]) for each in self.parts.get("layers", ())]
        return [re.split(r"[.+]", kind)[-1] for kind in kinds]

    def is_image(self, identity: str) -> bool:
        """Whether it is the image that a builder knows by that id.

        Builders call an image by the digest of its configuration, or (docker with containerd's
        store) by that of its manifest.
        """
        return identity in (self.digest, self.parts.get("config", {}).get("digest"))


class Registry:
    """A registry, by its host, as somebody or nobody."""

    def __init__(self, host: str, login: Login | None = None) -> None:
        """Nothing is asked yet."""
        self.host = host
        self._login = login
        self._address = f"{'http' if is_loopback(host) else 'https'}://{host}"
        self._authorization: dict[str, str] = {}
        # Not urllib's own, which knows the proxies of whoever asked first.
        self._opener = urllib.request.build_opener()

    def find_manifest(self, repository: str, reference: str) -> Manifest | None:
        """What a tag or digest stands for; None when it, or the repository, is not there.

        Raises:
            StepFailed: the registry is away, refuses, or gave something else for a digest.
        """
        headers = {"Accept": ", ".join((*IMAGES, *INDEXES))}
        place = f"{repository}/manifests/{reference}"
        with self._send("GET", repository, place, headers, missing=True) as answer:
            if answer is None:
                return None
            kind = str(answer.headers.get("Content-Type", "")).partition(";")[0]
            manifest = Manifest(kind, answer.read(MOST_MANIFEST_BYTES))
        said = reference if ":" in reference else answer.headers.get("Docker-Content-Digest")
        if said and said != manifest.digest:
            raise StepFailed(
                f"{self.host}/{place} should be {said}, and what came is {manifest.digest}:"
                " somebody between here and the registry changes it"
            )
        return manifest

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob, so that it need not be sent again."""
        with self._send("HEAD", repository, f"{repository}/blobs/{digest}", {}, missing=True) as it:
            return it is not None

    def fetch_blob(self, repository: str, digest: str, target: Path) -> int:
        """Fetch a blob into a file; return its size in bytes.

        Raises:
            StepFailed: it is not there, or has not that hash.
        """
        found = hashlib.sha256()
        with (
            self._send("GET", repository, f"{repository}/blobs/{digest}", {}) as answer,
            target.open("wb") as file,
        ):
            while chunk := answer.read(CHUNK_BYTES):
                found.update(chunk)
                file.write(chunk)
        if digest != f"sha256:{found.hexdigest()}":
            raise StepFailed(f"{self.host}/{repository}: what came for {digest} has another hash")
        return target.stat().st_size

    def send_blob(self, repository: str, digest: str, source: Path) -> None:
        """Send a blob from a file; the registry checks its hash."""
        with self._send("POST", repository, f"{repository}/blobs/uploads/", {}, b"") as answer:
            place = urllib.parse.urljoin(f"{self._address}/v2/", answer.headers["Location"])
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(source.stat().st_size),
        }
        with (
            source.open("rb") as file,
            self._send("PATCH", repository, place, headers, file) as answer,
        ):
            place = urllib.parse.urljoin(f"{self._address}/v2/", answer.headers["Location"])
        end = f"{place}{'&' if '?' in place else '?'}digest={urllib.parse.quote(digest)}"
        with self._send("PUT", repository, end, {}, b""):
            pass

    def send_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Send a manifest, under a tag or its digest; all that it needs has to be there."""
        place = f"{repository}/manifests/{reference}"
        headers = {"Content-Type": manifest.kind}
        with self._send("PUT", repository, place, headers, manifest.content):
            pass

    @contextmanager
    def _send(
        self,
        method: str,
        repository: str,
        place: str,
        headers: Mapping[str, str],
        body: Any = None,
        *,
        missing: bool = False,
    ) -> Iterator[Any]:
        """Send a request, log in when that is wanted, and give its answer."""
        url = urllib.parse.urljoin(f"{self._address}/v2/", place)
        try:
            answer = self._open(method, repository, url, headers, body)
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND and missing:
                yield None
                return
            raise StepFailed(self._tell(error, repository)) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise StepFailed(f"the registry {self.host} cannot be reached: {reason}") from error
        with answer:
            yield answer

    def _open(
        self, method: str, repository: str, url: str, headers: Mapping[str, str], body: Any
    ) -> Any:
        try:
            return self._ask(method, repository, url, headers, body)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            known = self._authorization.get(repository)
            if error.code != http.client.UNAUTHORIZED:
                raise
            self._authorization[repository] = self._answer(challenge, repository)
            if self._authorization[repository] in ("", known):
                raise
        return self._ask(method, repository, url, headers, body)

    def _ask(
        self, method: str, repository: str, url: str, headers: Mapping[str, str], body: Any
    ) -> Any:
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310
        if (known := self._authorization.get(repository)) and url.startswith(self._address):
            # Not where the registry sends us on to, as to a bucket.
            request.add_unredirected_header("Authorization", known)
        return self._opener.open(request, timeout=SECONDS)

    def _answer(self, challenge: str, repository: str) -> str:
        """The header that a challenge wants; empty where it cannot be had."""
        basic = f"Basic {self._login.encoded}" if self._login else ""
        if not challenge.lower().startswith("bearer "):
            return basic
        said = dict(_CHALLENGE.findall(challenge))
        scope = said.get("scope") or f"repository:{repository}:pull,push"
        words = {"service": said.get("service", ""), "scope": scope}
        url = f"{said.get('realm', '')}?{urllib.parse.urlencode(words)}"
        if not url.startswith(("https://", f"{self._address}/")):
            return ""
        request = urllib.request.Request(url)  # noqa: S310
        if basic:
            request.add_unredirected_header("Authorization", basic)
        with self._opener.open(request, timeout=SECONDS) as answer:
            found = json.load(answer)
        return f"Bearer {found.get('token') or found.get('access_token')}"

    def _tell(self, error: urllib.error.HTTPError, repository: str) -> str:
        if error.code == http.client.UNAUTHORIZED and self._login is None:
            return f"{self.host} wants a login, and this machine has none: docker login {self.host}"
        if error.code in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            return f"{self.host} does not let this login use {repository}: {_read_words(error)}"
        return f"{self.host} answers {error.code} for {repository}: {_read_words(error)}"


def is_loopback(host: str) -> bool:
    """Whether a registry is on this machine, and so need not speak TLS."""
    return LOOPBACK.fullmatch(host) is not None


def _read_words(error: urllib.error.HTTPError) -> str:
    """What a registry says of a refusal, on one line."""
    try:
        found = json.loads(error.read(CHUNK_BYTES))
        words = "; ".join(str(each.get("message", "")) for each in found["errors"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        words = ""
    return " ".join(words.split()) or str(error.reason)


def list_needed(manifest: Manifest) -> tuple[list[str], list[str]]:
    """Digests of the manifests, and of the blobs, that have to be there before a manifest."""
    parts = manifest.parts
    if manifest.kind in INDEXES:
        return [each["digest"] for each in parts["manifests"]], []
    blobs: Iterable[Mapping[str, Any]] = [parts["config"], *parts["layers"]]
    return [], [each["digest"] for each in blobs]
