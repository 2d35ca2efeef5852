"""Volcano's queues from the catalogue's groups and job pools."""

import itertools
from pathlib import Path

from cluster.driver.queues import build_queues, build_root_queue
from hub_config.platform.catalogue import GIB, GPU_RESOURCE, Queue
from hub_config.platform.catalogue_file import load_catalogue
from hub_config.platform.choices import Choice
from hub_config.platform.pods import build_pod_fields
from hub_config.platform.workspace import Kind, build_workspace
from tests.factories import make_catalogue, make_class, make_group, make_person, make_pool

SHIPPED = Path(__file__).parents[3] / "helm-values" / "catalogue.yaml"


def test_root_has_what_the_job_pools_have_together() -> None:
    catalogue = make_catalogue(
        node_pools=(
            make_pool("sessions", limits={"cpu": 1000, "memory": 1000.0 * GIB, GPU_RESOURCE: 100}),
            make_pool("jobs", "job", limits={"cpu": 64.0, "memory": 512.0 * GIB}),
            make_pool("gpu", "job", limits={"cpu": 8.0, "memory": 64.0 * GIB, GPU_RESOURCE: 2}),
        ),
        classes=(make_class(cores=2, scratch_bytes=50 * GIB), make_class("x", scratch_bytes=GIB)),
    )

    root = build_root_queue(catalogue)

    assert root == {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "Queue",
        "metadata": {"name": "root"},
        "spec": {
            "weight": 1,
            "reclaimable": False,
            "capability": {
                "cpu": "72",
                "memory": "576Gi",
                GPU_RESOURCE: "2",
                # Beside its scratch space a pod may write 4 GiB.
                "ephemeral-storage": f"{72 * (50 + 4) // 2}Gi",
            },
        },
    }


def test_root_has_a_figure_also_for_what_no_pool_has() -> None:
    catalogue = make_catalogue(classes=(make_class(scratch_bytes=0),))

    capability = build_root_queue(catalogue)["spec"]["capability"]

    assert capability[GPU_RESOURCE] == "0"
    assert capability["ephemeral-storage"] != "0"


def test_no_jobs_within_the_pools_need_more_disk_than_root_has() -> None:
    classes = (
        make_class("thin", cores=0.5, scratch_bytes=7 * GIB),
        make_class("wide", cores=16, scratch_bytes=100 * GIB),
    )
    pool = make_pool("jobs", "job", limits={"cpu": 40.0, "memory": 512.0 * GIB})
    catalogue = make_catalogue(classes=classes, node_pools=(make_pool(), pool))

    disk = build_root_queue(catalogue)["spec"]["capability"]["ephemeral-storage"]

    needs = [
        thin * (7 + 4) + wide * (100 + 4)
        for thin, wide in itertools.product(range(81), range(3))
        if thin * 0.5 + wide * 16 <= 40
    ]
    assert disk == f"{max(needs)}Gi"


def test_each_group_has_a_leaf_queue_below_root() -> None:
    groups = (
        make_group("lab", queue=Queue(4, {"cpu": 32.0, "memory": 64.0 * GIB})),
        make_group("gpu-users", queue=Queue(1, {"cpu": 1, "memory": GIB, GPU_RESOURCE: 4})),
    )

    lab, gpu_users = build_queues(make_catalogue(groups=groups))

    assert lab == {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "Queue",
        "metadata": {"name": "lab"},
        "spec": {
            "weight": 4,
            "reclaimable": False,
            "parent": "root",
            # The zero matters: without it the group would have the root queue's GPUs.
            "capability": {"cpu": "32", "memory": "64Gi", GPU_RESOURCE: "0"},
        },
    }
    assert gpu_users["metadata"]["name"] == "gpu-users"
    assert gpu_users["spec"]["capability"][GPU_RESOURCE] == "4"


def test_root_lists_every_resource_that_a_jobs_pod_requests() -> None:
    catalogue = load_catalogue(SHIPPED)
    listed = build_root_queue(catalogue)["spec"]["capability"].keys()
    person = make_person("ada", catalogue.groups)

    for item in catalogue.classes.values():
        image = next(i for i in catalogue.images.values() if not catalogue.why_pair_fails(i, item))
        choice = Choice(catalogue.groups[item.groups[0]], image, item)
        workspace = build_workspace(catalogue, person, choice, Kind.JOB)
        (container,) = build_pod_fields(workspace)["spec"]["containers"]
        assert container["resources"]["requests"].keys() <= listed, item.slug
