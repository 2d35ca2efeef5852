"""A stand-in for the hub's chart (Zero to JupyterHub): the objects that it would make.

Hub and proxy with their Services, the hub's rights, its Secret with the chart's values and its
configuration file; and what a deployment makes before the chart: claims of homes, shared folders
and buckets in both namespaces, and the groups' accounts. The chart itself is in no package
registry. Pure; used by :mod:`tests.bed.hub.stand_in` only.

Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub/templates
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hub_config.platform.catalogue import Catalogue
from hub_config.platform.pods import DATA_CLAIM_PREFIX, HOMES_CLAIM, SHARED_CLAIM
from hub_config.values import VALUES
from tests.bed import nodes
from tests.bed.claims import build_pairs, build_volume
from tests.bed.client import Object

#: Sessions are beside the hub; jobs have a namespace of their own.
NAMESPACE, JOBS_NAMESPACE = "jupyterhub", "offline-jobs"
SECRET = "hub"
SERVICE_CLAIM, HUB_CLAIM = "offline-jobs", "hub-db-dir"
#: What the hub's pod is started with; it executes our file of the image.
CONFIGURATION = Path(__file__).with_name("jupyterhub_config.py")
_CONFIGURATION_MOUNT = "/usr/local/etc/jupyterhub/jupyterhub_config.py"
_MOUNT = "/usr/local/etc/jupyterhub/secret"
_TEMPORARY = "/tmp"  # noqa: S108  (a volume of the pod's own)
_PROXY_TOKEN = "hub.config.ConfigurableHTTPProxy.auth_token"
#: Keys of the Secret that the chart fills with random texts, in hexadecimal.
RANDOM_KEYS = (
    _PROXY_TOKEN,
    "hub.config.JupyterHub.cookie_secret",
    "hub.services.offline-jobs.apiToken",
)
#: What the chart's own containers have, too.
_SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "runAsGroup": 100,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def build_namespace(name: str) -> Object:
    """A namespace that admits only pods with restricted rights."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return _build("v1", "Namespace", name, metadata={"labels": labels})


def build_secret(
    values: Mapping[str, Any], random_texts: Mapping[str, str], namespace: str = NAMESPACE
) -> Object:
    """The chart's Secret: its values, and the texts of :data:`RANDOM_KEYS`."""
    texts = {VALUES: yaml.safe_dump(dict(values), sort_keys=False), **random_texts}
    return _build("v1", "Secret", SECRET, namespace, stringData=texts)


def build_storage(catalogue: Catalogue, folder: Path) -> Iterator[Object]:
    """Volumes of this machine's folders, and the claims that take them.

    Args:
        catalogue: for the groups' buckets.
        folder: with a folder for each volume (:func:`list_folders`).
    """
    shared = list_shared_claims(catalogue)
    for namespace in (NAMESPACE, JOBS_NAMESPACE):
        yield from build_pairs(shared, namespace, folder, mode="ReadWriteMany")
    yield from build_pairs([HUB_CLAIM], NAMESPACE, folder, mode="ReadWriteOnce")
    # The service's chart makes its own claim.
    yield build_volume(SERVICE_CLAIM, NAMESPACE, folder / SERVICE_CLAIM, mode="ReadWriteOnce")


def list_folders(catalogue: Catalogue) -> list[str]:
    """Names of the volumes' folders."""
    return [*list_shared_claims(catalogue), SERVICE_CLAIM, HUB_CLAIM]


def list_shared_claims(catalogue: Catalogue) -> list[str]:
    """Names of the claims that sessions and jobs have in common."""
    buckets = {bucket for group in catalogue.groups.values() for bucket in group.buckets}
    return [HOMES_CLAIM, SHARED_CLAIM, *(f"{DATA_CLAIM_PREFIX}{name}" for name in sorted(buckets))]


def build_accounts(catalogue: Catalogue) -> Iterator[Object]:
    """The groups' accounts for sessions; the jobs service's chart makes those for jobs."""
    for group in catalogue.groups.values():
        if group.service_account:
            account = _build("v1", "ServiceAccount", group.service_account, NAMESPACE)
            yield account | {"automountServiceAccountToken": False}


