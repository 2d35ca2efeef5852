"""The proxy as the hub sees it: routes, but no activity.

The hub looks at the routes now and then, gives a proxy that came back empty its routes again, and
takes the proxy's word for who is active. That word is wrong here, since the job panel in an open
browser asks all the time: what counts is what a server itself reports. Only
:mod:`hub_config.apply` imports it.

Source: https://jupyterhub.readthedocs.io/en/5.5.4/reference/proxy.html
"""

from typing import Any

from jupyterhub.proxy import ConfigurableHTTPProxy


class Proxy(ConfigurableHTTPProxy):  # type: ignore[misc]  # no types
    """configurable-http-proxy without its say about activity."""

    async def get_all_routes(self, *arguments: Any) -> dict[str, Any]:
        """The routes that are the hub's, as the base class gives them; what it takes varies."""
        routes: dict[str, Any] = await super().get_all_routes(*arguments)
        for route in routes.values():
            route["data"].pop("last_activity", None)
        return routes
