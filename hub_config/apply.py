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
from hub_config.catalogue import Catalogue
from hub_config.form.page import TEMPLATES
from hub_config.logins.demonstration import (
    PASSWORD,
    USERS,
    DemonstrationAuthenticator,
    require_loopback,
)
from hub_config.settings import Cluster, OneMachine, Settings
from hub_config.spawners.local import LocalSpawner, Site

_GRACE_SECONDS = 10


def apply(c: Config, settings: Settings) -> None:
    """Configure the hub.

    Raises:
        ConfigurationError: for a login that may not be served there.
    """
    update_login(c, settings)
    update_addresses(c, settings)
    update_storage(c, settings)
    update_access(c, settings)
    update_spawner(c, settings)
    update_pages(c)


def update_login(c: Config, settings: Settings) -> None:
    """Who may sign in."""
    if settings.demonstration_host is not None:
        require_loopback(settings.demonstration_host)
        c.JupyterHub.authenticator_class = DemonstrationAuthenticator


def update_addresses(c: Config, settings: Settings) -> None:
    """Where hub and proxy listen and how they find each other."""
    c.JupyterHub.bind_url = settings.bind_url
    c.JupyterHub.hub_bind_url = settings.hub_bind_url
    if settings.hub_connect_url:
        c.JupyterHub.hub_connect_url = settings.hub_connect_url
    c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url
    c.ConfigurableHTTPProxy.auth_token = settings.proxy_token
    c.ConfigurableHTTPProxy.should_start = bool(settings.proxy_command)
    if settings.proxy_command:
        c.ConfigurableHTTPProxy.command = list(settings.proxy_command)
        c.ConfigurableHTTPProxy.pid_file = settings.proxy_pid_file


def update_storage(c: Config, settings: Settings) -> None:
    """What outlives the hub, and what ends with it."""
    c.JupyterHub.db_url = settings.database_url
    c.JupyterHub.cookie_secret = settings.cookie_secret
    # Where they end, they do at an orderly end (SIGTERM); a killed hub finds them again.
    c.JupyterHub.cleanup_servers = settings.ends_sessions
    c.JupyterHub.cleanup_proxy = settings.ends_sessions


def update_access(c: Config, settings: Settings) -> None:
    """Who may call whom."""
    c.JupyterHub.services = build_services(
        jobs_url=settings.jobs_url, jobs_token=settings.jobs_token, culler=settings.culler
    )
    c.JupyterHub.load_roles = build_roles()
    c.Spawner.server_token_scopes = build_server_scopes()


def update_spawner(c: Config, settings: Settings) -> None:
    """How a user's server starts; the only place that asks in which world."""
    # A refused start is no failure of the hub's; else a few bad requests would end the hub.
    c.Spawner.consecutive_failure_limit = 0
    c.Spawner.default_url = "/lab"
    c.Spawner.http_timeout = 60
    c.Spawner.environment = {
        "OFFLINE_JOBS_URL": f"{settings.jobs_url}/services/{JOBS_SERVICE}",
        "JUPYTERHUB_ACTIVITY_INTERVAL": str(settings.activity_seconds),
    }
    # Only what a server itself reports counts: the proxy sees the job panel's polling, too. This
    # also ends the hub's periodic look at the routes: its own proxy gets them back at a restart.
    c.JupyterHub.last_activity_interval = 0
    match settings.sessions:
        case OneMachine() as machine:
            update_local_spawner(c, settings.catalogue, machine)
        case Cluster() as cluster:
            update_kubernetes_spawner(c, settings.catalogue, cluster)


def update_local_spawner(c: Config, catalogue: Catalogue, machine: OneMachine) -> None:
    """Sessions are processes."""
    c.JupyterHub.spawner_class = LocalSpawner
    c.LocalSpawner.site = Site(
        catalogue=catalogue,
        state=machine.state,
        environments=machine.environments,
        examples=machine.examples,
        cores=machine.cores,
        memory_bytes=machine.memory_bytes,
        gpus=machine.gpus,
    )


def update_kubernetes_spawner(c: Config, catalogue: Catalogue, cluster: Cluster) -> None:
    """Sessions are pods.

    A profile's mappings are laid over what is configured here, so all that a profile decides is
    emptied: a chart's default would show through.
    """
    # Imported here: one machine needs no client of a cluster.
    from hub_config.spawners.kubernetes import KubernetesSpawner, Offering  # noqa: PLC0415

    c.JupyterHub.spawner_class = KubernetesSpawner
    c.KubernetesSpawner.offering = Offering(catalogue)
    spawner = c.KubeSpawner
    spawner.namespace = cluster.namespace
    spawner.start_timeout = cluster.start_seconds
    spawner.image_pull_policy = cluster.pull_policy
    # Kernels may take a moment to end.
    spawner.delete_grace_period = _GRACE_SECONDS
    spawner.cmd = []
    spawner.storage_pvc_ensure = False
    spawner.delete_pvc = False
    spawner.fs_gid = None
    spawner.supplemental_gids = []
    spawner.scheduler_name = None
    spawner.priority_class_name = ""
    for name in ("extra_labels", "extra_annotations", "node_selector", "extra_container_config"):
        spawner[name] = {}
    for name in (
        "extra_containers",
        "node_affinity_preferred",
        "node_affinity_required",
        "pod_affinity_preferred",
        "pod_affinity_required",
        "pod_anti_affinity_preferred",
        "pod_anti_affinity_required",
    ):
        spawner[name] = []


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
