"""The only writer of JupyterHub's traits.

``apply(c, settings)`` goes through one function per area; a configuration file does nothing but
call it. Each function only sets and never appends, so that applying twice changes nothing.
Imported by configuration files (:mod:`hub_config.embedded.jupyterhub_config`) and tests.
"""

from typing import Any

from traitlets.config import Config

from hub_config.access import (
    JOBS_SERVICE,
    build_roles,
    build_server_scopes,
    build_services,
)
from hub_config.catalogue_file import load_catalogue
from hub_config.form.page import TEMPLATES
from hub_config.logins.demonstration import (
    PASSWORD,
    USERS,
    DemonstrationAuthenticator,
    require_loopback,
)
from hub_config.settings import LOOPBACK, Settings
from hub_config.spawners.local import LocalSpawner, Site


def apply(c: Config, settings: Settings) -> None:
    """Configure the hub.

    Raises:
        ConfigurationError: for a catalogue with mistakes, or a login that may not be served there.
    """
    update_login(c, settings)
    update_addresses(c, settings)
    update_storage(c, settings)
    update_access(c, settings)
    update_spawner(c, settings)
    update_pages(c)


def update_login(c: Config, settings: Settings) -> None:
    """Who may sign in."""
    require_loopback(settings.host)
    c.JupyterHub.authenticator_class = DemonstrationAuthenticator


def update_addresses(c: Config, settings: Settings) -> None:
    """Where hub and proxy listen and how they find each other."""
    c.JupyterHub.bind_url = f"http://{settings.host}:{settings.port}"
    c.JupyterHub.hub_bind_url = f"http://{LOOPBACK}:{settings.hub_port}"
    c.ConfigurableHTTPProxy.api_url = f"http://{LOOPBACK}:{settings.proxy_port}"
    c.ConfigurableHTTPProxy.auth_token = settings.proxy_token
    c.ConfigurableHTTPProxy.command = list(settings.proxy_command)
    c.ConfigurableHTTPProxy.pid_file = str(settings.state / "hub" / "proxy.pid")


def update_storage(c: Config, settings: Settings) -> None:
    """What outlives the hub, and what ends with it."""
    c.JupyterHub.db_url = f"sqlite:///{settings.state / 'hub' / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(settings.cookie_secret_file)
    # An orderly end (SIGTERM) ends all servers; a killed hub finds them again.
    c.JupyterHub.cleanup_servers = True
    c.JupyterHub.cleanup_proxy = True


def update_access(c: Config, settings: Settings) -> None:
    """Who may call whom."""
    c.JupyterHub.services = build_services(
        jobs_url=f"http://{LOOPBACK}:{settings.service_port}",
        jobs_token=settings.service_token,
        culler_token=settings.culler_token,
    )
    c.JupyterHub.load_roles = build_roles()
    c.Spawner.server_token_scopes = build_server_scopes()


def update_spawner(c: Config, settings: Settings) -> None:
    """How a user's server starts."""
    c.JupyterHub.spawner_class = LocalSpawner
    # A refused start is no failure of the hub's; else a few bad requests would end the hub.
    c.Spawner.consecutive_failure_limit = 0
    c.Spawner.default_url = "/lab"
    c.Spawner.http_timeout = 60
    c.Spawner.environment = {
        "OFFLINE_JOBS_URL": f"http://{LOOPBACK}:{settings.service_port}/services/{JOBS_SERVICE}",
        "JUPYTERHUB_ACTIVITY_INTERVAL": str(settings.activity_seconds),
    }
    # Only what a server itself reports counts: the proxy sees the job panel's polling, too. This
    # also ends the hub's periodic look at the routes: its own proxy gets them back at a restart.
    c.JupyterHub.last_activity_interval = 0
    c.LocalSpawner.site = Site(
        catalogue=load_catalogue(settings.catalogue),
        state=settings.state,
        environments=settings.environments,
        examples=settings.examples,
        cores=settings.cores,
        memory_bytes=settings.memory_bytes,
        gpus=settings.gpus,
    )


def update_pages(c: Config) -> None:
    """How the hub's own pages look."""
    c.JupyterHub.template_paths = [str(TEMPLATES)]
    variables: dict[str, Any] = {
        "service_titles": {JOBS_SERVICE: "Offline jobs"},
        "demonstration": {"users": USERS, "password": PASSWORD},
    }
    c.JupyterHub.template_vars = variables
    c.JupyterHub.tornado_settings = {
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
        # A start takes a few seconds; show its page instead of a browser that only spins.
        "slow_spawn_timeout": 2,
    }
