"""Errors of the jobs service.

Drawn::

    ServiceError                  what an owner may be told: code, message, field, allowed, status
    ├── NotFound                  404  no such job, or another user's
    ├── IdempotencyConflict       409  same key, other body; ``id`` is the job that has the key
    ├── Departing                 409  the hub deletes this user
    ├── NotFinished               409  a record that is not final cannot be deleted
    ├── NoResult                  409  there is no executed notebook (or log) yet
    ├── TooManyJobs               429  the owner's limit of open jobs is reached
    ├── Unsound                   422  cannot be run as submitted; ``field`` says what
    ├── TooLarge                  413  body, notebook or log over its limit
    ├── AttemptClosed             410  the attempt's record is closed, its runner should end
    ├── Unauthorized              401  no token, or a wrong one
    ├── Forbidden                 403  a token without the right to do this
    └── Unavailable               503  hub or database cannot be asked now; try again
        ├── ObjectsAway           503  the store of notebooks and logs cannot be used now
        ├── StorageFull           507  there is no room (people are told 503)
        ├── Damaged               503  the database is no database any more
        └── DatabaseAway          503  it cannot be reached or used now
            └── Superseded        503  another service writes it
    StartRefused                  the service will not start; its one line is for the administrator
    └── StateInUse                another service works on the same state folder or database
    BackendError                  a backend could not do what the reconciler asked; for the log
    ├── NotNow                    nobody's fault, it can be done later: never given up
    │   ├── HubAway               the hub cannot be asked who is in which group
    │   ├── ClusterAway           the API server gave no answer, or cannot now
    │   └── ClusterFull           as many objects are there as its quota admits
    └── ClusterRefused            it said no: not allowed, not of our shape, not there, too late

Only :class:`ServiceError` is shown to people; the web layer turns it into JSON. Every room of the
service may import this module; it imports nothing of ours.
"""

from collections.abc import Sequence


class ServiceError(Exception):
    """Something that the caller may be told.

    Attributes:
        code: stable word for programs.
        message: a sentence that says what is wrong and how to mend it.
        field: the submitted field at fault, or ``None``.
        allowed: accepted values, when there are few.
        status: HTTP status.
        id: id of the job concerned, where the answer should name one.
    """

    code = "internal"
    status = 500

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        allowed: Sequence[str] | None = None,
        status: int | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.field = field
        self.allowed = None if allowed is None else tuple(allowed)
        self.status = status or type(self).status
        self.id = id


class NotFound(ServiceError):
    """No such job for this caller; others' jobs look the same as none."""

    code = "not-found"
    status = 404

    def __init__(self, message: str = "There is no such job.") -> None:
        super().__init__(message)


class IdempotencyConflict(ServiceError):
    """The key was used for another submission."""

    code = "idempotency-conflict"
    status = 409

    def __init__(self, id: str) -> None:
        super().__init__(
            f"This Idempotency-Key belongs to job {id}, which has another body. "
            "Send a new key for a new job.",
            id=id,
        )


class Departing(ServiceError):
    """The hub deletes this user, or did so a moment ago."""

    code = "departing"
    status = 409

    def __init__(self, owner: str) -> None:
        super().__init__(
            f"The hub is deleting the user {owner}, so no job is taken. If you are new and called"
            " so, too, try again in two minutes."
        )


class NotFinished(ServiceError):
    """Only the record of a finished job can be deleted."""

    code = "not-finished"
    status = 409

    def __init__(self, id: str) -> None:
        super().__init__(f"Job {id} has not ended. Cancel it first, then delete it.", id=id)


class NoResult(ServiceError):
    """What was asked for does not exist yet."""

    code = "no-result"
    status = 409

    def __init__(self, message: str = "There is no executed notebook yet.") -> None:
        super().__init__(message)


class TooManyJobs(ServiceError):
    """The owner's limit of open jobs is reached."""

    code = "too-many-jobs"
    status = 429

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} open jobs, which is the limit. Wait for one to end, or cancel one."
        )
        self.limit = limit


class Unsound(ServiceError):
    """A submission that cannot be run."""

    code = "unsound"
    status = 422


class TooLarge(ServiceError):
    """Something is over its size limit."""

    code = "too-large"
    status = 413


class AttemptClosed(ServiceError):
    """The attempt's record is closed."""

    code = "attempt-closed"
    status = 410

    def __init__(self, message: str = "This attempt has ended.") -> None:
        super().__init__(message)


class Unauthorized(ServiceError):
    """No token, or a wrong one."""

    code = "unauthorized"
    status = 401

    def __init__(self, message: str = "A valid token is needed.") -> None:
        super().__init__(message)


class Forbidden(ServiceError):
    """A known caller who may not do this."""

    code = "forbidden"
    status = 403


class Unavailable(ServiceError):
    """Something we depend on cannot be reached now."""

    code = "unavailable"
    status = 503


class ObjectsAway(Unavailable):
    """The store of notebooks and logs cannot be used now."""

    def __init__(self) -> None:
        super().__init__(
            "The store of notebooks and logs cannot be used now. Try again in a moment."
        )


class StorageFull(Unavailable):
    """There is no room for what should be kept."""

    code = "storage-full"
    status = 507

    def __init__(self) -> None:
        super().__init__(
            "The service's disk is full, so nothing new can be kept; what is kept can be read. "
            "Tell an administrator, and try again."
        )


class Damaged(Unavailable):
    """The database cannot be read any more, and no wait mends it."""

    code = "damaged"

    def __init__(self) -> None:
        super().__init__(
            "The jobs' database is damaged: an administrator has to put its last good copy back."
        )


class DatabaseAway(Unavailable):
    """The database cannot be reached, or used, now."""

    def __init__(self) -> None:
        super().__init__("The jobs' database cannot be used now. Try again in a moment.")


class Superseded(DatabaseAway):
    """Another service writes the database; ``holder`` is how the server calls it."""

    def __init__(self, holder: str) -> None:
        super().__init__()
        self.holder = holder


def find_reason(trouble: Unavailable) -> str:
    """What a driver said of it, on one line; for the log and the administrator."""
    cause = trouble.__cause__
    # SQLAlchemy's errors quote the statement, with what people sent; the driver's do not.
    return " ".join(str(getattr(cause, "orig", cause) or trouble).split())


class StartRefused(Exception):
    """The service will not start; the text is one clear line for the administrator."""


class StateInUse(StartRefused):
    """Another service works on the same state folder or database."""


class BackendError(Exception):
    """A backend could not do what was asked; tried again later.

    ``reason`` is for the job's owner, should it come to that: a few words without paths.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NotNow(BackendError):
    """What was asked for will be possible later; it is tried until it is."""


class HubAway(NotNow):
    """The hub cannot be asked which groups somebody is in."""


class ClusterAway(NotNow):
    """The cluster's API server cannot be reached, or cannot do it now; it may have been done."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "the cluster cannot be reached")


class ClusterFull(NotNow):
    """As many objects are there as the namespace's quota admits."""


class ClusterRefused(BackendError):
    """The cluster's API server answered no.

    ``status`` is HTTP's, ``word`` Kubernetes' (such as ``AlreadyExists``), ``said`` its sentence.
    """

    def __init__(self, message: str, status: int, word: str, said: str) -> None:
        super().__init__(message, "the cluster refused it")
        self.status, self.word, self.said = status, word, said
