"""What Lab asks of its server: the session, and the jobs service behind it.

Each handler reads top to bottom: the request, the service's answer, passed on. All demand the
server's login; the service is asked with the server's own hub token, never with anything the
browser sent. Mounted by :mod:`extension` below ``/offline-jobs/``; goes on in :mod:`notebook`,
:mod:`service_client` and, for the end of the server itself, :mod:`hub`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from offline_jobs.contract.job import SUBMISSION_FIELDS
from offline_jobs.contract.session import ENV_CLASS, ENV_GROUP, ENV_IMAGE
from offline_jobs.server_extension.activity import longest_session
from offline_jobs.server_extension.hub import Hub, StopRefused
from offline_jobs.server_extension.notebook import (
    NotebookRefused,
    contents_path,
    home_path,
    is_own,
    kernel_name,
    load_notebook,
    locate,
)
from offline_jobs.server_extension.own_kernels import Finding, OwnKernel, judge, list_own_kernels
from offline_jobs.server_extension.service_client import (
    NOT_CONFIGURED,
    Answer,
    ServiceClient,
    ServiceUnavailable,
)

NAMESPACE = "offline-jobs"
#: Code of a problem: a kernel of the home cannot run in the chosen image.
UNFIT = "kernel-unfit"
CLIENT_SETTING = "offline_jobs_service_client"
HUB_SETTING = "offline_jobs_hub"
_JOB = r"(?P<job_id>[A-Za-z0-9-]{1,64})"
#: What the service's list takes (``service/web/wanted.py``); whose jobs somebody may see it judges.
_LIST_ARGUMENTS = (
    *("user", "group", "state", "image", "class", "path", "q", "since", "until"),
    *("limit", "cursor"),
)
#: The server's own way to log in by address.
_LOGIN_ARGUMENT = "token"
#: Fields that Lab sends; the notebook is added here.
_LAB_FIELDS = frozenset(SUBMISSION_FIELDS) - {"notebook"}
#: What a session says for choices that the dialog left open.
_SESSION = {"group": ENV_GROUP, "image": ENV_IMAGE, "class": ENV_CLASS}


class JobsHandler(APIHandler):
    """Base of all: forwards, and turns what went wrong into ``{code, message, field?}``."""

    @property
    def service(self) -> ServiceClient:
        """The service that this server knows."""
        client: ServiceClient = self.settings[CLIENT_SETTING]
        return client

    @property
    def root(self) -> str:
        """Lab's root folder; empty when the contents are no files."""
        return str(getattr(self.contents_manager, "root_dir", ""))

    def list_own_kernels(self) -> list[OwnKernel]:
        """The kernels of the home."""
        return list_own_kernels(self.kernel_spec_manager, Path.home(), os.environ)

    def update_api_activity(self) -> None:
        """Looking at jobs keeps no session alive; filling in a dialog, submitting, ending does."""
        if self.request.method != "GET":
            super().update_api_activity()

    def compute_etag(self) -> str | None:
        """The service's own ETag stands; none is made here."""
        return None

    async def forward(self, method: str, path: str, body: bytes | None = None) -> None:
        """Ask the service and pass its answer on."""
        if (answer := await self.ask(method, path, body)) is not None:
            self.pass_on(answer)

    async def ask(self, method: str, path: str, body: bytes | None = None) -> Answer | None:
        """Ask the service; None: it is away, and that is answered."""
        try:
            return await self.service.request(method, path, body=body, headers=self.request.headers)
        except ServiceUnavailable as e:
            self.log.warning("Jobs service: %s %s: %s", method, path, e.code)
            self.refuse(503, e.code, e.message)
            return None

    def refuse(self, status: int, code: str, message: str, field: str | None = None) -> None:
        """Answer with an error of ours."""
        self.set_status(status)
        self.finish({"code": code, "message": message} | ({"field": field} if field else {}))

    def pass_on(self, answer: Answer) -> None:
        """Answer what the service did."""
        self.set_status(answer.status)
        for name, value in answer.headers.items():
            self.set_header(name, value)
        self.finish(answer.body or None, set_content_type=answer.content_type)


