"""What a step works with: the settings, the programs, and looks at the account."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.aws.commands import LOOK_MINUTES, CommandFailed, Commands
from cluster.aws.eksctl import CLUSTER_TAG
from cluster.aws.failures import judge_stack
from cluster.aws.order import KUBECONFIG, list_commands, list_upgrades
from cluster.driver.aws_settings import Aws
from cluster.driver.settings import Settings
from cluster.driver.tools import Tools


@dataclass(frozen=True)
class Context:
    """What a step works with.

    Attributes:
        settings: of the installation.
        aws: the cluster in them.
        target: the plan's folder of this cluster.
        commands: runs programs.
        say: told a line at a time.
        file: the settings' own, which step ``05-images`` writes digests to.
    """

    settings: Settings
    aws: Aws
    target: Path
    commands: Commands
    say: Callable[[str], None]
    file: Path

    @property
    def tools(self) -> Tools:
        """Of the cluster, once step ``10-eksctl`` has written the way into it."""
        return Tools(str(self.target / KUBECONFIG), environment=self.commands.environment)

    def run(self, *names: str) -> None:
        """Run commands of the plan or of an upgrade, those of these names that there are."""
        listed = {
            **list_commands(self.settings, self.aws, self.target),
            **list_upgrades(self.aws, self.target),
        }
        for command in (listed[name] for name in names if name in listed):
            if command.unless and self._succeeds(command.unless):
                continue
            words = command.words
            if command.query:
                answer = self.commands.run(command.query, LOOK_MINUTES).strip()
                words = (*words[:-1], words[-1] + answer)
            self.commands.run(words, command.minutes)

    def call(self, *words: str) -> tuple[str, ...]:
        """Words of a command of AWS' program in the cluster's region."""
        return ("aws", *words, "--region", self.aws.region)

    def load_if_allowed(self, words: Sequence[str], note: str) -> Any:
        """What a command that only looks answers; ``None`` for who is not let look, who is told.

        Args:
            words: of the command.
            note: what then is not done, a sentence.

        Raises:
            CommandFailed: it failed for another reason.
        """
        try:
            return self.commands.load(words)
        except CommandFailed as failed:
            if "AccessDenied" not in failed.written:
                raise
            self.say(f"Note: {note} {failed}")
            return None

    def describe_stack(self, name: str) -> dict[str, Any]:
        """What CloudFormation says of a stack; empty where there is none."""
        words = self.call("cloudformation", "describe-stacks", "--stack-name", name)
        found = self.commands.find(words, "does not exist")
        stack: dict[str, Any] = found["Stacks"][0] if found else {}
        return stack

    def find_stack(self, name: str) -> str:
        """Status of a CloudFormation stack; empty where there is none."""
        return str(self.describe_stack(name).get("StackStatus", ""))

    def wait(self, service: str, what: str, *words: str, minutes: float = 60) -> None:
        """Wait by one of the waiters of AWS' program."""
        self.commands.run(self.call(service, "wait", what, *words), minutes)

    def delete_stack(self, name: str) -> None:
        """Delete a CloudFormation stack, if it is there, and wait until it is gone."""
        if self.find_stack(name):
            words = ("--stack-name", name)
            self.commands.run(self.call("cloudformation", "delete-stack", *words), 2)
            self.wait("cloudformation", "stack-delete-complete", *words)

    def find_cluster(self) -> dict[str, Any] | None:
        """What EKS says of the cluster.

        Raises:
            CommandFailed: it is another's, who gave it the same name.
        """
        words = self.call("eks", "describe-cluster", "--name", self.aws.cluster)
        found = self.commands.find(words, "ResourceNotFoundException")
        if found is None:
            return None
        cluster: dict[str, Any] = found["cluster"]
        if cluster.get("tags", {}).get(CLUSTER_TAG) != self.aws.cluster:
            raise CommandFailed(
                f"A cluster {self.aws.cluster} is there that this did not make (it has no tag"
                f" {CLUSTER_TAG}): name another one in aws.cluster. Nothing of it was touched"
            )
        return cluster

    def _succeeds(self, words: tuple[str, ...]) -> bool:
        try:
            self.commands.run(words, LOOK_MINUTES)
        except CommandFailed as failed:
            # Who may not look, or is not let in, is told so.
            if "NoSuchEntity" not in failed.written:
                raise
            return False
        return True

    def refuse_half_made(self, name: str, undo: str = "") -> str:
        """See that a CloudFormation stack is not there, or whole; its status, empty for none.

        Args:
            name: of it.
            undo: command that takes it away; CloudFormation's own, where nothing is said.

        Raises:
            CommandFailed: it is neither.
        """
        undo = undo or (
            f"aws cloudformation delete-stack --stack-name {name} --region {self.aws.region}"
        )
        status = self.find_stack(name)
        if reason := judge_stack(name, status, undo):
            raise CommandFailed(reason)
        return status
