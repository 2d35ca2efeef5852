"""An administrator at the keyboard: commands of the deployment, and what is on the cluster."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cluster.driver.__main__ import main
from cluster.driver.charts import NAMESPACE
from cluster.driver.tools import Tools
from tests.bed.bed import Bed

#: What a namespace has by itself.
ITS_OWN = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
#: Kinds of which the platform or Volcano makes objects without a namespace.
OF_THE_CLUSTER = (
    *("crd", "persistentvolume", "clusterrole", "clusterrolebinding", "namespace"),
    *("validatingwebhookconfiguration", "mutatingwebhookconfiguration"),
    *("validatingadmissionpolicy", "validatingadmissionpolicybinding"),
)
WITHIN = (
    *("pod", "deployment", "service", "secret", "configmap", "serviceaccount", "role"),
    *("rolebinding", "resourcequota", "networkpolicy", "persistentvolumeclaim", "ingress", "job"),
)


@dataclass(frozen=True)
class Administrator:
    """Somebody with a bed's kubeconfig and a file of settings.

    Attributes:
        bed: whose cluster it is.
        settings: the file.
        environment: over this process's.
    """

    bed: Bed
    settings: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def tools(self) -> Tools:
        """Their helm and kubectl."""
        helm, kubectl = (str(self.bed.programs.path(name)) for name in ("helm", "kubectl"))
        return Tools(str(self.bed.kubeconfig), helm, kubectl)

    def run(self, *words: str, refused: bool = False) -> str:
        """What a command of the deployment said."""
        more = ("--settings", str(self.settings), "--kubeconfig", str(self.bed.kubeconfig))
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
            for name in ("helm", "kubectl"):
                patch.setenv(name.upper(), str(self.bed.programs.path(name)))
            for name, value in self.environment.items():
                patch.setenv(name, value)
            code = main([*words, *more])
        assert code == int(refused), said.getvalue()
        return said.getvalue()

    def create(self, *words: str) -> None:
        """What ``kubectl create`` makes of these words."""
        command = [str(self.bed.programs.path("kubectl")), "create", *words]
        own = {"KUBECONFIG": str(self.bed.kubeconfig)}
        done = subprocess.run(
            command, env={**os.environ, **own}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def create_secret(self, name: str, content: Mapping[str, str]) -> None:
        """A Secret in the hub's namespace, of files, which do not stay."""
        with TemporaryDirectory() as folder:
            files = []
            for key, text in content.items():
                (Path(folder) / key).write_text(text)
                files.append(f"--from-file={Path(folder) / key}")
            self.create("secret", "generic", name, f"--namespace={NAMESPACE}", *files)

    def list_objects(self, kinds: tuple[str, ...], namespace: str = "") -> set[str]:
        """All objects of these kinds, as ``kind/name``: of a namespace, or without one."""
        return {
            f"{each['kind'].lower()}/{each['metadata']['name']}"
            for each in self.tools.list(",".join(kinds), namespace)
        }

    def list_ours(self) -> set[str]:
        """What the platform and Volcano have that is in no namespace."""
        return {each for each in self.list_objects(OF_THE_CLUSTER) if _is_ours(each)}


def _is_ours(name: str) -> bool:
    words = ("volcano", "offline-jobs", "jupyterhub")
    return any(word in name for word in words) and not name.startswith("namespace/")
