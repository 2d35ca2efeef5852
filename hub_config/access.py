"""Who may call whom: services, roles and scopes of the hub.

A user's server may call the jobs service, may stop itself, and nothing more than JupyterHub gives
it anyway. For that the *user* must hold the scope and the *server's token* must ask for it; either
alone gives nothing. Pure; :mod:`hub_config.apply` writes the results.

Source: https://jupyterhub.readthedocs.io/en/5.5.4/rbac/scopes.html
"""

from collections.abc import Mapping
from typing import Any

from offline_jobs.contract.names import SERVICE_NAME

JOBS_CLIENT_ID = f"service-{SERVICE_NAME}"
IDLE_CULLER = "idle-culler"
#: Prometheus, where there is one: the name of its entry among the chart's services.
METRICS = "prometheus"
ACCESS_JOBS = f"access:services!service={SERVICE_NAME}"
#: Where one is submitted and the session is not needed any more (``session/stop`` in Lab).
STOP_ITSELF = "delete:servers!server"


def build_services(
    jobs_url: str, jobs_token: str, culler: Mapping[str, Any] | None, metrics_token: str = ""
) -> list[dict[str, Any]]:
    """The hub's services. The jobs service outlives the hub, which only routes to it and knows it.

    Args:
        jobs_url: where the proxy finds the jobs service.
        jobs_token: what the jobs service says to the hub.
        culler: how the idle culler is started (``command``) or known (``api_token``), if there is
            one.
        metrics_token: what Prometheus says to the hub; empty where nobody scrapes it.
    """
    services: list[dict[str, Any]] = [
        {
            "name": SERVICE_NAME,
            "url": jobs_url,
            "api_token": jobs_token,
            "oauth_client_id": JOBS_CLIENT_ID,
            # Run by the administrator, so asking everybody for consent would teach nothing.
            "oauth_no_confirm": True,
            "display": True,
        },
    ]
    if culler is not None:
        services.append({"name": IDLE_CULLER, "display": False, **culler})
    if metrics_token:
        services.append({"name": METRICS, "display": False, "api_token": metrics_token})
    return services


def build_roles(*, culls: bool = True, is_scraped: bool = False) -> list[dict[str, Any]]:
    """Roles of users and services; each service may do what it needs and no more.

    Args:
        culls: whether there is an idle culler; the hub does not start with a role for a service
            that it does not have.
        is_scraped: whether Prometheus has a token.
    """
    roles: list[dict[str, Any]] = [
        # Redefining a role of the hub replaces its scopes, so "self" is repeated.
        {"name": "user", "scopes": ["self", ACCESS_JOBS]},
        {
            "name": SERVICE_NAME,
            "description": "Who somebody is and which groups they are in",
            "scopes": ["read:users:name", "read:users:groups", "list:users", "read:roles:users"],
            "services": [SERVICE_NAME],
        },
    ]
    if culls:
        culler = {
            "name": IDLE_CULLER,
            "description": "Stop servers that nobody uses",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": [IDLE_CULLER],
        }
        roles.append(culler)
    if is_scraped:
        metrics = {
            "name": METRICS,
            "description": "Read what the hub counts",
            "scopes": ["read:metrics"],
            "services": [METRICS],
        }
        roles.append(metrics)
    return roles


def build_server_scopes() -> list[str]:
    """What the token of a user's server may do."""
    return ["access:servers!server", "users:activity!user", ACCESS_JOBS, STOP_ITSELF]
