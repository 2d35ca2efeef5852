"""Accounts of AWS for tests: valid unless told otherwise."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from cluster.driver.aws_settings import Aws, Core, Network
from cluster.driver.settings import Ingress, Settings
from cluster.driver.volumes import build_volumes
from tests.factories import make_catalogue, make_group


def make_aws(**changes: Any) -> Aws:
    """A cluster in two zones of Frankfurt."""
    aws = Aws(
        account="111122223333",
        region="eu-central-1",
        partition="aws",
        cluster="lab",
        kubernetes="1.35",
        zones=("eu-central-1a", "eu-central-1b"),
        network=Network(
            IPv4Network("10.20.0.0/16"),
            IPv4Network("172.20.0.0/16"),
            "single",
            (IPv4Network("203.0.113.0/24"),),
        ),
        core=Core("m6i.large", 3),
        tags={"cost-center": "4711"},
    )
    return replace(aws, **changes)


CHINA = make_aws(region="cn-north-1", partition="aws-cn", zones=("cn-north-1a", "cn-north-1b"))


def make_storing(aws: Aws) -> Settings:
    """Settings of a cluster, with a group for the buckets that it has."""
    buckets = tuple(aws.storage.buckets) if aws.storage else ()
    group = make_group("spatial-lab", service_account="spatial-lab", buckets=buckets)
    catalogue = make_catalogue(groups=(replace(group, shared_folder=True),))
    return Settings(
        "https://hub.example.org",
        True,
        Path("catalogue.yaml"),
        catalogue,
        "registry.example",
        {},
        Ingress("alb", "arn:aws:acm:eu-central-1:111122223333:certificate/1"),
        "",
        build_volumes(aws, catalogue),
        {},
        {},
        aws=aws,
    )
