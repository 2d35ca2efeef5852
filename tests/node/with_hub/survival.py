"""What the survival tests of the node ring do to the jobs service, and where they look afterwards.

:class:`Lines` submits notebooks that each append one line to a file in the home: what really ran is
read there, not in the service. :class:`Service` is the service's one container, and the ways in
which it dies. Used by `test_survival.py` only.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from cluster.driver.charts import JOBS_NAMESPACE, NAMESPACE
from tests.bed.client import COMMAND, JOB, POD, POD_GROUP, SERVICE, Client, Kind, Object, wait
from tests.bed.hub.stand_in import PATIENCE, Hub
from tests.browser.people import JOBS, Visitor, build_notebook
from tests.node.pods import is_ready

LABELS = "app.kubernetes.io/name=offline-jobs"
JOB_ID = "notebook-hpc/job-id"
#: What Volcano or a service could make in the namespace of jobs.
KINDS = (
    *(JOB, POD, POD_GROUP, COMMAND, SERVICE),
    *(Kind("v1", "ConfigMap"), Kind("v1", "Secret"), Kind("v1", "PersistentVolumeClaim")),
)
APPEND = """\
import os
line = f"{number} {os.environ['OFFLINE_JOB_ID']} {os.environ['OFFLINE_JOB_ATTEMPT']}\\n"
with open(os.path.join(os.environ["HOME"], file), "a") as lines:
    lines.write(line)
"""
#: What a proxy answers for a service that is not there.
_AWAY = (502, 503, 504)
_ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Lines:
    """Jobs of one test, and the file in the home to which each appends its number."""

    owner: Visitor
    name: str = field(default_factory=lambda: f"lines-{uuid.uuid4().hex[:8]}")
    #: Submissions that got no answer.
    unanswered: int = 0

    @property
    def file(self) -> Path:
        """The line file, as this machine sees it."""
        return self.owner.home / self.name

    def submit(self, number: int) -> str:
        """Submit, with the same key again and again until the service has answered; the id."""
        # Made once: the service takes a repeated key with another body for a mistake.
        body = {
            "name": f"{self.name} {number}",
            "notebook": build_notebook(APPEND, parameters="number = 0\nfile = ''"),
            "path": "test.ipynb",
            "group": self.owner.group,
            "image": "notebook",
            "class": "small",
            "kernel": {"name": "python3", "source": "image"},
            "parameters": {"number": number, "file": self.name},
            "time_limit_seconds": 600,
            "interruptible": False,
        }
        headers = {"Idempotency-Key": f"{self.name}-{number}"}
        answer = self._ask("POST", headers=headers, json=body)
        job: str = answer.json()["id"]
        return job

    def read(self) -> list[tuple[int, str, int]]:
        """Number, job and attempt of each first cell that really began."""
        text = self.file.read_text() if self.file.exists() else ""
        words = [line.split() for line in text.splitlines()]
        return [(int(number), job, int(attempt)) for number, job, attempt in words]

    def list_jobs(self) -> list[dict[str, Any]]:
        """This test's jobs as the service lists them, once it can be reached."""
        answer = self._ask("GET", params={"limit": 500})
        found: list[dict[str, Any]] = answer.json()["jobs"]
        return [job for job in found if job["name"].rpartition(" ")[0] == self.name]

    def wait_for_ends(self, jobs: Collection[str], seconds: float) -> list[dict[str, Any]]:
        """Wait until all these jobs have ended; this test's jobs then."""

        def list_open() -> list[str]:
            states = {job["id"]: job["state"] for job in self.list_jobs()}
            return [job for job in jobs if states.get(job) not in _ENDED]

        wait("all jobs to end", list_open, seconds, until=lambda left: not left)
        return self.list_jobs()

    def cancel(self) -> None:
        """Cancel what a failed test has left, so that the next one does not meet it."""
        left = [job["id"] for job in self.list_jobs() if job["state"] not in _ENDED]
        for job in left:
            self.owner.user.api.post(f"{JOBS}/{job}/cancel")
        self.wait_for_ends(left, PATIENCE)

    def _ask(self, method: str, **request: Any) -> httpx.Response:
        """Ask the service, again and again until it answers.

        A pod that is ready is reached by its Service a moment later only.
        """

        def try_once() -> httpx.Response | None:
            with suppress(httpx.TransportError):
                answer = self.owner.user.api.request(method, JOBS, **request)
                if answer.status_code not in _AWAY:
                    return answer
            self.unanswered += method == "POST"
            return None

        answer = wait(f"an answer to {method}", try_once, PATIENCE, until=lambda it: it is not None)
        assert answer is not None
        assert answer.status_code in (200, 202), answer.text
        return answer


