"""The world that tests of the steps share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.aws.commands import Commands
from cluster.aws.context import Context
from cluster.driver.settings import Settings, load_settings
from tests.deployment.world import ACCOUNT, WATCHING, World
from tests.unit.cluster_aws.test_plan import NAME, write_example

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The example, before any image was pushed."""
    path = write_example(tmp_path_factory.mktemp("settings"), observe=WATCHING)
    return load_settings(path, are_pushed=False)


@pytest.fixture
def world(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    programs, folder = tmp_path / "programs", tmp_path / "world"
    programs.mkdir()
    folder.mkdir()
    for name in ("aws", "eksctl", "helm", "kubectl", "make"):
        (programs / name).symlink_to(ROOT / "tests/deployment/stand_in.sh")
    variables = {"WORLD": str(folder), "ACCOUNT": ACCOUNT, "CLUSTER": NAME}
    variables["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    commands = Commands(tmp_path / "log", said.append)
    assert settings.aws
    context = Context(
        settings, settings.aws, tmp_path / "plan", commands, said.append, tmp_path / "settings.yaml"
    )
    return World(folder, context, said)
