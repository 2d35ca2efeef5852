"""Has our images and those of others in the installation's registry: step ``05-images``.

What that needs is `make`'s: it builds, pushes, copies, and writes digests into settings and
catalogue (``images/_tool``). So whoever deploys afterwards reads them anew.
"""

import re
from pathlib import Path

from cluster.aws.commands import LOOK_MINUTES
from cluster.aws.context import Context
from cluster.driver.settings import Settings

_ROOT = Path(__file__).parents[2]
#: Minutes for each: to look, with the tools that are fetched the first time, to build all images
#: from nothing, to push them, and to copy those of others.
_LOOK, _BUILD, _PUSH, _COPY = 30, 180, 180, 60
#: A registry of Amazon's, with its region.
_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")


def make_images(context: Context) -> None:
    """Build and push the images that the registry lacks, and copy those of others.

    Raises:
        CommandFailed: something could not be had; what was pushed stays, and is written down.
    """
    lacking = context.commands.run(_build_words(context, "images-lacking"), _LOOK).split()
    if lacking:
        context.say(f"The registry lacks {', '.join(lacking)}")
        names = f"IMAGE={' '.join(lacking)}"
        context.commands.run((*_build_words(context, "images"), names), _BUILD)
        context.commands.run((*_build_words(context, "push"), names), _PUSH)
    context.commands.run(_build_words(context, "mirror"), _COPY)


def log_helm_in(context: Context, settings: Settings) -> None:
    """Let helm take copies of charts from Amazon's registry; others have their own logins.

    Args:
        context: of the cluster.
        settings: that name the copies.

    Raises:
        CommandFailed: the registry lets nobody in.
    """
    host = settings.registry.partition("/")[0]
    found = _ECR.fullmatch(host)
    if found and any("@sha256:" in place for place in settings.charts.values()):
        # The password is in no word and no log.
        password = f"aws ecr get-login-password --region {found[1]}"
        login = f"helm registry login --username AWS --password-stdin {host}"
        context.commands.run(("sh", "-c", f"{password} | {login}"), LOOK_MINUTES)


def _build_words(context: Context, target: str) -> tuple[str, ...]:
    settings = f"SETTINGS={context.file.resolve()}"
    return ("make", target, "--silent", "--no-print-directory", "-C", str(_ROOT), settings)
