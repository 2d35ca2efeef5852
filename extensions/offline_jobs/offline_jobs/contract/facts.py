"""What is known of why a job or a session waits, or why a job ended so: one table of all facts.

What reason or cause a fact belongs to is said beside it. All may be missing, and they are stored
and sent as they are, so none is a sentence: words are made on the way out. Standard library only;
anybody may import it.
"""

from enum import StrEnum
from typing import TypedDict


class Hindrance(StrEnum):
    """What keeps a start from going on; all but an end may pass, the cluster goes on trying."""

    FOLDERS = "folders"
    VOLUME = "volume"
    END = "end"
    #: What was started runs, and the runner in it has not said a word.
    SILENT = "silent"


class PullFailure(StrEnum):
    """Why an image cannot be pulled; the cluster goes on trying."""

    #: The registry answers, and does not have it.
    MISSING = "missing"
    #: The registry does not let the machine have it.
    REFUSED = "refused"
    #: The registry does not answer, or cannot.
    AWAY = "away"


Facts = TypedDict(
    "Facts",
    {
        # ---- Of what is waited for.
        # Jobs before this one in its line: `local-slots`, `queue-quota`.
        "ahead": int,
        # Slugs: any reason.
        "class": str,
        "image": str,
        "group": str,
        # Nobody has said yet whether it can be had: `queue-quota`, `no-node`, `image-pull`; as a
        # cause, nobody ever did: `no-capacity`.
        "asking": bool,
        # Nobody who lets jobs in has said a word of it, and for how many whole seconds at least,
        # once that is to be told: `queue-quota`.
        "unanswered": bool,
        "unanswered_seconds": int,
        # No machine that is there has room: `no-node`.
        "full": bool,
        # Of which there is too little left, how much the machines have that run, and may have
        # (cores, bytes, GPUs): `pool-limit`.
        "resource": str,
        "used": float,
        "limit": float,
        # The image cannot be pulled, or what is started does not start: `image-pull`,
        # `kernel-start`, `jupyter-start`.
        "failing": bool,
        # Why the image cannot be pulled, where that is known: `image-pull`, as reason and as cause.
        "pull": PullFailure,
        # What in the cluster tells so, such as `nodeclaim/NAME`.
        "object": str,
        # One line of the cluster's own words.
        "said": str,
        # Since when (ISO 8601) it is hindered, or nobody answers.
        "since": str,
        # ---- Of both.
        # What keeps it, or kept it, from starting; as a cause: `internal`.
        "hindrance": Hindrance,
        # No machine of its pool runs, and the pool's limit leaves no room for one: `no-node`; as a
        # cause: `no-capacity`.
        "beyond_limit": bool,
        # How long it was hindered, in whole seconds, once that was too long: `no-capacity`,
        # `image-pull`, `internal`.
        "waited_seconds": int,
        # ---- Of a failure.
        # The error of the first cell that failed: `cell-error`, `kernel-died`.
        "error_name": str,
        "error_value": str,
        # That cell, where the notebook went on to a later one.
        "error_cell": int,
        # What runner or place say of it; foreign text.
        "message": str,
        # It wrote more to the machine's disk than its class has: `interrupted`.
        "filled_scratch": bool,
        # How many cells are finished in the notebook that is kept, where its runner could not say
        # its end.
        "kept_cells": int,
        # So many attempts were made, the most there are.
        "attempts": int,
        # What is no longer in the catalogue, and who is no longer in which group: `refused`.
        "not_in_catalogue": list[str],
        "not_member": str,
        # Why its object could not be made: `internal`.
        "never_started": str,
        # ---- Of a cancel.
        # Who wanted it, where that was not the owner, and why; foreign text.
        "cancelled_by": str,
        "because": str,
        # ---- Of a success.
        # The notebook ended before its last cell.
        "ended_itself": bool,
    },
    total=False,
)
