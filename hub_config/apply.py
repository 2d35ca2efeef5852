"""The only writer of JupyterHub's traits.

``apply(c, settings)`` goes through one function per area; a configuration file does nothing but
call it. Each function only sets and never appends, so that applying twice changes nothing.
Imported by configuration files (:mod:`hub_config.embedded.jupyterhub_config`) and tests.
"""

from typing import Any
from urllib.parse import urljoin, urlsplit

from jupyterhub.app import JupyterHub
from tornado.web import RedirectHandler
from traitlets.config import Config

from hub_config.access import (
    build_roles,
    build_server_scopes,
    build_services,
)
from hub_config.departures import extend_login
from hub_config.form.page import TEMPLATES
from hub_config.jobs_service import JobsService
from hub_config.logins.demonstration import DemonstrationAuthenticator, require_loopback
from hub_config.logins.demonstration_users import PASSWORD, USERS
from hub_config.platform import away
from hub_config.platform.catalogue import Catalogue
from hub_config.platform.login import Login
from hub_config.proxy import Proxy
from hub_config.sessions import Courier
from hub_config.settings import Cluster, OneMachine, Settings
from hub_config.spawners.local import LocalOffering, LocalSpawner
from offline_jobs.contract.names import SERVICE_PREFIX, build_service_url
from offline_jobs.contract.session import ENV_SERVICE_URL

#: A label of the Zero to JupyterHub chart's.
HUB_ACCESS_LABEL = "hub.jupyter.org/network-access-hub"
_GRACE_SECONDS = 10
_ROUTES_SECONDS = 5


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
    update_pages(c, settings)


def update_login(c: Config, settings: Settings) -> None:
    """Who may sign in, and what is done before somebody is deleted."""
    if settings.demonstration_host is not None:
        require_loopback(settings.demonstration_host)
        c.JupyterHub.authenticator_class = DemonstrationAuthenticator
    if settings.login is not None:
        update_provider(c, settings.login, settings.public_url)
    if settings.subdomain_host.startswith("https://"):
        # Imported here: the demonstration on one machine needs no library for it.
        from hub_config.logins.cookies import protect_sign_in  # noqa: PLC0415

        protect_sign_in()
    trait = JupyterHub.authenticator_class
    chosen = c.JupyterHub.get("authenticator_class", trait.default_value)
    jobs = JobsService(settings.jobs_url, settings.jobs_token)
    c.JupyterHub.authenticator_class = extend_login(trait.validate(JupyterHub, chosen), jobs)


def update_provider(c: Config, login: Login, public_url: str) -> None:
    """People sign in at a provider that knows their groups."""
    # Imported here: the demonstration needs no library for it.
    from hub_config.logins.providers import build_traits, choose_class  # noqa: PLC0415

    chosen = choose_class(login)
    c.JupyterHub.authenticator_class = chosen
    # The section of its own outranks those of its bases, where the client's secret is.
    c[chosen.__name__].update(build_traits(login, urljoin(public_url, "/hub/oauth_callback")))


def update_addresses(c: Config, settings: Settings) -> None:
    """Where hub and proxy listen and how they find each other."""
    c.JupyterHub.bind_url = settings.bind_url
    c.JupyterHub.hub_bind_url = settings.hub_bind_url
    if settings.hub_connect_url:
        c.JupyterHub.hub_connect_url = settings.hub_connect_url
    c.JupyterHub.subdomain_host = settings.subdomain_host
    # Only its own host may set a cookie whose name begins so: no page of a user's server can.
    c.JupyterHub.cookie_host_prefix_enabled = settings.subdomain_host.startswith("https://")
    c.JupyterHub.extra_handlers = build_redirects(settings.subdomain_host)
    c.JupyterHub.proxy_class = Proxy
    # How long a proxy that came back without its routes stays without them.
    c.JupyterHub.last_activity_interval = _ROUTES_SECONDS
    c.ConfigurableHTTPProxy.api_url = settings.proxy_api_url
    c.ConfigurableHTTPProxy.auth_token = settings.proxy_token
    c.ConfigurableHTTPProxy.should_start = bool(settings.proxy_command)
    if settings.proxy_command:
        c.ConfigurableHTTPProxy.command = list(settings.proxy_command)
        c.ConfigurableHTTPProxy.pid_file = settings.proxy_pid_file


def build_redirects(subdomain_host: str) -> list[tuple[str, type[RedirectHandler], dict[str, Any]]]:
    """What leads from the hub's host to the jobs service where that has a host of its own.

    Lab in images that people have knows it by its path alone.
    """
    if not subdomain_host:
        return []
    there = build_service_url(subdomain_host) + "{0}"
    return [(rf"{SERVICE_PREFIX}(.*)", RedirectHandler, {"url": there, "permanent": False})]


