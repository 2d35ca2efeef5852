"""An account and a cluster behind stand-ins of all programs, and the driver over them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cluster.aws.context import Context
from cluster.aws.steps import STEPS, make_steps

ACCOUNT = "111122223333"
#: But for the platform, which the bed's rings deploy for real.
NAMES = [each for each in STEPS if each != "50-platform"]
#: All that may watch a cluster.
WATCHING = {
    "mails": ["ada@example.org"],
    "metrics": {},
    "dashboards": True,
    "logs": {},
    "budget": {"month": 3000},
}


@dataclass(frozen=True)
class World:
    """What the stand-ins made, and the driver over them."""

    folder: Path
    context: Context
    said: list[str]

    def up(self, *names: str) -> bool:
        return make_steps(self.context, names or NAMES)

    def list_made(self) -> set[str]:
        return {each.name for each in self.folder.iterdir()} - {"calls", "fails", "mode"}

    def list_calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def fail_at(self, call: int, mode: str) -> None:
        (self.folder / "fails").write_text(str(call))
        (self.folder / "mode").write_text(mode)