@dataclass(frozen=True)
class Service:
    """The jobs service's container."""

    hub: Hub

    @cached_property
    def client(self) -> Client:
        """The cluster's administrator."""
        return self.hub.bed.client

    def find(self) -> Object:
        """The newest pod that nobody has deleted, once there is one."""

        def find_living() -> list[Object]:
            pods = self.client.list(*POD, NAMESPACE, labels=LABELS)
            return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

        pods = wait("a pod of the jobs service", find_living, PATIENCE)
        return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def kill_process(self) -> None:
        """Kill the container's process 1, and so all of them; the kubelet starts another."""
        before = self.find()
        os.kill(find_first_process(get_container(before)["containerID"]), signal.SIGKILL)
        self._wait_for_successor(before)

    def delete_pod(self) -> None:
        """Delete the pod without grace; its Deployment makes another."""
        before = self.find()
        self.client.delete(*POD, before["metadata"]["name"], NAMESPACE, grace_seconds=0)
        self._wait_for_successor(before)

    @contextmanager
    def crashing_at(self, step: str) -> Iterator[None]:
        """Let it kill itself meanwhile, at every start that comes to a step."""
        self.hub.set_chart(crashAt=step)
        try:
            yield
        finally:
            self.hub.set_chart()

    def wait_for_crash(self) -> None:
        """Wait until the container has killed itself and was started anew."""
        seen = wait(
            "the jobs service to kill itself",
            lambda: get_container(self.find()),
            PATIENCE,
            # The count comes before the news of what ended.
            until=lambda found: found.get("restartCount") and "terminated" in found["lastState"],
        )
        end = seen["lastState"]["terminated"]
        assert end["exitCode"] == 128 + signal.SIGKILL, end

    def _wait_for_successor(self, before: Object) -> None:
        """Wait until another container than that of this pod answers."""
        old = get_container(before)["containerID"]
        wait(
            "another container of the jobs service to answer",
            self.find,
            PATIENCE,
            until=lambda pod: is_ready(pod) and get_container(pod)["containerID"] != old,
        )


def get_container(pod: Object) -> Object:
    """The status of a pod's only container; empty before there is one."""
    statuses: list[Object] = pod["status"].get("containerStatuses") or [{}]
    return statuses[0]


def find_first_process(container: str) -> int:
    """The process that is number 1 in a container, by this machine's own count."""
    id_ = container.rpartition("/")[2]
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and id_ in (entry / "cgroup").read_text():
                status = (entry / "status").read_text()
                if next(li for li in status.splitlines() if li.startswith("NSpid:")).endswith(
                    "\t1"
                ):
                    return int(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            # It ended meanwhile.
            continue
    raise LookupError(f"no process of {container} on this machine")


def count_objects(client: Client) -> dict[Kind, Counter[str]]:
    """How many objects of each kind there are in the namespace of jobs, by the job's id.

    What is nobody's is counted by its own name.
    """
    return {kind: Counter(map(_name_owner, client.list(*kind, JOBS_NAMESPACE))) for kind in KINDS}


def _name_owner(found: Object) -> str:
    labels: dict[str, str] = found["metadata"].get("labels", {})
    return labels.get(JOB_ID) or f"nobody's {found['metadata']['name']}"
