"""Databases of hub and jobs service on a server outside the cluster, by step `50-platform`.

Real are the server, whose administrator is no superuser, the pod that asks it, and the namespace's
closed network; AWS, which names the server and keeps the administrator's password, is a script.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from cluster.aws import platform
from cluster.aws.commands import Commands
from cluster.aws.context import Context
from cluster.driver.aws_storage import Database, Storage
from cluster.driver.charts import NAMESPACE
from cluster.driver.databases import DATABASES, name_secret
from cluster.driver.deployment import Deployment
from cluster.driver.provision import CORE, NAME
from cluster.driver.settings import Settings
from cluster.driver.tools import ToolFailed
from tests.bed import nodes
from tests.bed.hub import images
from tests.bed.hub.stand_in import Hub
from tests.bed.namespace import Namespace
from tests.database_server import PASSWORD, DatabaseServer, Listener, running_server
from tests.skips import require
from tests.unit.cluster_aws.accounts import make_aws, make_storing

pytestmark = pytest.mark.usefixtures("real")
AWS = """#!/bin/sh
case "$1 $2" in
"cloudformation describe-stacks") echo '{stack}' ;;
"secretsmanager get-secret-value") [ "$4" = arn:secret ] && cat "$(dirname "$0")/secret" ;;
*) exit 9 ;;
esac
"""


@dataclass
class Made:
    """A driver over the cluster, and what it did."""

    context: Context
    settings: Settings
    secret: Path
    deployed: list[tuple[str, ...]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def deploy(self, password: str = PASSWORD) -> None:
        self.secret.write_text(json.dumps({"username": "keeper", "password": password}))
        platform.deploy(self.context)

    def read(self, release: str) -> dict[str, str]:
        """A release's Secret."""
        found = self.context.tools.find("secret", name_secret(release), NAMESPACE) or {}
        data = found.get("data", {})
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def list_left(self) -> list[object]:
        """What only the making needs."""
        kinds = ("pod", "networkpolicy")
        return [
            found for kind in kinds if (found := self.context.tools.find(kind, NAME, NAMESPACE))
        ]


@pytest.fixture
def server(hub: Hub) -> Iterator[DatabaseServer]:
    require("PostgreSQL")
    network = hub.bed.network
    assert isinstance(network, Namespace)
    address = network.host_address
    files = hub.bed.authority.issue_server("databases", "databases", [address])
    with running_server(Listener(address, "all", *files, port=5432)) as running:
        running.make_role("keeper")
        running.execute("ALTER ROLE keeper CREATEROLE CREATEDB")
        yield running


@pytest.fixture
def made(
    hub: Hub, server: DatabaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Made]:
    assert server.listener is not None
    stack = {"DatabaseHost": server.listener.address, "DatabaseSecret": "arn:secret"}
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in stack.items()]
    programs, target = tmp_path / "programs", tmp_path / "plan"
    programs.mkdir()
    target.mkdir()
    (programs / "aws").write_text(
        AWS.replace("{stack}", json.dumps({"Stacks": [{"Outputs": outputs}]}))
    )
    (programs / "aws").chmod(0o755)
    for name in ("helm", "kubectl"):
        (programs / name).symlink_to(hub.bed.programs.path(name))
    (target / "kubeconfig").symlink_to(hub.bed.kubeconfig)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")

    aws = make_aws(storage=Storage(database=Database()))
    # No other one: of an image that has a digest, pods tell that instead of its configuration's.
    digest = nodes.name_by_digest(hub.bed, nodes.SESSIONS, images.name_of("jobs-service"))
    settings = replace(make_storing(aws), registry="localhost", digests={"jobs-service": digest})
    commands = Commands(tmp_path / "log", lambda line: None)
    context = Context(settings, aws, target, commands, print, tmp_path / "settings.yaml")
    it = Made(context, settings, programs / "secret")

    def note(deployment: Deployment, *steps: str) -> None:
        it.deployed.append(steps)
        it.hosts.add(deployment.settings.database)

    monkeypatch.setattr(platform, "load_settings", lambda path: settings)
    monkeypatch.setattr(Deployment, "deploy", note)
    tools = context.tools
    place = "/metadata/labels/" + next(iter(CORE)).replace("/", "~1")
    value = next(iter(CORE.values()))
    tools.patch("node", nodes.SESSIONS, [{"op": "add", "path": place, "value": value}])
    yield it
    tools.patch("node", nodes.SESSIONS, [{"op": "remove", "path": place}])
    tools.delete("secret", *map(name_secret, DATABASES), namespace=NAMESPACE)


def ask(address: str, statement: str) -> Any:
    with closing(psycopg2.connect(address)) as own, own, own.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_each_has_a_database_and_the_secret_that_leads_there(
    made: Made, server: DatabaseServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ToolFailed, match=r"as keeper: .*password authentication failed") as refused:
        made.deploy("another one")
    assert made.deployed == [("volcano", "platform")]
    assert made.list_left() == []
    assert made.read("offline-jobs") == {}

    made.deploy()

    assert made.deployed[-2:] == [("volcano", "platform"), ("jupyterhub", "offline-jobs")]
    assert server.listener is not None
    assert made.hosts == {server.listener.address}
    urls = {release: made.read(release)["url"] for release in DATABASES}
    for release, name in DATABASES.items():
        assert ask(urls[release], "SELECT current_user, current_database()") == [(name, name)]
    assert made.list_left() == []
    shown = capsys.readouterr().out
    assert "database hub: made\ndatabase jobs: made\n" in shown
    assert "what jupyterhub kept until now, on a disk of its own, stays behind" in shown
    # No password is where others read: not in what is shown or kept.
    kept = [each.read_text() for each in (tmp_path / "log").iterdir()]
    secrets = [PASSWORD, "another one", *(made.read(each)["password"] for each in DATABASES)]
    assert not [each for each in secrets if each in "".join([shown, str(refused.value), *kept])]

    made.deploy()

    assert {release: made.read(release)["url"] for release in DATABASES} == urls
    assert "database" not in capsys.readouterr().out