class SessionHandler(JobsHandler):
    """``GET session``: what this server was started with, where its files lie, when it ends.

    And the kernels that its user has in the home.
    """

    @authenticated
    def get(self) -> None:
        """Answer the session."""
        configured = self.service.is_configured
        root_in_home, home_in_root = locate(self.root, Path.home())
        longest = longest_session(os.environ)
        lasted = (datetime.now(UTC) - self.settings["started"]).total_seconds()
        self.finish(
            {key: os.environ.get(name, "") for key, name in _SESSION.items()}
            | {
                "available": configured,
                "why": "" if configured else NOT_CONFIGURED[1],
                "root_in_home": root_in_home,
                "home_in_root": home_in_root,
                "longest_seconds": longest or None,
                "ends_in_seconds": max(0.0, longest - lasted) if longest else None,
                "kernels": [each.to_json() for each in self.list_own_kernels()],
            }
        )


class StopHandler(JobsHandler):
    """``POST session/stop``: the hub stops this server."""

    @authenticated
    async def post(self) -> None:
        """Ask the hub. Where it agrees, the server often ends before this answers."""
        hub: Hub = self.settings[HUB_SETTING]
        try:
            await hub.stop_server()
        except StopRefused as e:
            self.log.warning("Stop of this server: %s", e.code)
            self.refuse(e.status, e.code, e.message)
            return
        self.set_status(202)
        self.finish({})


class CatalogueHandler(JobsHandler):
    """``GET catalogue``."""

    @authenticated
    async def get(self) -> None:
        """Answer what may be chosen."""
        await self.forward("GET", "catalogue")


class SubmissionHandler(JobsHandler):
    """Base of check and submission: adds the notebook and what the session knows."""

    async def complete(self) -> dict[str, Any] | None:
        """The whole submission; None: it cannot be one, and that is answered."""
        try:
            return await self._complete(self._parse())
        except NotebookRefused as e:
            self.refuse(e.status, e.code, e.message, "path")
        except ValueError as e:
            self.refuse(400, "bad-request", str(e))
        return None

    def judge_kernel(self, submission: Mapping[str, Any]) -> Finding:
        """What is to be said of a submission's kernel, if it is one of the home."""
        kernel = submission.get("kernel")
        if not isinstance(kernel, dict) or kernel.get("source") != "home":
            return Finding()
        image, name = str(submission.get("image", "")), str(kernel.get("name", ""))
        return judge(name, self.list_own_kernels(), image, os.environ.get(ENV_IMAGE, ""))

    def _parse(self) -> dict[str, Any]:
        """The request's body.

        Raises:
            ValueError: it is not an object with the fields of a submission.
        """
        try:
            body = json.loads(self.request.body)
        except ValueError as e:
            raise ValueError("The body is not JSON.") from e
        if not isinstance(body, dict) or not isinstance(body.get("path"), str):
            raise ValueError("The body has to be an object that names the notebook's path.")
        unknown = sorted(set(body) - _LAB_FIELDS)
        if unknown:
            known = ", ".join(sorted(_LAB_FIELDS))
            raise ValueError(f"Unknown: {', '.join(unknown)}. Known: {known}.")
        return body

    async def _complete(self, body: dict[str, Any]) -> dict[str, Any]:
        path = body["path"]
        place = home_path(self.root, path, Path.home())
        notebook = await load_notebook(self.contents_manager, contents_path(path))
        session = {key: os.environ[name] for key, name in _SESSION.items() if os.environ.get(name)}
        kernel = self._kernel(notebook)
        return (
            session
            | ({"kernel": kernel} if kernel else {})
            | {key: value for key, value in body.items() if value not in ("", None)}
            | {"path": place, "notebook": notebook}
        )

    def _kernel(self, notebook: dict[str, Any]) -> dict[str, str] | None:
        """The kernel that the notebook names, and whether its user installed it."""
        name = kernel_name(notebook)
        if not name:
            return None
        try:
            folder = self.kernel_spec_manager.get_kernel_spec(name).resource_dir
        except NoSuchKernel:
            folder = ""
        at_home = bool(folder) and is_own(folder, Path.home())
        return {"name": name, "source": "home" if at_home else "image"}


