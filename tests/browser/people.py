"""Who uses the platform in the browser ring, and the window that they look through."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import nbformat
from playwright._impl._api_structures import SetCookieParam
from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import PATIENCE_SECONDS
from tests.browser.lab import Lab
from tests.site import PASSWORD, Site, User, wait_until

JOBS = "/services/offline-jobs/api/v1/jobs"
PAGE = "/services/offline-jobs/"
_keys = itertools.count()


def build_notebook(*cells: str, parameters: str | None = None) -> dict[str, Any]:
    """A notebook of code cells, after one tagged ``parameters`` if there is one."""
    notebook: dict[str, Any] = nbformat.v4.new_notebook()
    notebook["metadata"]["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    if parameters is not None:
        first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        notebook["cells"].append(first)
    notebook["cells"] += [nbformat.v4.new_code_cell(cell) for cell in cells]
    return notebook


def wait_for_file(path: Path) -> str:
    """Python that waits until a file is there."""
    return f"import os, time\nwhile not os.path.exists({str(path)!r}):\n    time.sleep(0.05)"


class Visitor:
    """A demonstration user; ``user`` speaks REST in their name.

    Jobs are charged to ``group`` and ask for ``instance_class``.
    """

    def __init__(self, site: Site, name: str, group: str, instance_class: str = "small") -> None:
        self.site = site
        self.name = name
        self.group = group
        self.instance_class = instance_class

    @cached_property
    def user(self) -> User:
        """Signed in once, by the login form."""
        return self.site.sign_in(self.name)

    @property
    def home(self) -> Path:
        """The home folder."""
        return self.site.homes / self.name

    def cookies(self) -> list[SetCookieParam]:
        """The cookies of the signed-in user, for a window."""
        return [
            {
                "name": each.name,
                "value": each.value or "",
                "domain": "127.0.0.1",
                "path": each.path,
                "httpOnly": True,
            }
            for each in self.user.client.cookies.jar
        ]

    def post_job(
        self,
        notebook: Mapping[str, Any],
        *,
        name: str,
        parameters: Mapping[str, object] | None = None,
        path: str | None = None,
        time_limit_seconds: int = 3600,
        interruptible: bool = False,
        image: str = "notebook",
    ) -> httpx.Response:
        """Ask for a job by REST; what the service answers."""
        return self.user.api.post(
            JOBS,
            headers={"Idempotency-Key": uuid.uuid4().hex},
            json={
                "name": name,
                "notebook": notebook,
                "path": path or "test.ipynb",
                "group": self.group,
                "image": image,
                "class": self.instance_class,
                "kernel": {"name": "python3", "source": "image"},
                "parameters": dict(parameters or {}),
                "time_limit_seconds": time_limit_seconds,
                "interruptible": interruptible,
            },
        )

    def submit(self, notebook: Mapping[str, Any], *, name: str, **options: Any) -> str:
        """Submit a job as :meth:`post_job` does; its id."""
        answer = self.post_job(notebook, name=name, **options)
        assert answer.status_code == 202, answer.text
        job: str = answer.json()["id"]
        return job

    def job(self, job: str) -> dict[str, Any]:
        """A job as the service tells it now."""
        answer = self.user.api.get(f"{JOBS}/{job}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def read_log(self, job: str) -> str:
        """A job's log as far as the service has it; empty before there is any."""
        return self.user.api.get(f"{JOBS}/{job}/log").text

    def newest_job(self) -> dict[str, Any]:
        """The job that was submitted last."""
        jobs: list[dict[str, Any]] = self.user.api.get(JOBS).json()["jobs"]
        return jobs[0]

    def wait_for_state(self, job: str, *states: str) -> dict[str, Any]:
        """Wait until the job is in one of the states; the job then."""
        words = f"job {job} to be {' or '.join(states)}"
        wait_until(lambda: self.job(job)["state"] in states, words, PATIENCE_SECONDS)
        return self.job(job)

    def wait_for_cell(self, job: str, number: int) -> None:
        """Wait until the job is in a cell, or after it."""
        words = f"job {job} to be in cell {number}"
        wait_until(lambda: self.job(job)["cell"]["number"] >= number, words, PATIENCE_SECONDS)


class Window:
    """A browser window with the ways that every test goes."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        page.set_default_timeout(60_000)

    def sign_in(self, name: str) -> None:
        """Fill in the login page."""
        self.page.goto("/")
        self.page.get_by_label("User name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()

    def open_lab(self, visitor: Visitor) -> Lab:
        """JupyterLab of a visitor whose session runs."""
        self.page.goto(f"/user/{visitor.name}/lab/workspaces/auto-{next(_keys)}?reset")
        lab = Lab(self.page)
        lab.wait_until_ready()
        return lab

    def stop_session(self) -> None:
        """Stop one's session on the hub's home page."""
        self.page.goto("/hub/home")
        self.page.get_by_role("button", name="Stop", exact=True).click()
        self.page.get_by_role("button", name="Stop the session").click()
        expect(self.page.get_by_role("heading", name="No session")).to_be_visible()

    def open_jobs(self) -> Page:
        """The list of the Offline Jobs page."""
        self.page.goto(PAGE)
        expect(self.page.get_by_role("heading", name="Offline jobs")).to_be_visible()
        expect(self.page.get_by_text("Loading your jobs …")).to_be_hidden()
        return self.page

    def open_job(self, job: str) -> Page:
        """The page of one job, filled in."""
        self.page.goto(f"{PAGE}jobs/{job}")
        expect(self.page.locator("#facts dt").first).to_be_attached()
        return self.page

    def row(self, job: str) -> Locator:
        """A job's row in the list."""
        return self.page.locator(f"tr[data-job='{job}']")
