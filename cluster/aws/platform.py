"""Deploys the platform with what AWS has made for it: step ``50-platform``.

Where files are, and where the databases of hub and jobs service are to be, the storage's stack
tells. What :mod:`cluster.driver` does on any Kubernetes does the rest.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.aws.commands import LOOK_MINUTES, CommandFailed
from cluster.aws.context import Context
from cluster.aws.pushing import log_helm_in
from cluster.aws.storage import StackUnfinished, fill_volumes
from cluster.driver.charts import NAMESPACE
from cluster.driver.databases import DATABASES, list_releases
from cluster.driver.deployment import STEPS, Deployment
from cluster.driver.provision import Server, make_databases
from cluster.driver.settings import Settings, load_settings
from cluster.driver.volumes import name_stack

#: Where the jobs service's image is in the registry, as its chart has it.
_IMAGE = "notebook-hpc/jobs-service"


def deploy(context: Context, *names: str) -> None:
    """Deploy the platform, or those of its releases that are named; what is right already stays.

    Raises:
        CommandFailed: AWS does not say what is asked.
        ToolFailed: helm or kubectl failed, or the database's server.
        StackUnfinished: the stack of storage has not made what is needed.
        CatalogueError: the settings have a mistake.
    """
    # What was pushed stands there since the settings were read.
    settings = load_settings(context.file)
    outputs = _read_outputs(context, settings)
    settings = fill_volumes(settings, context.aws, outputs)
    wanted = [each for each in STEPS if not names or each in names]
    releases = [each for each in list_releases(settings) if each in wanted]
    if releases:
        settings = replace(settings, database=_get(context, outputs, "DatabaseHost"))
    log_helm_in(context, settings)
    with TemporaryDirectory(prefix="notebook-hpc-") as folder:
        deployment = Deployment(settings, context.tools, Path(folder), context.say)
        if releases:
            if before := [each for each in wanted if each not in DATABASES]:
                deployment.deploy(*before)
            server = _find_server(context, settings.database, outputs)
            digest = settings.digests["jobs-service"].rpartition("@")[2]
            image = f"{settings.registry}/{_IMAGE}@{digest}"
            make_databases(context.tools, NAMESPACE, server, releases, image, context.say)
            wanted = [each for each in wanted if each in DATABASES]
        deployment.deploy(*wanted)


def _read_outputs(context: Context, settings: Settings) -> Mapping[str, str]:
    """What the storage's stack says; nothing where nobody needs it."""
    is_asked = any(each.output for each in settings.volumes.values()) or list_releases(settings)
    if not is_asked:
        return {}
    listed = context.describe_stack(name_stack(context.aws.cluster)).get("Outputs", [])
    return {each["OutputKey"]: each["OutputValue"] for each in listed}


def _get(context: Context, outputs: Mapping[str, str], name: str) -> str:
    if not outputs.get(name):
        raise StackUnfinished(context.aws.cluster, name)
    return outputs[name]


def _find_server(context: Context, host: str, outputs: Mapping[str, str]) -> Server:
    """The server with its administrator, whom AWS made and whose password it changes."""
    arn = _get(context, outputs, "DatabaseSecret")
    words = context.call("secretsmanager", "get-secret-value", "--secret-id", arn)
    words = (*words, "--query", "SecretString", "--output", "text")
    said = context.commands.run(words, LOOK_MINUTES, is_secret=True)
    try:
        found = json.loads(said)
        return Server(host, found["username"], found["password"])
    except (ValueError, KeyError, TypeError) as error:
        # Without what it says, which may be half a password.
        raise CommandFailed(
            f"Secret {arn} has no `username` and `password` in JSON, as RDS keeps them"
        ) from error
