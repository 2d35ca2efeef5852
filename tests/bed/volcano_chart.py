"""What Volcano's chart makes of `helm-values/volcano.yaml`, as far as plain programs need it.

The chart itself is rendered by helm, so that scheduler configuration, admissions and webhooks are
those of production; only the webhooks' address differs, since here no Service stands before them.
"""

from __future__ import annotations

import copy
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.bed.programs import Programs

Document = dict[str, Any]
VALUES = Path(__file__).parents[2] / "helm-values" / "volcano.yaml"
NAMESPACE = "volcano-system"


def render(programs: Programs, values: Path = VALUES) -> list[Document]:
    """Render the chart with these values.

    Raises:
        ValueError: helm refused it; the text is helm's.
    """
    chart = programs.data / "volcano"
    words = [programs.path("helm"), "template", "volcano", chart, "--namespace", NAMESPACE]
    done = subprocess.run(
        [str(word) for word in [*words, "--values", values]],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(f"helm cannot render Volcano's chart with {values}: {done.stderr}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def get_scheduler_configuration(documents: list[Document]) -> str:
    """The text that the scheduler reads."""
    data: dict[str, str] = _get(documents, "ConfigMap", "volcano-scheduler-configmap")["data"]
    return data["volcano-scheduler.conf"]


def get_admissions(documents: list[Document]) -> str:
    """The admissions that the webhook server is told to answer, with commas."""
    deployment = _get(documents, "Deployment", "volcano-admission")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    flag = "--enabled-admission="
    (admissions,) = (
        word.removeprefix(flag)
        for arg in container["args"]
        for word in arg.split()
        if word.startswith(flag)
    )
    return str(admissions)


def build_webhooks(documents: list[Document], server: str) -> list[Document]:
    """The chart's webhook configurations, answered by `server` (`https://HOST:PORT`).

    Volcano's webhook server fills in the authority of those that exist; it makes none.
    """
    found = [each for each in documents if each["kind"].endswith("WebhookConfiguration")]
    moved = copy.deepcopy(found)
    for configuration in moved:
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"{server}{path}"}
    return moved


def _get(documents: list[Document], kind: str, name: str) -> Document:
    (found,) = (
        each for each in documents if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return found
