"""A job as the REST API speaks of it: the fields of a submission and of an answer.

The service's pydantic models and the Lab's TypeScript types are held equal to these names by the
golden wire files under ``tests/golden``. Standard library only; anybody may import it.
"""

from offline_jobs.contract.request import REST_FIELDS

#: Body of ``POST jobs`` and ``POST jobs/check``.
SUBMISSION_FIELDS = (*REST_FIELDS, "notebook")

#: Body of ``POST jobs/ID/rerun`` and of its check: what is to be other than in that job.
CHANGE_FIELDS = tuple(field for field in REST_FIELDS if field != "path")

#: A job in an answer: what was asked for, and what became of it.
JOB_FIELDS = (
    *REST_FIELDS,
    "id",
    "owner",
    "state",
    "reason",
    "facts",
    "sentence",
    "cause",
    "next_step",
    "attempt",
    "cell",
    "cell_seconds",
    "memory",
    "created",
    "started",
    "ended",
    "output_path",
    "has_result",
    "rerun_of",
    "shared",
    "again",
)

#: A change of a job's state in an answer.
TURN_FIELDS = ("at", "attempt", "state", "reason", "cause", "facts", "sentence")
