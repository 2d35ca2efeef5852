"""The object store in a bucket of S3, or of what speaks like it.

An upload is one request, and the bucket takes all of it or nothing. Nobody waits for a bucket that
is away: requests end within seconds, and after one that failed the next ones fail at once for a
while. Credentials are found where boto3 finds them (Pod Identity, IRSA, a file), never in
settings. ``app.py`` imports this module only where a bucket is used: the library takes a second.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)

from offline_jobs.service.errors import ObjectsAway, StartRefused
from offline_jobs.service.metrics import OBJECT_SECONDS
from offline_jobs.service.object_store import StoredObject, Stream, check_key

_log = logging.getLogger(__name__)
_CONNECTING_SECONDS = 2
_SILENT_SECONDS = 10
_ATTEMPTS = 2
#: That are kept open; enough for all threads that use it.
_CONNECTIONS = 20
#: So long a bucket that was away is not asked again, but by one.
_REST_SECONDS = 5.0
#: No key of an object begins with it.
_PROBE = ".probe-"
_FIRST_SERVER_ERROR = 500
_NO_OBJECT = frozenset({"NoSuchKey", "404"})
#: What a server says of itself with a status below 500.
_BUSY = frozenset({"SlowDown", "RequestTimeout", "ThrottlingException", "RequestLimitExceeded"})
_NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
#: What each step of the check needs.
_RIGHTS = {
    "list": "s3:ListBucket on the bucket",
    "put": "s3:PutObject on its objects",
    "get": "s3:GetObject on its objects",
    "delete": "s3:DeleteObject on its objects",
}
#: What is wrong, by the server's word, and how to mend it.
_MENDS = {
    "NoSuchBucket": "there is no such bucket: create it, or mend OFFLINE_JOBS_OBJECTS",
    "PermanentRedirect": "it is in another region: set OFFLINE_JOBS_OBJECTS_REGION",
    "AuthorizationHeaderMalformed": "it is in another region: set OFFLINE_JOBS_OBJECTS_REGION",
    "InvalidAccessKeyId": "the server does not know these credentials: mend them",
    "SignatureDoesNotMatch": "the secret key of these credentials is wrong: mend them",
    "ExpiredToken": "these credentials have expired: renew them",
}

AnswerT = TypeVar("AnswerT")


class _Pieces:
    """The body of an answer; what interrupts it is told as an error of ours."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        try:
            piece: bytes = self._body.read(None if size < 0 else size)
        except BotoCoreError as e:
            _log.warning("the bucket ended amid an object: %s", type(e).__name__)
            raise ObjectsAway from e
        return piece

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()


