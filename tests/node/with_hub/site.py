"""The platform of pods, as tests of the node ring use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from tests.bed.client import JOB, POD, Client, Object
from tests.bed.hub.stand_in import Hub
from tests.bed.installation import SERVICE_CLAIM, get_folder
from tests.site import Site


@dataclass(kw_only=True)
class PodSite(Site):
    """Where people sign in to a hub that is a pod."""

    hub: Hub

    @property
    def url(self) -> str:
        """Where it is served, without a slash at the end."""
        return self.hub.url

    @property
    def homes(self) -> Path:
        """The folder of the homes."""
        return self.hub.homes

    @property
    def service_state(self) -> Path:
        """The folder with what the jobs service stores."""
        return get_folder(self.hub.bed) / SERVICE_CLAIM / "state"

    @property
    def client(self) -> Client:
        """The cluster's administrator."""
        return self.hub.bed.client

    def find_session_pods(self, user: str) -> list[Object]:
        """The pods of a user's session: one, or none."""
        return self.client.list(
            *POD, NAMESPACE, labels=f"notebook-hpc/user={user},component=singleuser-server"
        )

    def find_job_pods(self, job: str) -> list[Object]:
        """The pods of a job, of all its attempts that are still there."""
        return self.client.list(*POD, JOBS_NAMESPACE, labels=f"notebook-hpc/job-id={job}")

    def find_volcano_jobs(self, job: str) -> list[Object]:
        """The Volcano Jobs of a job, one for each attempt that was not cleared away."""
        return self.client.list(*JOB, JOBS_NAMESPACE, labels=f"notebook-hpc/job-id={job}")

    def read_files(self, job: dict[str, Any]) -> Path:
        """The folder in the home with the executed notebook of a job."""
        return (self.homes / str(job["owner"]) / str(job["output_path"])).parent
