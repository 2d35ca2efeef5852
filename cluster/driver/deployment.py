"""Installs the platform on a Kubernetes cluster, looks at it, takes it away; repeatable at will.

Four steps, each with its own release: Volcano, the platform's own objects, the hub with its proxy,
the jobs service. Each may run alone and again; what is right already stays. Used by
:mod:`cluster.driver.__main__` and by the test bed.
"""

import http.client
import json
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.driver.charts import (
    HEALTH_PATH,
    JOBS_NAMESPACE,
    MIRROR,
    NAMESPACE,
    build_hub_values,
    build_platform_values,
    build_service_values,
    build_volcano_values,
)
from cluster.driver.databases import list_releases
from cluster.driver.queues import ROOT, build_queues, build_root_queue
from cluster.driver.quotas import wait_until_counted
from cluster.driver.renderer import DEFINITION
from cluster.driver.settings import Settings
from cluster.driver.tools import MANAGER, OURS, PATIENCE_SECONDS, Chart, ToolFailed, Tools
from cluster.driver.versions import FOLDER, read_versions

_ROOT = Path(__file__).parents[2]
VOLCANO_NAMESPACE = "volcano-system"
_QUEUES = "queues.scheduling.volcano.sh"
_JOBS = "jobs.batch.volcano.sh"
#: What Volcano's chart tells the API server to ask about queues.
_QUEUE_WEBHOOKS = (
    ("validatingwebhookconfiguration", "volcano-admission-service-queues-validate"),
    ("mutatingwebhookconfiguration", "volcano-admission-service-queues-mutate"),
)
_SESSIONS = "component=singleuser-server"
_LABEL = f"{OURS}={MANAGER}"
_TAKE = (
    "others may use it, and undeploying would take it from them. TAKE_OVER=1 makes it the"
    " platform's all the same"
)


@dataclass(frozen=True)
class Step:
    """A release of the platform.

    Attributes:
        purpose: what it is, for people.
        namespace: of the release.
        deployments: whose pods have to answer.
        repository: of its chart; empty for a folder of ours.
        chart: the chart's folder, or its name in the repository.
        version: its key in ``helm-values/versions.env``; empty for ours.
    """

    purpose: str
    namespace: str
    deployments: tuple[str, ...]
    repository: str
    chart: str
    version: str = ""


#: The steps in their order, by the names of their releases.
STEPS: Mapping[str, Step] = {
    "volcano": Step(
        "Volcano, with its definitions and the root queue before it",
        VOLCANO_NAMESPACE,
        ("volcano-scheduler", "volcano-controllers", "volcano-admission"),
        "https://volcano-sh.github.io/helm-charts",
        "volcano",
        "VOLCANO_VERSION",
    ),
    "platform": Step(
        "namespaces, accounts, storage, queues, quotas and network policies",
        NAMESPACE,
        (),
        "",
        str(_ROOT / "cluster" / "chart"),
    ),
    "jupyterhub": Step(
        "hub and proxy",
        NAMESPACE,
        ("hub", "proxy"),
        "https://hub.jupyter.org/helm-chart/",
        "jupyterhub",
        "JUPYTERHUB_CHART_VERSION",
    ),
    "offline-jobs": Step(
        "the jobs service",
        NAMESPACE,
        ("offline-jobs",),
        "",
        str(_ROOT / "extensions" / "offline_jobs" / "chart"),
    ),
}


@dataclass(frozen=True)
class Finding:
    """What was found of one part.

    Attributes:
        part: its name.
        is_right: whether it is as it should be.
        sentence: what it is like, and what to do where it is wrong.
    """

    part: str
    is_right: bool
    sentence: str


