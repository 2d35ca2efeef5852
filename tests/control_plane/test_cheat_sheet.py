"""What the bed tells to look inside with: each command works as it stands there."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.bed.__main__ import CHEAT_SHEET, HUB
from tests.bed.bed import Bed

pytestmark = [pytest.mark.upstream, pytest.mark.usefixtures("pretended")]
COMMANDS = re.findall(r"^  kubectl (get .*?)(?:  .*)?$", f"{CHEAT_SHEET}\n{HUB}", re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_shown_works(bed: Bed, command: str) -> None:
    kubectl = [str(bed.programs.path("kubectl")), "--kubeconfig", str(bed.kubeconfig)]
    done = subprocess.run([*kubectl, *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
