"""Whole manifests of the shipped catalogue as literals: pools, queues, and what AWS gets.

Where a literal changes on purpose, ``NOTEBOOK_HPC_WRITE_GOLDEN=1`` writes it anew; read the
difference before it is committed.
"""

import json
import os
from pathlib import Path
from typing import Any

from cluster.aws.eksctl import build_cluster_config
from cluster.aws.karpenter import build_node_classes
from cluster.driver.aws_pulls import Pull
from cluster.driver.node_pools import NodeClass, build_node_pools
from cluster.driver.queues import build_queues, build_root_queue
from hub_config.platform.catalogue_file import load_catalogue
from tests.unit.cluster_aws.accounts import make_aws

LITERALS = Path(__file__).parent / "cluster"
CATALOGUE = load_catalogue(Path(__file__).parents[2] / "helm-values" / "catalogue.yaml")
NODE_CLASS = NodeClass("karpenter.k8s.aws", "EC2NodeClass", "default")


def assert_literal(name: str, found: list[dict[str, Any]]) -> None:
    path = LITERALS / f"{name}.json"
    if os.environ.get("NOTEBOOK_HPC_WRITE_GOLDEN"):
        path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(path.read_text())


def test_node_pools() -> None:
    assert_literal("node-pools", build_node_pools(CATALOGUE, NODE_CLASS))


def test_queues() -> None:
    assert_literal("queues", [build_root_queue(CATALOGUE), *build_queues(CATALOGUE)])


def test_cluster_on_aws() -> None:
    assert_literal("aws-cluster", [build_cluster_config(make_aws())])


def test_node_classes() -> None:
    quick, kept = Pull(parallel=True, throughput=600), Pull(snapshot="snap-0123456789abcdef0")
    aws = make_aws(
        local_disks=("jobs-gpu",), pulls={"jobs-general": quick, "sessions-general": kept}
    )

    assert_literal("aws-node-classes", build_node_classes(aws, CATALOGUE))
