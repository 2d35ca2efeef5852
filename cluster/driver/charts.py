"""Values of each chart, from the settings and the catalogue in them.

What stands in ``helm-values/`` holds for every installation; this is what follows from one. Whoever
installs by other means than ``make deploy`` gets the same from ``python -m cluster.driver values
CHART``. Pure.
"""

from collections.abc import Mapping
from typing import Any

from cluster.driver.aws_observe import SCRAPER
from cluster.driver.databases import build_hub_database, build_service_database
from cluster.driver.queues import build_queues
from cluster.driver.settings import Ingress, Settings
from cluster.driver.volumes import list_claims
from hub_config.platform.pods import HOMES_CLAIM, SHARED_CLAIM
from hub_config.platform.quantities import quantity
from offline_jobs.contract.names import build_service_url

Values = dict[str, Any]

#: Where sessions, hub, proxy and jobs service are, and where jobs are.
NAMESPACE, JOBS_NAMESPACE = "jupyterhub", "offline-jobs"
#: Before others' repositories in one's own registry; as images/_tool/mirror.py has it.
MIRROR = "mirror"
#: Answered by the proxy itself: by one of the hub's, a hub that restarts would cut off everybody.
HEALTH_PATH = "/_chp_healthz"
#: A kernel may be silent for long, and its connection is to stay. The most that an ALB allows.
IDLE_SECONDS = 4000
#: What a class of Ingress needs to serve notebooks: large uploads, connections that stay, TLS only.
#: Sources: https://kubernetes-sigs.github.io/aws-load-balancer-controller/v3.5/guide/ingress/annotations/
#: and https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/
ANNOTATIONS: Mapping[str, Mapping[str, str]] = {
    "alb": {
        "alb.ingress.kubernetes.io/scheme": "internet-facing",
        "alb.ingress.kubernetes.io/target-type": "ip",
        "alb.ingress.kubernetes.io/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        "alb.ingress.kubernetes.io/ssl-redirect": "443",
        "alb.ingress.kubernetes.io/ssl-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "alb.ingress.kubernetes.io/healthcheck-path": HEALTH_PATH,
        "alb.ingress.kubernetes.io/load-balancer-attributes": (
            f"idle_timeout.timeout_seconds={IDLE_SECONDS},"
            "routing.http.drop_invalid_header_fields.enabled=true"
        ),
    },
    "nginx": {
        "nginx.ingress.kubernetes.io/proxy-body-size": "0",
        "nginx.ingress.kubernetes.io/proxy-read-timeout": str(IDLE_SECONDS),
        "nginx.ingress.kubernetes.io/proxy-send-timeout": str(IDLE_SECONDS),
    },
}


def build_platform_values(settings: Settings) -> Values:
    """Of ``cluster/chart``: groups' accounts, claims and queues."""
    catalogue = settings.catalogue
    accounts = {group.service_account for group in catalogue.groups.values()}
    return {
        "jobsNamespace": JOBS_NAMESPACE,
        "accounts": sorted(accounts - {""}),
        "claims": [_build_claim(settings, name) for name in list_claims(catalogue)],
        "queues": [
            {"name": queue["metadata"]["name"], "spec": queue["spec"]}
            for queue in build_queues(catalogue)
        ],
    }


