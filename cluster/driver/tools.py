"""Runs helm and kubectl against one cluster; nothing else here does.

Used by :mod:`cluster.driver.deployment`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.driver.renderer import parse

Manifest = dict[str, Any]
#: Who changes what is applied here, for Kubernetes to tell conflicts; and the label of what is so.
MANAGER = "notebook-hpc"
OURS = "app.kubernetes.io/part-of"
_ROOT = Path(__file__).parents[2]
#: Seconds that helm and kubectl wait for what they started.
PATIENCE_SECONDS = 600


class ToolFailed(Exception):
    """helm or kubectl refused something, or is not there; the message is for an administrator."""


LOOPBACK = re.compile(r"oci://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/")


@dataclass(frozen=True)
class Chart:
    """Where a chart is.

    Attributes:
        place: a folder or file, the chart's name in the repository, or its address in a registry
            of images, by digest (``oci://``).
        repository: address of a repository; empty for all others.
        version: of a chart in a repository or registry.
    """

    place: str
    repository: str = ""
    version: str = ""

    @property
    def words(self) -> list[str]:
        """What helm is told."""
        more = ["--repo", self.repository, "--version", self.version] if self.repository else []
        # As builders have it: only a registry of this machine speaks without TLS.
        if LOOPBACK.match(self.place):
            more.append("--plain-http")
        return [self.place, *more]


@dataclass(frozen=True)
class Tools:
    """helm and kubectl for one cluster.

    Attributes:
        kubeconfig: of an administrator; empty for the one that kubectl takes by itself.
        helm: the program.
        kubectl: the program.
        environment: over this process's.
    """

    kubeconfig: str = ""
    helm: str = "helm"
    kubectl: str = "kubectl"
    environment: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """See that helm is one that knows what it is told.

        Raises:
            ToolFailed: it is too old or too new, or is not there.
        """
        said = self._run(self.helm, ["version", "--template", "{{.Version}}"])
        major, minor, *_ = (int(each) for each in re.findall(r"\d+", said))
        if not (3, 17) <= (major, minor) < (4, 0):
            raise ToolFailed(f"helm is {said}, and 3.17 or newer is needed, but not 4: set HELM")

    def render(self, release: str, chart: Chart, namespace: str) -> list[Manifest]:
        """What a chart makes without further values, for objects that need none."""
        words = ["template", release, *chart.words, "--namespace", namespace]
        return parse(self._run(self.helm, words))

    def install(
        self,
        release: str,
        chart: Chart,
        namespace: str,
        values: Sequence[Path],
        *,
        without_definitions: bool = False,
        waits: bool = False,
    ) -> None:
        """Install a release, or bring it up to date.

        Args:
            release: its name.
            chart: what is installed.
            namespace: made if it is not there; what is there already becomes the release's.
            values: files; later ones win.
            without_definitions: whether custom resources' definitions are left out.
            waits: whether to return only when all of it is ready.

        Raises:
            ToolFailed: with helm's words.
        """
        status = self.find_release(release, namespace) or ""
        if status.startswith("pending"):
            raise ToolFailed(
                f"Release {release} is {status}: an earlier run was ended in the middle. Let it go"
                f" back and try again: helm rollback {release} --namespace {namespace}; where it"
                f" was the first: helm uninstall {release} --namespace {namespace}"
            )
        # helm would make it too late for a release that has its own namespace among its objects.
        metadata = {"name": namespace, "labels": {OURS: MANAGER}}
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
        words = ["upgrade", "--install", release, *chart.words, "--namespace", namespace]
        words += ["--take-ownership", "--history-max", "5"]
        words += [word for path in values for word in ("--values", str(path))]
        if without_definitions:
            words += ["--post-renderer", sys.executable]
            words += [f"--post-renderer-args={each}" for each in ("-m", "cluster.driver.renderer")]
        if waits:
            words += ["--wait", f"--timeout={PATIENCE_SECONDS}s"]
        self._run(self.helm, words)

    def uninstall(self, release: str, namespace: str) -> None:
        """Remove a release, if it is there."""
        words = ["uninstall", release, "--namespace", namespace, "--ignore-not-found", "--wait"]
        self._run(self.helm, words)

    def find_release(self, release: str, namespace: str) -> str | None:
        """How helm says that a release is, such as ``deployed``; ``None`` when there is none."""
        words = ["list", "--all", "--namespace", namespace, "--filter", f"^{release}$"]
        found = json.loads(self._run(self.helm, [*words, "--output", "json"]))
        return str(found[0]["status"]) if found else None

    def list_releases(self) -> dict[str, str]:
        """Releases of all namespaces -> version of the chart, where both are called alike."""
        said = self._run(self.helm, ["list", "--all", "--all-namespaces", "--output", "json"])
        found = {}
        for each in json.loads(said):
            name, _, version = str(each["chart"]).rpartition(f"{each['name']}-")
            if not name:
                found[str(each["name"])] = version
        return found

    def read_version(self) -> str:
        """Version of the API server, such as ``v1.35.2``.

        Raises:
            ToolFailed: it is away.
        """
        said = json.loads(self._run(self.kubectl, ["version", "--output", "json"]))
        return str(said["serverVersion"]["gitVersion"])

    def apply(self, objects: Iterable[Manifest], *, only_tries: bool = False) -> None:
        """Make objects, or bring them up to date; or see whether the cluster would take them."""
        words = ["apply", "--server-side", f"--field-manager={MANAGER}", "--force-conflicts"]
        if only_tries:
            words.append("--dry-run=server")
        # As JSON, which is YAML that everybody reads alike: 0123 and 1e3 stay the texts they are.
        every = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self._run(self.kubectl, [*words, "-f", "-"], json.dumps(every))

    def diff(self, objects: Iterable[Manifest]) -> str:
        """What applying these objects would change, as lines of a diff; empty for nothing.

        Raises:
            ToolFailed: the cluster is away, or does not know what these objects are.
        """
        words = ["diff", "--server-side", f"--field-manager={MANAGER}", "--force-conflicts"]
        every = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        # 1 is kubectl's word for a difference; what fails ends with more.
        return self._run(self.kubectl, [*words, "-f", "-"], json.dumps(every), fine=(0, 1))

    def find(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """One object, or ``None``."""
        found: Manifest | None = None
        words = ["get", kind, name, "--ignore-not-found", "--output", "json"]
        if said := self._run(self.kubectl, [*words, *_within(namespace)]).strip():
            found = json.loads(said)
        return found

    def list(
        self, kind: str, namespace: str = "", labels: str = "", *, everywhere: bool = False
    ) -> list[Manifest]:
        """All objects of a kind: of a namespace if one is named, or of every namespace."""
        where = ["--all-namespaces"] if everywhere else _within(namespace)
        words = ["get", kind, "--output", "json", *where, f"--selector={labels}"]
        items: list[Manifest] = json.loads(self._run(self.kubectl, words))["items"]
        return items

    def delete(
        self,
        kind: str,
        *names: str,
        namespace: str = "",
        labels: str = "",
        takes_all: bool = False,
    ) -> None:
        """Delete objects and wait until they are gone; those that are not there do not matter.

        Args:
            kind: of the objects.
            names: theirs, or none where labels or all are meant.
            namespace: where they are.
            labels: a selector of those that go.
            takes_all: whether all of the kind go.

        Raises:
            ValueError: nothing says which; a list of names that is empty means none, and never all.
        """
        if [bool(names), bool(labels), takes_all].count(True) != 1:
            raise ValueError(f"which {kind} are to be deleted: names, labels or all?")
        which = [f"--selector={labels}"] if labels else list(names) or ["--all"]
        words = ["delete", kind, *which, "--ignore-not-found", f"--timeout={PATIENCE_SECONDS}s"]
        self._run(self.kubectl, [*words, *_within(namespace)])

    def patch(self, kind: str, name: str, change: Sequence[Manifest], namespace: str = "") -> None:
        """Change an object by operations of JSON Patch (RFC 6902)."""
        words = ["patch", kind, name, "--type=json", f"--patch={json.dumps(change)}"]
        self._run(self.kubectl, [*words, *_within(namespace)])

    def wait_for(self, kind: str, name: str, condition: str, namespace: str = "") -> None:
        """Wait until an object is as `condition` says, in kubectl's words."""
        words = ["wait", kind, name, f"--for={condition}", f"--timeout={PATIENCE_SECONDS}s"]
        self._run(self.kubectl, [*words, *_within(namespace)])

    def wait_for_rollout(self, name: str, namespace: str) -> None:
        """Wait until a Deployment's newest pods answer, and no others are there.

        Raises:
            ToolFailed: they do not in time; with the end of what they wrote.
        """
        words = ["rollout", "status", f"deployment/{name}", f"--timeout={PATIENCE_SECONDS}s"]
        try:
            self._run(self.kubectl, [*words, *_within(namespace)])
        except ToolFailed as failed:
            logs = ["logs", f"deployment/{name}", "--tail=40", *_within(namespace)]
            try:
                said = self._run(self.kubectl, logs)
            except ToolFailed as none:
                said = str(none)
            raise ToolFailed(
                f"{failed}\nThe end of `kubectl {' '.join(logs)}`:\n{said}"
            ) from failed

    def run_pod(self, name: str, namespace: str, pod: Manifest, said: str) -> str:
        """Run a pod of one container to its end, and return what it wrote.

        Args:
            name: of pod and container; it goes afterwards, and one that an earlier run left goes
                before.
            namespace: where.
            pod: its ``spec``, whose container waits for its standard input (``stdin``).
            said: standard input; it is in no object of the cluster and in no file.

        Raises:
            ToolFailed: it could not start, or failed; with what it wrote where errors go.
        """
        self.delete("pod", name, namespace=namespace)
        words = ["run", name, *_within(namespace), "--restart=Never", "--stdin", "--quiet"]
        words += [f"--image={pod['containers'][0]['image']}"]
        words += [f"--pod-running-timeout={PATIENCE_SECONDS}s"]
        words += [f"--overrides={json.dumps({'spec': pod})}"]
        try:
            return self._run(self.kubectl, words, said)
        finally:
            self.delete("pod", name, namespace=namespace)

    def _run(
        self,
        program: str,
        words: Sequence[str],
        said: str | None = None,
        fine: Sequence[int] = (0,),
    ) -> str:
        if shutil.which(program) is None:
            raise ToolFailed(
                f"There is no program {program}: install it, or say where it is in HELM or KUBECTL"
            )
        # Where helm finds what it hands a release's objects to.
        own = {"PYTHONPATH": str(_ROOT), **self.environment}
        if self.kubeconfig:
            own["KUBECONFIG"] = self.kubeconfig
        done = subprocess.run(
            [program, *words],
            env={**os.environ, **own},
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in fine:
            what = " ".join([Path(program).name, *words[:3]])
            raise ToolFailed(f"{what} failed:\n{done.stderr.strip()}")
        return done.stdout


def is_missing(kubeconfig: str) -> bool:
    """Whether a kubeconfig is named, one file or several, and none of them is there."""
    return bool(kubeconfig) and not any(
        Path(each).exists() for each in kubeconfig.split(os.pathsep)
    )


def _within(namespace: str) -> list[str]:
    return ["--namespace", namespace] if namespace else []