def build_hub(image: str, *, secret: Object) -> Iterator[Object]:
    """The hub: its account and rights, its Service, its Deployment.

    Args:
        image: of the hub.
        secret: as :func:`build_secret` makes it; with another one, or another configuration file,
            the hub starts anew.
    """
    yield _build("v1", "ServiceAccount", "hub", NAMESPACE)
    yield _build(
        "rbac.authorization.k8s.io/v1",
        "Role",
        "hub",
        NAMESPACE,
        rules=[
            {
                "apiGroups": [""],
                "resources": ["pods", "persistentvolumeclaims", "secrets", "services"],
                "verbs": ["get", "watch", "list", "create", "delete"],
            },
            {"apiGroups": [""], "resources": ["events"], "verbs": ["get", "watch", "list"]},
        ],
    )
    yield _build(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "hub",
        NAMESPACE,
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hub"},
        subjects=[{"kind": "ServiceAccount", "name": "hub", "namespace": NAMESPACE}],
    )
    file = CONFIGURATION.read_text(encoding="utf-8")
    yield _build("v1", "ConfigMap", "hub", NAMESPACE, data={CONFIGURATION.name: file})
    yield _build_service("hub", "hub", {8081: 8081})
    yield _build_deployment(
        "hub",
        {
            "image": image,
            "args": ["jupyterhub", "--config", _CONFIGURATION_MOUNT],
            "ports": [{"containerPort": 8081}],
            "readinessProbe": {
                "httpGet": {"path": "/hub/health", "port": 8081},
                "periodSeconds": 1,
            },
            "volumeMounts": [
                {"name": "secret", "mountPath": _MOUNT, "readOnly": True},
                {
                    "name": "configuration",
                    "mountPath": _CONFIGURATION_MOUNT,
                    "subPath": CONFIGURATION.name,
                    "readOnly": True,
                },
                {"name": "state", "mountPath": "/srv/jupyterhub"},
                {"name": "temporary", "mountPath": _TEMPORARY},
            ],
        },
        annotations={"checksum": hashlib.sha256(repr((secret, file)).encode()).hexdigest()},
        serviceAccountName="hub",
        volumes=[
            {"name": "secret", "secret": {"secretName": SECRET}},
            {"name": "configuration", "configMap": {"name": "hub"}},
            {"name": "state", "persistentVolumeClaim": {"claimName": HUB_CLAIM}},
            {"name": "temporary", "emptyDir": {}},
        ],
    )


def build_proxy(image: str) -> Iterator[Object]:
    """The proxy: its two Services, its Deployment."""
    yield _build_service("proxy-api", "proxy", {8001: 8001})
    yield _build_service("proxy-public", "proxy", {80: 8000})
    reference = {"secretKeyRef": {"name": SECRET, "key": _PROXY_TOKEN}}
    yield _build_deployment(
        "proxy",
        {
            "image": image,
            "args": [
                *("--ip=0.0.0.0", "--port=8000", "--api-ip=0.0.0.0", "--api-port=8001"),
                *("--default-target=http://hub:8081", "--error-target=http://hub:8081/hub/error"),
            ],
            "env": [{"name": "CONFIGPROXY_AUTH_TOKEN", "valueFrom": reference}],
            "ports": [{"containerPort": 8000}, {"containerPort": 8001}],
            "readinessProbe": _build_probe("/_chp_healthz", 8000),
            "volumeMounts": [{"name": "temporary", "mountPath": _TEMPORARY}],
        },
        automountServiceAccountToken=False,
        volumes=[{"name": "temporary", "emptyDir": {}}],
    )


def _build_service(name: str, component: str, ports: Mapping[int, int]) -> Object:
    return _build(
        "v1",
        "Service",
        name,
        NAMESPACE,
        spec={
            "selector": {"component": component},
            "ports": [
                {"name": f"port-{port}", "port": port, "targetPort": target}
                for port, target in ports.items()
            ],
        },
    )


def _build_probe(path: str, port: int) -> Object:
    return {"httpGet": {"path": path, "port": port}, "periodSeconds": 1}


def _build_deployment(
    name: str,
    container: Mapping[str, Any],
    *,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Object:
    labels = {"app": "jupyterhub", "component": name}
    return _build(
        "apps/v1",
        "Deployment",
        name,
        NAMESPACE,
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": dict(annotations or {})},
                "spec": {
                    "enableServiceLinks": False,
                    "nodeSelector": {"kubernetes.io/hostname": nodes.SESSIONS},
                    "terminationGracePeriodSeconds": 10,
                    "containers": [
                        {
                            "name": name,
                            "imagePullPolicy": "IfNotPresent",
                            "securityContext": {**_SECURITY, "readOnlyRootFilesystem": True},
                            **container,
                        }
                    ],
                    **spec,
                },
            },
        },
    )


def _build(
    api_version: str,
    kind: str,
    name: str,
    namespace: str = "",
    *,
    metadata: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Object:
    place = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {**place, **(metadata or {})},
        **fields,
    }
