"""The one way in: what a person asks for becomes a job, or is refused with a sentence.

Submissions and reruns are its callers, by the routes of ``web``; whatever makes jobs later calls it
as well. What may be chosen is asked of the catalogue each time. A job is durable when its maker
returns, and a key that came before gives the job that it made then.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.choices import Machine, Offer, offer
from hub_config.platform.errors import Refused
from hub_config.platform.people import Person
from hub_config.platform.waiting import quote
from offline_jobs.contract.request import Request
from offline_jobs.service.errors import Forbidden, Unsound
from offline_jobs.service.model import Job, NewJob
from offline_jobs.service.notebooks import Inspected
from offline_jobs.service.rules.submission import Findings, Notebook, Problem, examine
from offline_jobs.service.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """What was sent for a job.

    Of its notebook there is what was found, or why it cannot be run. ``digest`` is the same for
    equal submissions, empty where the notebook cannot be run.
    """

    asked: Request
    notebook: Inspected | Unsound
    digest: str = ""


@dataclass(frozen=True)
class Intake:
    """Makes jobs.

    ``measure`` tells what this machine can give now, ``None`` on a cluster; of one person's jobs at
    most ``open_limit`` have not ended.
    """

    store: Store
    catalogue: Catalogue
    measure: Callable[[], Machine | None]
    open_limit: int = 200
    wake: Callable[[], None] = lambda: None

    def offer(self, person: Person) -> Offer:
        """What a person may choose.

        Raises:
            Forbidden: none of the person's groups is in the catalogue.
        """
        try:
            return offer(self.catalogue, person, self.measure())
        except Refused as e:
            raise Forbidden(e.message, code=e.code) from e

    def accept(self, person: Person, offered: Offer, sent: Sent, key: str) -> tuple[Job, bool]:
        """Make one job, as :meth:`accept_all` does."""
        return self.accept_all(person, offered, [(sent, key)])[0]

    def accept_all(
        self, person: Person, offered: Offer, submissions: Sequence[tuple[Sent, str]]
    ) -> list[tuple[Job, bool]]:
        """Make jobs of what was sent: all of them or, where one is refused, none.

        Args:
            person: who asks, and will own them.
            offered: what the person may choose.
            submissions: of each what was sent, and a key that is the same for each repetition.

        Returns:
            Of each the job and whether it is new: what was accepted once is answered alike,
            whatever may be chosen by now.

        Raises:
            Unsound: the first problem of what was sent.
            IdempotencyConflict, Departing, TooManyJobs: as the store says.
        """
        earlier: dict[str, Job] = {}
        news: list[NewJob] = []
        for sent, key in submissions:
            if isinstance(sent.notebook, Unsound):
                raise sent.notebook
            if (job := self.store.job_of_key(person.name, key, sent.digest)) is not None:
                earlier[key] = job
                continue
            found = look_through(sent, offered)
            news.append(_build(person, found, key, sent.digest, sent.notebook.text))
        made = iter(self._create(news)) if news else iter(())
        return [(earlier[key], False) if key in earlier else next(made) for _, key in submissions]

    def repeat(
        self, person: Person, offered: Offer, job: Job, sent: Sent, key: str
    ) -> tuple[Job, bool]:
        """Run a job's snapshot again, as a new job; what the person may use is checked anew.

        Args:
            person: who asks, and owns the job.
            offered: what the person may choose.
            job: the job.
            sent: what is asked for now, with what was found in the snapshot.
            key: the same for each repetition.

        Returns:
            As :meth:`accept`.

        Raises:
            Unsound, IdempotencyConflict, Departing, TooManyJobs: as :meth:`accept`.
        """
        if (earlier := self.store.job_of_key(person.name, key, sent.digest)) is not None:
            return earlier, False
        found = look_through(sent, offered)
        new = _build(person, found, key, sent.digest, self.store.snapshot(job.id))
        return self._create([replace(new, rerun_of=job.id)])[0]

    def _create(self, news: Sequence[NewJob]) -> list[tuple[Job, bool]]:
        made = self.store.create_jobs(news, open_limit=self.open_limit)
        self.wake()
        for job, is_new in made:
            if is_new:
                _log.info("job accepted", extra={"job": job.id, "user": quote(job.owner)})
        return made


def look_through(sent: Sent, offered: Offer) -> Findings:
    """Find every problem of what was sent, the notebook's own first."""
    notebook = sent.notebook
    if isinstance(notebook, Unsound):
        problem = Problem(
            notebook.field or "notebook", notebook.code, notebook.message, notebook.allowed
        )
        found = examine(sent.asked, offered, None)
        return replace(found, problems=(problem, *found.problems))
    names = notebook.parameters
    known = Notebook(
        language=notebook.language,
        kernel=notebook.kernel,
        parameters=None if names is None else frozenset(p.name for p in names),
    )
    return examine(sent.asked, offered, known)


def _build(person: Person, found: Findings, key: str, digest: str, notebook: str) -> NewJob:
    """What is to be stored of a submission.

    Raises:
        Unsound: its first problem.
    """
    for first in found.problems:
        raise Unsound(first.message, code=first.code, field=first.field, allowed=first.allowed)
    return NewJob(
        owner=person.name,
        request=found.request,
        notebook=notebook,
        idempotency_key=key,
        digest=digest,
    )
