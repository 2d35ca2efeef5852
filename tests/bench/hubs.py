"""Two hubs whose sessions are processes: the platform as ``make run`` has it, and a stock one.

The stock one has JupyterHub and JupyterLab as they come, JupyterHub's own spawner for one machine,
and its login that takes anybody. Both have the same proxy, which is no Python package.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub_config.embedded.supervisor import find_proxy
from tests.bench.many_users import GROUP, PEOPLE
from tests.bench.processes import BUILD, build_variables, running
from tests.platform_fixture import Platform
from tests.ports import find_free_port
from tests.site import Site, User

PATIENCE_SECONDS = 600
CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = {url!r}
c.JupyterHub.hub_bind_url = {own!r}
c.ConfigurableHTTPProxy.api_url = {api!r}
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.Spawner.args = ["--allow-root"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 300
"""


@dataclass(kw_only=True)
class StockHub(Site):
    """A stock JupyterHub."""

    address: str

    @property
    def url(self) -> str:
        """Where it is served, without a slash at the end."""
        return self.address


@dataclass
class People:
    """Ten people of a hub who have signed in, and what they ask for to get a session."""

    users: list[User]
    options: dict[str, str]


@contextmanager
def run_ours(folder: Path) -> Iterator[People]:
    """Start the platform of ``make run``, and sign in."""
    folder.mkdir()
    platform = Platform(folder / "state", module="tests.bench.many_users")
    with platform.running():
        yield sign_in(platform, {"group": GROUP, "image": "notebook", "class": "standard"})


@contextmanager
def run_stock(folder: Path, *, mended: bool = False) -> Iterator[People]:
    """Start a stock hub, and sign in; ``mended``: without the slow import."""
    folder.mkdir()
    ports = [f"http://127.0.0.1:{find_free_port()}" for _ in range(3)]
    configuration = folder / "jupyterhub_config.py"
    configuration.write_text(
        CONFIGURATION.format(
            url=ports[0],
            own=ports[1],
            api=ports[2],
            proxy=str(find_proxy()),
            homes=str(folder / "homes" / "{username}"),
        )
    )
    command = [str(BUILD / "stock" / "bin" / "jupyterhub"), "--config", str(configuration)]
    variables = build_variables("stock", folder, mended=mended)
    hub = StockHub(address=ports[0])
    with running(command, folder, variables, f"{hub.url}/hub/health"):
        try:
            yield sign_in(hub, {})
        finally:
            hub.close_users()


def sign_in(site: Site, options: dict[str, str]) -> People:
    """Ten people, whose clients wait for slow answers."""
    users = [site.sign_in(name) for name in PEOPLE]
    for user in users:
        user.api.timeout = user.client.timeout = PATIENCE_SECONDS
    return People(users, options)