class CheckHandler(SubmissionHandler):
    """``POST check``."""

    @authenticated
    async def post(self) -> None:
        """Say what a submission would do; creates nothing."""
        if (submission := await self.complete()) is None:
            return
        answer = await self.ask("POST", "jobs/check", json.dumps(submission).encode())
        if answer is None:
            return
        finding = self.judge_kernel(submission)
        if answer.status == HTTPStatus.OK and finding != Finding():
            answer = replace(answer, body=_add_finding(answer.body, finding))
        self.pass_on(answer)


class JobListHandler(SubmissionHandler):
    """``GET`` and ``POST jobs``."""

    @authenticated
    async def get(self) -> None:
        """List jobs; the browser's ETag is compared by the service."""
        # Lab adds a time without a value, against caches.
        asked = {
            name: values
            for name in self.request.query_arguments
            if name != _LOGIN_ARGUMENT and any(values := self.get_query_arguments(name))
        }
        if unknown := sorted(set(asked) - set(_LIST_ARGUMENTS)):
            self.refuse(422, "unknown-query", "There is no such query parameter.", unknown[0])
            return
        query = urlencode(
            {name: asked[name] for name in _LIST_ARGUMENTS if name in asked}, doseq=True
        )
        await self.forward("GET", f"jobs?{query}" if query else "jobs")

    @authenticated
    async def post(self) -> None:
        """Submit a notebook."""
        if (submission := await self.complete()) is None:
            return
        if problem := self.judge_kernel(submission).problem:
            self.refuse(422, UNFIT, problem, "kernel")
            return
        await self.forward("POST", "jobs", json.dumps(submission).encode())


class JobHandler(JobsHandler):
    """``GET`` and ``DELETE jobs/{id}``."""

    @authenticated
    async def get(self, job_id: str) -> None:
        """Answer one job."""
        await self.forward("GET", f"jobs/{quote(job_id)}")

    @authenticated
    async def delete(self, job_id: str) -> None:
        """Delete the record of a job that has ended."""
        await self.forward("DELETE", f"jobs/{quote(job_id)}")


class JobActionHandler(JobsHandler):
    """``POST jobs/{id}/cancel``, ``rerun`` and ``rerun/check``."""

    @authenticated
    async def post(self, job_id: str, action: str) -> None:
        """Ask for an end, or for the same again, with changes or without."""
        await self.forward("POST", f"jobs/{quote(job_id)}/{action}", self.request.body or b"{}")


class JobPartHandler(JobsHandler):
    """``GET jobs/{id}/log``, ``record``, ``course``, ``cells``, and ``result`` as an attachment."""

    @authenticated
    async def get(self, job_id: str, what: str) -> None:
        """Hand on what the service has."""
        await self.forward("GET", f"jobs/{quote(job_id)}/{what}")


def _add_finding(body: bytes, finding: Finding) -> bytes:
    """The answer to a check, with what was found here."""
    said = json.loads(body)
    if finding.problem:
        said["problems"].append({"field": "kernel", "code": UNFIT, "message": finding.problem})
        # Said only of what would really run.
        said["sentence"] = ""
    elif said["sentence"]:
        said["sentence"] += f" {finding.doubt}"
    return json.dumps(said).encode()


def build_handlers(base_url: str) -> list[tuple[str, type[JobsHandler]]]:
    """Every address and its handler."""
    routes: list[tuple[str, type[JobsHandler]]] = [
        ("session", SessionHandler),
        ("session/stop", StopHandler),
        ("catalogue", CatalogueHandler),
        ("check", CheckHandler),
        ("jobs", JobListHandler),
        (f"jobs/{_JOB}", JobHandler),
        (rf"jobs/{_JOB}/(?P<action>cancel|rerun|rerun/check)", JobActionHandler),
        (rf"jobs/{_JOB}/(?P<what>log|record|course|cells|result)", JobPartHandler),
    ]
    return [(url_path_join(base_url, NAMESPACE, path), handler) for path, handler in routes]