def build_hub_values(settings: Settings, shipped: Mapping[str, Any]) -> Values:
    """Of Zero to JupyterHub: address, image, storage class or database, login, Ingress.

    Args:
        settings: of the installation.
        shipped: ``helm-values/jupyterhub.yaml``, which names the hub's image.

    Source: https://github.com/jupyterhub/zero-to-jupyterhub-k8s/tree/4.4.0/jupyterhub/values.yaml
    """
    digest = settings.digests.get("hub", "")
    traits = {"public_url": settings.address}
    hub: Values = {"config": {"JupyterHub": traits}}
    if database := build_hub_database(settings):
        hub |= database
    elif settings.storage_class:
        hub["db"] = {"pvc": {"storageClassName": settings.storage_class}}
    own = shipped["hub"]["image"]
    # A tag may have a digest behind it, and the chart has no key for one.
    hub["image"] = {
        "name": f"{settings.registry}/{own['name']}" if settings.registry else own["name"],
        "tag": _build_tag(own["tag"], digest),
    }
    if _is_scraped(settings):
        # The chart makes a token for it (hub_config/access.py says what that may do).
        hub["services"] = {"prometheus": {}}
        port = {"port": "http", "protocol": "TCP"}
        hub["networkPolicy"] = {"ingress": [{"from": [SCRAPER], "ports": [port]}]}
    values: Values = {"hub": hub}
    if settings.subdomains:
        traits["subdomain_host"] = settings.address
        values["proxy"] = {"chp": {"extraCommandLineFlags": ["--host-routing"]}}
    if copied := settings.mirror.get("configurable-http-proxy"):
        name = f"{settings.registry}/{MIRROR}/jupyterhub/configurable-http-proxy"
        proxy = values.setdefault("proxy", {}).setdefault("chp", {})
        proxy["image"] = {"name": name, "tag": copied}
    # What the platform chooses for each session replaces it; the chart shows it, so it is true.
    image = settings.catalogue.default_image
    tag = _build_tag(image.tag, image.digest)
    values["singleuser"] = {"image": {"name": image.repository, "tag": tag}}
    if settings.login:
        values["custom"] = {"login": dict(settings.login)}
    if settings.ingress:
        hosts = [settings.host, *([f"*.{settings.host}"] if settings.subdomains else [])]
        values["ingress"] = _build_ingress(settings.ingress, hosts)
    return values


def build_volcano_values(settings: Settings) -> Values:
    """Of Volcano: whose registry its images are of, where they were copied.

    The chart has one tag for all of them, so they go by it; in one's own registry it stays.
    """
    if not settings.mirror:
        return {}
    return {"basic": {"image_registry": f"{settings.registry}/{MIRROR}"}}


def build_service_values(settings: Settings) -> Values:
    """Of the jobs service: address, image, storage class, its bucket and database on AWS."""
    values: Values = {
        "publicUrl": build_service_url(settings.address) if settings.subdomains else "",
        "hub": {"publicUrl": f"{settings.address}/"},
        "image": _build_service_image(settings.digests.get("jobs-service", "")),
        "jobs": {"namespace": JOBS_NAMESPACE},
        "storage": {"className": settings.storage_class},
        "demonstration": settings.is_demonstration,
    }
    if settings.aws and settings.aws.storage and settings.aws.storage.objects:
        bucket = settings.aws.storage.objects.name
        values["objects"] = {"bucket": f"s3://{bucket}", "region": settings.aws.region}
    if _is_scraped(settings):
        values["metrics"] = {"from": [SCRAPER]}
    return values | build_service_database(settings)


def _is_scraped(settings: Settings) -> bool:
    """Whether a Prometheus of ours is there."""
    return bool(settings.aws and settings.aws.observe and settings.aws.observe.metrics)


def _build_claim(settings: Settings, name: str) -> Values:
    volume = settings.volumes[name]
    holds_work = name in (HOMES_CLAIM, SHARED_CLAIM)
    return {
        "name": name,
        "mode": "ReadWriteMany" if holds_work else "ReadOnlyMany",
        "size": quantity(volume.size),
        "source": dict(volume.source),
        "mountOptions": list(volume.mount_options),
        "keep": holds_work,
    }


def _build_ingress(ingress: Ingress, hosts: list[str]) -> Values:
    annotations = dict(ANNOTATIONS.get(ingress.kind, {}))
    values: Values = {
        "enabled": True,
        "ingressClassName": ingress.kind,
        "hosts": hosts,
        "pathType": "Prefix",
    }
    if ingress.kind == "alb":
        annotations["alb.ingress.kubernetes.io/certificate-arn"] = ingress.certificate
    else:
        values["tls"] = [{"hosts": hosts, "secretName": ingress.certificate}]
    values["annotations"] = {**annotations, **ingress.annotations}
    return values


def _build_service_image(pushed: str) -> Values:
    tag, _, digest = pushed.rpartition("@")
    return {"digest": digest, **({"tag": tag} if tag else {})}


def _build_tag(tag: str, pushed: str) -> str:
    """A tag with what was pushed behind it, which may have its own."""
    return f"{tag}@{pushed}" if pushed and "@" not in pushed else pushed or tag
