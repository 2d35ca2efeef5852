"""Puts the server extension into a jupyter_server: handlers, what they ask, busy kernels, shell.

The cookie against forged requests (``_xsrf``) goes over TLS alone where the hub is reached so: of
its own cookies JupyterHub marks that one nowhere.

Loaded by jupyter_server through the hook in ``offline_jobs/__init__.py``; nobody else imports it.
"""

import os

from jupyter_server.serverapp import ServerApp

from offline_jobs.server_extension.activity import BusyKernels, longest_session
from offline_jobs.server_extension.handlers import CLIENT_SETTING, HUB_SETTING, build_handlers
from offline_jobs.server_extension.hub import Hub
from offline_jobs.server_extension.service_client import ServiceClient


def _link_jupyter_server_extension(server: ServerApp) -> None:
    """Called by jupyter_server before it starts any extension, that of terminals too.

    Of itself it gives them a login shell where it runs in no terminal, and `/etc/profile` then
    takes the image's programs off the search path: `jupyter environment` were not found.
    """
    shell = [os.environ.get("SHELL") or "/bin/sh"]
    server.terminado_settings = {"shell_command": shell, **server.terminado_settings}


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Called by jupyter_server when it starts."""
    settings = server.web_app.settings
    settings[CLIENT_SETTING] = ServiceClient(os.environ)
    settings[HUB_SETTING] = Hub(os.environ)
    if os.environ.get("JUPYTERHUB_PUBLIC_URL", "").startswith("https://"):
        cookie = settings.get("xsrf_cookie_kwargs", {})
        settings["xsrf_cookie_kwargs"] = {**cookie, "secure": True}
    handlers = build_handlers(settings["base_url"])
    server.web_app.add_handlers(".*$", handlers)
    BusyKernels(server.kernel_manager, settings, longest_session(os.environ)).start()
    server.log.info("Offline jobs: server extension loaded.")