def update_storage(c: Config, settings: Settings) -> None:
    """What outlives the hub, and what ends with it."""
    c.JupyterHub.db_url = settings.database_url
    c.JupyterHub.cookie_secret = settings.cookie_secret
    # Where they end, they do at an orderly end (SIGTERM); a killed hub finds them again.
    c.JupyterHub.cleanup_servers = settings.ends_sessions
    c.JupyterHub.cleanup_proxy = settings.ends_sessions
    # It answers before it has looked at every server that it finds: one may wait for its machine.
    c.JupyterHub.init_spawners_timeout = 1


def update_access(c: Config, settings: Settings) -> None:
    """Who may call whom."""
    c.JupyterHub.services = build_services(
        jobs_url=settings.jobs_url,
        jobs_token=settings.jobs_token,
        culler=settings.culler,
        metrics_token=settings.metrics_token,
    )
    c.JupyterHub.load_roles = build_roles(
        culls=settings.culler is not None, is_scraped=bool(settings.metrics_token)
    )


def update_spawner(c: Config, settings: Settings) -> None:
    """How a user's server starts; the only place that asks in which world."""
    match settings.sessions:
        case OneMachine() as machine:
            spawner = update_local_spawner(c, settings.catalogue, machine)
        case Cluster() as cluster:
            spawner = update_kubernetes_spawner(c, settings.catalogue, cluster)
    # A refused start is no failure of the hub's; else a few bad requests would end the hub.
    spawner.consecutive_failure_limit = 0
    spawner.courier = Courier(JobsService(settings.jobs_url, settings.jobs_token))
    spawner.idle_seconds = settings.idle_seconds
    spawner.default_url = "/lab"
    spawner.http_timeout = 60
    spawner.server_token_scopes = build_server_scopes()
    spawner.environment = {
        ENV_SERVICE_URL: settings.jobs_url + SERVICE_PREFIX.rstrip("/"),
        "JUPYTERHUB_ACTIVITY_INTERVAL": str(settings.activity_seconds),
    }


def update_local_spawner(c: Config, catalogue: Catalogue, machine: OneMachine) -> Config:
    """Sessions are processes.

    Returns:
        the section of the spawner's own class, which outranks those of its bases.
    """
    c.JupyterHub.spawner_class = LocalSpawner
    spawner: Config = c.LocalSpawner
    spawner.offering = LocalOffering(
        catalogue=catalogue,
        state=machine.state,
        environments=machine.environments,
        cores=machine.cores,
        memory_bytes=machine.memory_bytes,
        gpus=machine.gpus,
    )
    return spawner


def update_kubernetes_spawner(c: Config, catalogue: Catalogue, cluster: Cluster) -> Config:
    """Sessions are pods.

    A profile's mappings are laid over what is configured here, so all that a profile decides is
    emptied: a chart's default would show through.

    Returns:
        the section of the spawner's own class, which outranks those of its bases: the chart's
        configuration has written to theirs.
    """
    # Imported here: one machine needs no client of a cluster.
    from hub_config.spawners.kubernetes import KubernetesSpawner, Offering  # noqa: PLC0415

    c.JupyterHub.spawner_class = KubernetesSpawner
    spawner: Config = c.KubernetesSpawner
    spawner.offering = Offering(catalogue)
    spawner.profile_list = KubernetesSpawner.build_profile_list
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
    # What the chart's network policy of the hub asks of whoever calls it.
    spawner.extra_labels = {HUB_ACCESS_LABEL: "true"}
    for name in ("extra_annotations", "node_selector", "extra_container_config"):
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
    return spawner


def update_pages(c: Config, settings: Settings) -> None:
    """How the hub's own pages look."""
    c.JupyterHub.template_paths = [str(TEMPLATES), str(away.PAGES)]
    variables: dict[str, Any] = {
        "home": f"{settings.subdomain_host}/hub/home",
        # Whose cookie the theme is: where the jobs service has a host of its own, for that too.
        "theme_domain": urlsplit(settings.subdomain_host).hostname or "",
        # Whose header leads to the page of groups.
        "leads": sorted(
            {name for each in settings.catalogue.groups.values() for name in each.leads}
        ),
    }
    if settings.demonstration_host is not None:
        variables["demonstration"] = {"users": USERS, "password": PASSWORD}
    c.JupyterHub.template_vars = variables
    tornado: dict[str, Any] = {
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"},
        # A start takes a few seconds; show its page instead of a browser that only spins.
        "slow_spawn_timeout": 2,
    }
    if (settings.public_url or settings.subdomain_host).startswith("https://"):
        # Of its cookies JupyterHub marks all others so by itself.
        tornado["xsrf_cookie_kwargs"] = {"secure": True}
    c.JupyterHub.tornado_settings = tornado
