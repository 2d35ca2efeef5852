"""The spawner of a cluster: a user's server is a pod that KubeSpawner makes from a profile.

Place in the path: options are checked when they are submitted and again, strictly, when the pod is
made (:mod:`~hub_config.spawners.choosing`); then KubeSpawner, which checks loosely, is handed one
generated profile's slug and nothing else. The profiles are :mod:`hub_config.profiles`'. Only
:mod:`hub_config.apply` imports it.

Source: https://jupyterhub-kubespawner.readthedocs.io/en/7.1.0/spawner.html
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from kubespawner import KubeSpawner
from traitlets import Instance, default

from hub_config.catalogue import Catalogue
from hub_config.choices import Choice
from hub_config.profiles import build_profile, build_user_options
from hub_config.sentences import describe_start
from hub_config.spawners.choosing import ChoosingSpawner
from hub_config.waiting import Stage, Waiting, explain_pod


@dataclass(frozen=True)
class Offering:
    """What all sessions of this cluster share."""

    catalogue: Catalogue

    def __deepcopy__(self, memo: object) -> "Offering":
        """Itself: traitlets copies configured values, and nothing here can change."""
        return self


class KubernetesSpawner(ChoosingSpawner, KubeSpawner):  # type: ignore[misc]  # no types
    """One pod per user."""

    offering = Instance(Offering, help="What all sessions share.").tag(config=True)

    @property
    def catalogue(self) -> Catalogue:
        """What there is to choose from."""
        return self.offering.catalogue

    def measure(self) -> None:
        """A cluster gives what the catalogue says."""

    @default("profile_list")
    def _default_profile_list(self) -> Callable[["KubernetesSpawner"], list[dict[str, Any]]]:
        return KubernetesSpawner.build_profile_list

    def build_profile_list(self) -> list[dict[str, Any]]:
        """The profile of the choice that is being started: there is no other to fall back on."""
        choice = self._choice
        return [build_profile(self.catalogue, self.build_person(), choice)] if choice else []

    async def load_user_options(self) -> None:
        """Check the options once more, and have KubeSpawner load the profile of their choice.

        Raises:
            ShownError: 400, with the sentence that says why not.
        """
        submitted = self.user_options
        choice: Choice = self.check_options(submitted)
        self._choice = choice
        self.user_options = build_user_options(choice)
        try:
            await super().load_user_options()
        finally:
            self.user_options = submitted

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The start in plain words: one line for each thing that is waited for."""
        said = ""
        async for news in super().progress():
            sentence = describe_start(self.explain_start())
            if sentence != said:
                said = sentence
                yield {"progress": news.get("progress", 0), "message": f"{sentence}."}

    def explain_start(self) -> Waiting:
        """What the pod waits for, from what KubeSpawner's reflectors know of it."""
        pods = self.pod_reflector.pods if self.pod_reflector else {}
        pod = pods.get(f"{self.namespace}/{self.pod_name}")
        return explain_pod(
            pod, self.events, None, facts=self.describe_facts(), started=Stage.JUPYTER_START
        )

    def describe_facts(self) -> dict[str, str]:
        """The slugs that sentences name."""
        if self._choice is None:
            return {}
        return {
            "class": self._choice.instance_class.slug,
            "image": self._choice.image.slug,
            "group": self._choice.group.slug,
        }