class BucketStore:
    """Objects below a prefix of a bucket.

    Args:
        place: ``s3://bucket/prefix``; the prefix may be empty.
        endpoint_url: of a server that is not Amazon's; empty: Amazon's.
        region: of the bucket; empty: as boto3 finds it.
    """

    def __init__(self, place: str, *, endpoint_url: str = "", region: str = "") -> None:
        parts = urlsplit(place)
        self._bucket = parts.netloc
        self._prefix = f"{prefix}/" if (prefix := parts.path.strip("/")) else ""
        self._place = place
        self._client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint_url or None,
            region_name=region or None,
            config=Config(
                connect_timeout=_CONNECTING_SECONDS,
                read_timeout=_SILENT_SECONDS,
                max_pool_connections=_CONNECTIONS,
                retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                # A server of one's own seldom has a name for each bucket.
                s3={"addressing_style": "path"} if endpoint_url else None,
                # And not every one knows the checksums that Amazon's is sent.
                request_checksum_calculation="when_required" if endpoint_url else None,
                response_checksum_validation="when_required" if endpoint_url else None,
            ),
        )
        self._lock = threading.Lock()
        self._away_until = 0.0
        self.trouble = ""

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def check(self) -> None:
        """See that all that will be done can be done, with an object that goes again.

        A bucket that is away is no reason not to start; it is logged.

        Raises:
            StartRefused: something is wrong that no wait mends.
        """
        key = self._prefix + _PROBE + token_hex(8)
        steps: dict[str, Callable[[], object]] = {
            "list": lambda: self._list(key),
            "put": lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=b"probe"),
            "get": lambda: self._read(key),
            "delete": lambda: self._client.delete_object(Bucket=self._bucket, Key=key),
        }
        for name, step in steps.items():
            try:
                self._ask(name, step)
            except ObjectsAway as e:
                if (mistake := _find_mistake(e.__cause__, name)) is None:
                    _log.warning("the bucket is away; notebooks and logs wait for it")
                    return
                raise StartRefused(f"{self._place} cannot be used: {mistake}.") from e

    def look(self) -> None:
        """Find out whether it can be used again."""
        self._ask("list", lambda: self._list(self._prefix))

    def put(self, key: str, content: bytes) -> None:
        """Store an object in one request."""
        name = self._name(key)
        self._ask(
            "put", lambda: self._client.put_object(Bucket=self._bucket, Key=name, Body=content)
        )

    def open(self, key: str) -> StoredObject | None:
        """Begin to read an object."""
        name = self._name(key)

        def get() -> StoredObject | None:
            try:
                answer = self._get(name)
            except ClientError as e:
                if _code(e) in _NO_OBJECT:
                    return None
                raise
            body: Stream = _Pieces(answer["Body"])
            return StoredObject(int(answer["ContentLength"]), body)

        return self._ask("get", get)

    def delete_prefix(self, prefix: str) -> None:
        """Delete a job's objects."""
        below = f"{self._name(prefix)}/"

        def delete() -> None:
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=below):
                for each in page.get("Contents", ()):
                    self._client.delete_object(Bucket=self._bucket, Key=each["Key"])

        self._ask("delete", delete)

    def _list(self, prefix: str) -> object:
        return self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)

    def _get(self, name: str) -> Any:
        return self._client.get_object(Bucket=self._bucket, Key=name)

    def _read(self, name: str) -> bytes:
        content: bytes = self._get(name)["Body"].read()
        return content

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _ask(self, operation: str, ask: Callable[[], AnswerT]) -> AnswerT:
        """Ask the bucket for something.

        Raises:
            ObjectsAway: whatever it is, the caller can only try later; what it is is logged.
        """
        self._knock(operation)
        began = time.monotonic()
        try:
            answer = ask()
        except (BotoCoreError, ClientError) as e:
            OBJECT_SECONDS.labels(operation, "failed").observe(time.monotonic() - began)
            self._note_failure(operation, e)
            raise ObjectsAway from e
        OBJECT_SECONDS.labels(operation, "ok").observe(time.monotonic() - began)
        if self.trouble:
            _log.info("the bucket can be used again")
        self._away_until, self.trouble = 0.0, ""
        return answer

    def _knock(self, operation: str) -> None:
        """Let nobody ask a bucket that was away a moment ago, but one."""
        if not self._away_until:
            return
        now = time.monotonic()
        with self._lock:
            if now < self._away_until:
                OBJECT_SECONDS.labels(operation, "failed").observe(0)
                raise ObjectsAway
            self._away_until = now + _REST_SECONDS

    def _note_failure(self, operation: str, error: BotoCoreError | ClientError) -> None:
        word = _code(error) if isinstance(error, ClientError) else type(error).__name__
        if not self.trouble:
            # Not the error's own text: that of a signature has what was signed.
            _log.warning("the bucket cannot be used", extra={"operation": operation, "error": word})
        self.trouble = ObjectsAway().message
        self._away_until = time.monotonic() + _REST_SECONDS


def _find_mistake(error: BaseException | None, step: str) -> str | None:
    """What an administrator has to mend, in words; ``None``: only a wait helps."""
    if isinstance(error, _NO_CREDENTIALS):
        return (
            "there are no credentials: give the service's account a role (Pod Identity, IRSA),"
            " or name a file in AWS_SHARED_CREDENTIALS_FILE"
        )
    if isinstance(error, SSLError):
        return "its certificate is not trusted: mend it, or OFFLINE_JOBS_OBJECTS_ENDPOINT"
    if isinstance(error, ConnectionError | HTTPClientError):
        return None
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = _code(error)
        if status >= _FIRST_SERVER_ERROR or code in _BUSY:
            return None
        return _MENDS.get(code, f"{code}: give these credentials {_RIGHTS[step]}")
    return None if error is None else f"{error}"


def _code(error: ClientError) -> str:
    with suppress(KeyError):
        return str(error.response["Error"]["Code"])
    return "unknown"