@dataclass(frozen=True)
class Deployment:
    """One installation.

    Attributes:
        settings: what the administrator said.
        tools: of the cluster.
        folder: where values are written for helm; they may hold what only helm should read.
        say: told what happens, a line at a time.
    """

    settings: Settings
    tools: Tools
    folder: Path
    say: Callable[[str], None]

    def deploy(self, *steps: str, takes_over: bool = False) -> None:
        """Run all steps, or those named, and wait until everything answers.

        Args:
            steps: names of :data:`STEPS`.
            takes_over: whether a Volcano or a hub that somebody else installed becomes ours.

        Raises:
            ToolFailed: a step failed; those before it are done, and it can be run again.
        """
        names = steps or tuple(STEPS)
        self._refuse_unknown(names)
        self.tools.check()
        if not takes_over:
            self._refuse_foreign(names)
        for name in names:
            began = time.monotonic()
            self.say(f"{name}: {STEPS[name].purpose} ...")
            if name == "volcano":
                self._install_volcano()
            elif name == "platform":
                self._install_platform()
            else:
                self._install(name)
            self.say(f"{name}: installed ({time.monotonic() - began:.0f} s)")
        for name in names:
            for deployment in STEPS[name].deployments:
                self.tools.wait_for_rollout(deployment, STEPS[name].namespace)
        if "platform" in names:
            wait_until_counted(self.tools, (NAMESPACE, JOBS_NAMESPACE), PATIENCE_SECONDS)
        self.say("All of it answers.")

    def _refuse_unknown(self, names: Sequence[str]) -> None:
        """Install nothing that leads to what AWS has not told yet.

        A volume's handle cannot be changed later, and a hub without its database would begin
        another one.
        """
        volumes = self.settings.volumes
        unknown = ", ".join(claim for claim, volume in volumes.items() if volume.output)
        if unknown and "platform" in names:
            raise ToolFailed(
                f"Where {unknown} are is known when step 40-storage has made them: `make cluster-up"
                " STEP=50-platform` takes it from there, or write it under storage.volumes"
                " (docs/deploy.md)"
            )
        if not self.settings.database and set(list_releases(self.settings)) & set(names):
            raise ToolFailed(
                "The database server and its Secrets are known when step 40-storage has made them:"
                " `make cluster-up STEP=50-platform` goes on from there, or name a database of your"
                " own in the values of jupyterhub and offline-jobs (docs/deploy.md)"
            )

    def look(self) -> list[Finding]:
        """What is there and whether it is as it should be, in the order of the steps."""
        found = []
        for name, step in STEPS.items():
            status = self.tools.find_release(name, step.namespace)
            if status is None:
                found.append(Finding(name, False, f"not installed: make deploy STEP={name}"))
                continue
            mend = "" if status == "deployed" else f": make deploy STEP={name}"
            found.append(Finding(name, not mend, f"release is {status}{mend}"))
            found += [self._look_at_pods(each, step.namespace) for each in step.deployments]
            if name == "volcano":
                found.append(self._look_at_root())
            if name == "platform":
                found += [*self._look_at_storage(), *self._look_at_machines()]
        return [*found, self._look_at_address()]

    def undeploy(self) -> None:
        """Take everything away but people's files: homes, shared folders, records of jobs.

        Sessions and jobs end: each job's runner saves what it has.

        Raises:
            ToolFailed: somebody else has jobs in this Volcano, or a part could not be removed; it
                can be run again.
        """
        tools = self.tools
        definitions = [each["metadata"]["name"] for each in tools.list("crd", labels=_LABEL)]
        if _JOBS in definitions:
            self._refuse_others_jobs()
        # What starts sessions and jobs goes before them.
        for name in ("jupyterhub", "offline-jobs"):
            self.say(f"Removing {name} ...")
            tools.uninstall(name, STEPS[name].namespace)
        self.say("Ending sessions and jobs ...")
        tools.delete("pod", namespace=NAMESPACE, labels=_SESSIONS)
        if _JOBS in definitions:
            tools.delete(_JOBS, namespace=JOBS_NAMESPACE, takes_all=True)
        for name in ("platform", "volcano"):
            self.say(f"Removing {name} ...")
            tools.uninstall(name, STEPS[name].namespace)
        # Its key signs the tokens of runs, and no run is left.
        tools.delete("secret", "offline-jobs", namespace=NAMESPACE)
        for each in definitions:
            tools.delete("crd", each)
        tools.delete(
            "namespace", labels=f"{_LABEL},kubernetes.io/metadata.name={VOLCANO_NAMESPACE}"
        )
        for namespace in (NAMESPACE, JOBS_NAMESPACE):
            for claim in tools.list("pvc", namespace):
                self._tell_what_is_left(claim)

    def list_values(self, release: str) -> list[Path]:
        """Files of a release's values, later ones winning; what is computed is written here."""
        shipped = FOLDER / f"{release}.yaml"
        own: dict[str, Any] = {}
        if release == "volcano":
            own = build_volcano_values(self.settings)
        elif release == "platform":
            own = build_platform_values(self.settings)
        elif release == "jupyterhub":
            own = build_hub_values(self.settings, _read(shipped))
        elif release == "offline-jobs":
            own = build_service_values(self.settings)
        files = [shipped] if shipped.exists() else []
        if release in ("jupyterhub", "offline-jobs"):
            files.append(self.settings.catalogue_file)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, values in (("ours", own), ("yours", self.settings.values.get(release, {}))):
            if values:
                path = self.folder / f"{release}.{name}.yaml"
                path.touch(mode=0o600)
                # JSON, which is YAML that everybody reads alike: "0123" stays a text.
                path.write_text(json.dumps(values, indent=2), encoding="utf-8")
                files.append(path)
        return files

    def _refuse_foreign(self, names: Sequence[str]) -> None:
        """Refuse to take over what somebody else has installed under the names of our releases."""
        for name in names:
            namespace = STEPS[name].namespace
            there = self.tools.find("namespace", namespace)
            if there and not _is_ours(there) and self.tools.find_release(name, namespace):
                raise ToolFailed(f"A release {name} is there that this did not install: {_TAKE}")
        if "volcano" in names:
            crd = self.tools.find("crd", _JOBS)
            if crd and not _is_ours(crd):
                raise ToolFailed(f"A Volcano is there that this did not install: {_TAKE}")

    def _refuse_others_jobs(self) -> None:
        places = {each["metadata"]["namespace"] for each in self.tools.list(_JOBS, everywhere=True)}
        if others := sorted(places - {JOBS_NAMESPACE}):
            raise ToolFailed(
                f"Volcano has jobs of others, in {', '.join(others)}: they would go with it. End"
                " them first"
            )

    def _install_volcano(self) -> None:
        definitions = self._list_definitions()
        self.tools.apply(definitions)
        for each in definitions:
            self.tools.wait_for("crd", each["metadata"]["name"], "condition=Established")
        self._set_root_queue()
        self._install("volcano", without_definitions=True, waits=True)
        self._wait_for_admission()

    def _list_definitions(self) -> list[dict[str, Any]]:
        """Volcano's custom resources, marked as ours: they live longer than its release."""
        made = self.tools.render("volcano", self.find_chart("volcano"), VOLCANO_NAMESPACE)
        definitions = [each for each in made if each["kind"] == DEFINITION]
        for each in definitions:
            each["metadata"].setdefault("labels", {})[OURS] = MANAGER
        return definitions

    def _set_root_queue(self) -> None:
        """Have the root queue with what all job pools may have.

        It must be there before Volcano, which would make one without; and Volcano's admission lets
        nobody change it. So where it has to change, that is not asked; the chart, which comes next,
        brings it back.
        """
        wanted = build_root_queue(self.settings.catalogue)
        there = self.tools.find(_QUEUES, ROOT)
        if there and _get_capability(there) == _get_capability(wanted):
            return
        for kind, name in _QUEUE_WEBHOOKS if there else ():
            self.tools.delete(kind, name)
        self.tools.apply([wanted])

    def _wait_for_admission(self) -> None:
        """Wait until the API server reaches Volcano's admission: its pods are ready before."""
        (queue, *_) = build_queues(self.settings.catalogue)
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self.tools.apply([queue], only_tries=True)
            except ToolFailed as failed:
                if "failed calling webhook" not in str(failed) or time.monotonic() > until:
                    raise
                time.sleep(1)

    def _install_platform(self) -> None:
        for volume in self.tools.list("pv", labels=_LABEL):
            # Its claim is gone, and a new one of that name is to have it.
            if volume["status"].get("phase") == "Released":
                place = "/spec/claimRef"
                fields = [
                    each
                    for each in ("uid", "resourceVersion")
                    if each in volume["spec"]["claimRef"]
                ]
                change = [{"op": "remove", "path": f"{place}/{each}"} for each in fields]
                self.tools.patch("pv", volume["metadata"]["name"], change)
        self._install("platform", waits=True)

    def _install(self, release: str, **how: bool) -> None:
        chart, values = self.find_chart(release), self.list_values(release)
        self.tools.install(release, chart, STEPS[release].namespace, values, **how)

    def find_chart(self, release: str) -> Chart:
        """Where a release's chart is: a copy, a place of the administrator's, or its source."""
        step = STEPS[release]
        if place := self.settings.charts.get(release):
            version, copied, digest = place.partition("@sha256:")
            if not copied:
                return Chart(place)
            home = f"{self.settings.registry}/{MIRROR}/charts/{release}"
            return Chart(f"oci://{home}@sha256:{digest}", version=version)
        version = read_versions()[step.version] if step.version else ""
        return Chart(step.chart, step.repository, version)

    def _look_at_pods(self, deployment: str, namespace: str) -> Finding:
        found = self.tools.find("deployment", deployment, namespace) or {}
        wanted = found.get("spec", {}).get("replicas", 1)
        ready = found.get("status", {}).get("availableReplicas", 0)
        sentence = f"{ready} of {wanted} pods answer"
        if ready < wanted:
            sentence += f": kubectl describe pods --namespace {namespace}"
        return Finding(deployment, ready >= wanted, sentence)

    def _look_at_root(self) -> Finding:
        there = self.tools.find(_QUEUES, ROOT) or {}
        wanted = _get_capability(build_root_queue(self.settings.catalogue))
        is_right = _get_capability(there) == wanted
        sentence = (
            "has what the job pools may have"
            if is_right
            else "differs from the catalogue's pools: make deploy STEP=volcano"
        )
        return Finding("root queue", is_right, sentence)

    def _look_at_storage(self) -> list[Finding]:
        found = []
        for namespace in (NAMESPACE, JOBS_NAMESPACE):
            phases = {
                each["metadata"]["name"]: each["status"].get("phase", "unknown")
                for each in self.tools.list("pvc", namespace)
            }
            for claim in self.settings.volumes:
                phase = phases.get(claim, "missing")
                is_right = phase == "Bound"
                mend = "" if is_right else f": kubectl describe pvc {claim} --namespace {namespace}"
                found.append(Finding(f"{claim} in {namespace}", is_right, f"{phase}{mend}"))
        return found

    def _look_at_machines(self) -> list[Finding]:
        """Whether each pool of the catalogue has a machine, or somebody who starts one."""
        labels = [each["metadata"].get("labels", {}) for each in self.tools.list("node")]
        if self.tools.find("crd", "nodepools.karpenter.sh"):
            pools = self.tools.list("nodepools.karpenter.sh")
            templates = [each["spec"]["template"] for each in pools]
            labels += [each.get("metadata", {}).get("labels", {}) for each in templates]
        found = []
        for pool in self.settings.catalogue.node_pools.values():
            is_right = any(pool.labels.items() <= each.items() for each in labels)
            words = ", ".join(f"{key}={value}" for key, value in pool.labels.items())
            sentence = (
                "has machines, or a NodePool that starts them"
                if is_right
                else f"no node and no NodePool is labelled {words}: what asks for it waits for ever"
            )
            found.append(Finding(f"pool {pool.slug}", is_right, sentence))
        return found

    def _tell_what_is_left(self, claim: Mapping[str, Any]) -> None:
        name = claim["spec"].get("volumeName", "")
        volume = (self.tools.find("pv", name) if name else None) or {}
        policy = volume.get("spec", {}).get("persistentVolumeReclaimPolicy", "unknown")
        metadata = claim["metadata"]
        what = {
            "Retain": "its files stay also when it is deleted",
            "Delete": "its files go when it is deleted",
        }.get(policy, "" if name else "it never had a volume, so there are no files")
        self.say(f"Left: {metadata['name']} in {metadata['namespace']}; {what}")

    def _look_at_address(self) -> Finding:
        address = f"{self.settings.address}{HEALTH_PATH}"
        try:
            # Settings have no other address than http and https.
            with urllib.request.urlopen(address, timeout=10):  # noqa: S310
                return Finding(self.settings.address, True, "answers")
        except (OSError, http.client.HTTPException) as error:
            return Finding(self.settings.address, False, f"does not answer from here: {error}")


def _is_ours(found: Mapping[str, Any]) -> bool:
    labels: Mapping[str, str] = found["metadata"].get("labels", {})
    return labels.get(OURS) == MANAGER


def _get_capability(queue: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = queue.get("spec", {}).get("capability", {})
    return found


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return values
