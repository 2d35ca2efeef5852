"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cluster.aws.steps import STEPS as MADE
from tests.platform.checkout import ROOT

DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "cluster/README.zh-CN.md",
    "docs/bed.md",
    "docs/deploy.md",
    "docs/images.md",
    "docs/logins.md",
    "docs/performance.md",
)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)[^)]*\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def list_commands(document: str) -> list[str]:
    """List the commands of a document's blocks of shell, each without its comment."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh.*?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in "".join(blocks).splitlines())
    return [line for line in lines if line]


def test_the_chinese_steps_are_those_of_the_others() -> None:
    """Each command to the letter, all targets for a cluster, and all steps in their order."""
    commands = list_commands("cluster/README.zh-CN.md")

    assert set(commands) <= set(list_commands("docs/deploy.md"))
    targets = re.findall(r"^(cluster-[a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {each.split()[1] for each in commands if each.startswith("make cluster-")} == {*targets}
    text = (ROOT / "cluster" / "README.zh-CN.md").read_text(encoding="utf-8")
    rows = r"^\| \[`(\d\d-[a-z-]+)`\]\([^)]*\) \|.*\| (\d+) \|$"
    assert re.findall(rows, text, re.MULTILINE) == [
        (name, str(step.minutes)) for name, step in MADE.items()
    ]


def find_broken_links(document: str) -> list[str]:
    """Find the links and pictures of a document that lead nowhere in this checkout."""
    text = (ROOT / document).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in (found["target"] for found in LINK.finditer(text)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        place = ROOT / document if not path else (ROOT / document).parent / path
        if not place.exists() or (anchor and anchor not in list_anchors(place.read_text("utf-8"))):
            broken.append(target)
    return broken


def list_anchors(text: str) -> list[str]:
    """List the anchors that headings are given where documents are shown."""
    return [
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_lead_somewhere(document: str) -> None:
    assert find_broken_links(document) == []


def test_a_broken_link_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "README.md").write_text(
        "# A b\n[a](#a-b) [b](#c) ![c](c.png) [d](README.md#a-b) [e](https://x.y/z)\n"
    )

    assert find_broken_links("README.md") == ["#c", "c.png"]
