"""A stand-in for the configuration file of the hub's chart, which the hub's pod is started with.

It says what the chart's own file makes of our values and of the chart's defaults before it executes
the files of a folder of the image, ours among them. What ours leaves as it is stays; what it does
not outrank shows, here as in a cluster.

Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub/files/hub
"""

import os
from pathlib import Path

from tornado.httpclient import AsyncHTTPClient

from hub_config import values as ours

c = get_config()  # type: ignore[name-defined]  # noqa: F821
values = ours.read_values(ours.MOUNT)

AsyncHTTPClient.configure("tornado.curl_httpclient.CurlAsyncHTTPClient")

c.ConfigurableHTTPProxy.api_url = ours.PROXY_API_URL
c.ConfigurableHTTPProxy.should_start = False
c.CryptKeeper.keys = (ours.MOUNT / "hub.config.CryptKeeper.keys").read_text().split(";")
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = ours.HUB_URL
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 60
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
database = values["hub"]["db"]
if database["type"] == "sqlite-pvc":
    c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
else:
    c.JupyterHub.db_url = database["url"]
for place in (ours.MOUNT.with_name(ours.EXISTING), ours.MOUNT):
    if database["type"] == "postgres" and (place / "hub.db.password").exists():
        os.environ["PGPASSWORD"] = (place / "hub.db.password").read_text()
        break
c.JupyterHub.concurrent_spawn_limit = values["hub"]["concurrentSpawnLimit"]
c.JupyterHub.allow_named_servers = values["hub"]["allowNamedServers"]
c.JupyterHub.base_url = values["hub"]["baseUrl"]
c.JupyterHub.template_paths = []
c.JupyterHub.template_vars = {}
c.JupyterHub.services = [
    {"name": "jupyterhub-idle-culler", "command": ["python3", "-m", "jupyterhub_idle_culler"]},
    *({"name": name, **each} for name, each in values["hub"]["services"].items()),
]
c.JupyterHub.load_roles = [
    {
        "name": "jupyterhub-idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["jupyterhub-idle-culler"],
    }
]
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.Spawner.cmd = "jupyterhub-singleuser"
c.Spawner.consecutive_failure_limit = 5

spawner = c.KubeSpawner
spawner.namespace = "jupyterhub"
spawner.common_labels = {"release": "jupyterhub", "chart": "jupyterhub-4.4.0"}
spawner.image = "{name}:{tag}".format(**values["singleuser"]["image"])
spawner.image_pull_policy = "IfNotPresent"
spawner.start_timeout = 300
spawner.events_enabled = True
spawner.allow_privilege_escalation = False
spawner.uid = 1000
spawner.fs_gid = 100
spawner.cpu_guarantee = spawner.cpu_limit = 0.1
spawner.mem_guarantee = spawner.mem_limit = "256M"
spawner.extra_labels = {"hub.jupyter.org/network-access-hub": "true"}
spawner.tolerations = [
    {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
    for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
]
for name in (
    "environment",
    "extra_annotations",
    "extra_pod_config",
    "extra_resource_guarantees",
    "extra_resource_limits",
    "lifecycle_hooks",
    "node_selector",
    "storage_extra_labels",
    "volumes",
    "volume_mounts",
):
    spawner[name] = {}
for name in (
    "extra_containers",
    "init_containers",
    "node_affinity_preferred",
    "node_affinity_required",
    "pod_affinity_preferred",
    "pod_affinity_required",
    "pod_anti_affinity_preferred",
    "pod_anti_affinity_required",
    "profile_list",
):
    spawner[name] = []

# What the values say of classes themselves; anybody gets in where they say nothing.
sections = values["hub"].get("config", {})
c.JupyterHub.admin_access = True
c.JupyterHub.authenticator_class = "dummy"
for section, traits in sections.items():
    c[section].update(traits)

for path in sorted(Path("/usr/local/etc/jupyterhub/jupyterhub_config.d").glob("*.py")):
    load_subconfig(str(path))  # type: ignore[name-defined]  # noqa: F821
