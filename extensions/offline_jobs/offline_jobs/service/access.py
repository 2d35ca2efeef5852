"""Who may do what with a job: the one place that says so.

Seen by its owner, an administrator, a lead of its group; ended by these; deleted by owner and
administrator; run again and shared by the owner. Of one that is shared members of the group that
is charged may look at the result. To all others there is no such job.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hub_config.platform.catalogue import Catalogue, Group
from hub_config.platform.people import Person
from offline_jobs.contract.names import JOB_ID
from offline_jobs.service.errors import Forbidden, NotFound
from offline_jobs.service.model import Job
from offline_jobs.service.store.store import Store


@dataclass(frozen=True)
class Access:
    """Jobs, as far as a person may have to do with them."""

    store: Store
    catalogue: Catalogue

    def may_see(self, person: Person, job: Job) -> bool:
        """Whether the person may see a job."""
        return job.owner == person.name or person.admin or self._leads(person, job.request.group)

    def find_visible(self, person: Person, job_id: str) -> Job:
        """A job that the person may see.

        Raises:
            NotFound: there is none.
        """
        return self._find(job_id, lambda job: self.may_see(person, job))

    def may_look(self, person: Person, job: Job) -> bool:
        """Whether the person may look at a job's result, be it as a guest."""
        group = job.request.group
        is_member = group in self.catalogue.groups and group in person.groups
        return self.may_see(person, job) or (job.shared and is_member)

    def find_shown(self, person: Person, job_id: str) -> Job:
        """A job whose result the person may look at.

        Raises:
            NotFound: there is none.
        """
        return self._find(job_id, lambda job: self.may_look(person, job))

    def find_changeable(self, person: Person, job_id: str) -> Job:
        """A job that the person may delete.

        Raises:
            NotFound: there is none that the person may see.
            Forbidden: it is another's.
        """
        job = self.find_visible(person, job_id)
        if job.owner != person.name and not person.admin:
            raise Forbidden("Only its owner can change a job.", code="not-owner")
        return job

    def find_repeatable(self, person: Person, job_id: str) -> Job:
        """A job that the person may run again.

        Raises:
            NotFound: there is none that the person may see.
            Forbidden: it is another's.
        """
        return self._find_own(person, job_id, "run a job again")

    def find_shareable(self, person: Person, job_id: str) -> Job:
        """A job that the person may share with its group.

        Raises:
            NotFound: there is none that the person may see.
            Forbidden: it is another's.
        """
        return self._find_own(person, job_id, "share a job")

    def _find(self, job_id: str, may: Callable[[Job], bool]) -> Job:
        """A job, where that is allowed; to whom it is not there is none."""
        job = self.store.job(job_id) if JOB_ID.fullmatch(job_id) else None
        if job is None or not may(job):
            raise NotFound
        return job

    def _find_own(self, person: Person, job_id: str, deed: str) -> Job:
        """A job of the person's; of another's that they see they are told whose deed it is."""
        job = self.find_visible(person, job_id)
        if job.owner != person.name:
            raise Forbidden(f"Only its owner can {deed}.", code="not-owner")
        return job

    def choose_owner(
        self, person: Person, user: str | None, group: str | None = None
    ) -> str | None:
        """Whose jobs are listed or followed; ``None`` for everybody's.

        Args:
            person: who asks.
            user: whose are asked for: ``*`` all, nothing one's own, or of a group all of it.
            group: whose jobs alone are asked for, if any.

        Raises:
            Forbidden: another user's, and the person is no administrator; a group's, and the person
                is neither that nor its lead, alike for groups that do not exist.
        """
        if user == person.name:
            return user
        if group is not None:
            if not person.admin and not self._leads(person, group):
                raise Forbidden("Only its leads and an administrator can see the jobs of a group.")
            return None if user in (None, "", "*") else user
        if user in (None, ""):
            return person.name
        if not person.admin:
            raise Forbidden("Only an administrator can see the jobs of other users.")
        return None if user == "*" else user

    def choose_groups(self, person: Person, group: str | None) -> tuple[str, ...] | None:
        """Which groups' queues and sessions are shown; ``None`` for all.

        Args:
            person: who asks.
            group: the one that is asked for, if any.

        Raises:
            Forbidden: the person is no administrator and does not lead it, alike for groups that do
                not exist; or leads none.
        """
        if group is not None:
            if not person.admin and not self._leads(person, group):
                raise Forbidden("Only its leads and an administrator can see how a group stands.")
            return (group,)
        if person.admin:
            return None
        led = tuple(each.slug for each in self.list_led(person))
        if not led:
            raise Forbidden("Only leads and administrators can see how groups stand.")
        return led

    def list_led(self, person: Person) -> list[Group]:
        """The groups whose jobs the person may see for being their lead."""
        return [group for group in self.catalogue.groups.values() if person.name in group.leads]

    def _leads(self, person: Person, group: str) -> bool:
        found = self.catalogue.groups.get(group)
        return found is not None and person.name in found.leads
