"""What an upgrade would change and what forbids it, and what is said of sessions and jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cluster.aws.eksctl import build_addon_upgrade, build_cluster_config
from cluster.aws.order import PLACES
from cluster.aws.plan import build_files
from cluster.aws.running import Pod, compare, count, tell_old_machines
from cluster.aws.skew import (
    PINS,
    Machine,
    NodeGroup,
    Present,
    find_hindrances,
    find_newer_charts,
    find_other_groups,
    judge_insights,
    judge_update,
    list_changes,
    list_wanted,
    name_images,
    name_newest_release,
)
from cluster.driver.versions import read_compatibility, read_versions
from tests.unit.cluster_aws.accounts import make_aws
from tests.unit.cluster_aws.test_karpenter import make_settings

VERSIONS = {"VOLCANO_VERSION": "1.16.2", "KARPENTER_VERSION": "1.14.1"}
TABLE = {
    "VOLCANO_VERSION": {"1.16": {"oldest": "1.33", "newest": "1.36"}},
    "KARPENTER_VERSION": {"1.14": {"oldest": "1.30", "newest": "1.36"}},
}


def make_present(kubernetes: str = "1.35", **fields: Any) -> Present:
    return Present(**{"kubernetes": kubernetes, "releases": {}, "machines": (), **fields})


def find(present: Present, kubernetes: str) -> list[str]:
    return list(find_hindrances(present, kubernetes, VERSIONS, TABLE))


@pytest.mark.parametrize("kubernetes", ["1.35", "1.36"])
def test_one_version_up_or_none_is_fine(kubernetes: str) -> None:
    assert find(make_present(), kubernetes) == []


@pytest.mark.parametrize(
    ("there", "wanted", "said"),
    [
        ("1.35", "1.34", 'goes no way back. Write kubernetes: "1.35"'),
        ("1.33", "1.35", 'one at a time: write kubernetes: "1.34" first'),
        # By their numbers, not as texts.
        ("1.9", "1.11", 'write kubernetes: "1.10" first'),
        ("1.36", "2.0", 'write kubernetes: "1.37" first'),
    ],
)
def test_kubernetes_goes_up_by_one(there: str, wanted: str, said: str) -> None:
    found = find(make_present(there), wanted)

    assert said in found[0]


def test_charts_have_to_go_with_the_version_before_for_they_come_first() -> None:
    (said,) = find(make_present("1.32"), "1.33")

    assert said.startswith("Volcano 1.16.2 is for Kubernetes 1.33 to 1.36, and it would be")
    assert "while the cluster still has 1.32: upgrade with an earlier release" in said


def test_the_pins_go_with_the_kubernetes_before_theirs() -> None:
    """So that this release upgrades clusters of the one before."""
    versions = read_versions()
    major, minor = versions["KUBERNETES_VERSION"].split(".")
    before = f"{major}.{int(minor) - 1}"

    there = make_present(before)
    wanted = versions["KUBERNETES_VERSION"]
    assert list(find_hindrances(there, wanted, versions, read_compatibility())) == []


def test_machines_that_are_kept_by_long_work_are_named_before_they_are_too_old() -> None:
    machines = (Machine("ip-1", "1.33", "jobs"), Machine("ip-2", "1.32", "jobs"))

    assert find(make_present(machines=machines), "1.35") == []
    (said,) = find(make_present(machines=machines), "1.36")
    assert said.startswith("Machine ip-2 has a kubelet of 1.32, which an API server of 1.36 does")
    assert "spec.nodeName=ip-2" in said


def test_groups_of_machines_have_to_be_as_the_control_plane_before_it_changes() -> None:
    core = NodeGroup("core", "1.34", "1.34.1-1", "AL2023_x86_64_STANDARD", "ACTIVE")
    mine = replace(core, name="mine")

    said = list(find_other_groups([core, mine], "lab", "1.35", "1.36"))

    assert 'write kubernetes: "1.35", and run this for it first' in said[0]
    how = "eksctl upgrade nodegroup --cluster lab --name mine --kubernetes-version 1.35"
    assert said[1].endswith(how)
    # The rest of an upgrade that was ended.
    assert list(find_other_groups([core], "lab", "1.35", "1.35")) == []
    assert list(find_other_groups([core], "lab", "1.34", "1.35")) == []


def test_charts_do_not_go_back() -> None:
    wanted = {"karpenter": "1.14.1", "volcano": "1.15.1", "grafana": "12.11.1"}
    releases = {"karpenter": "1.14.10", "volcano": "1.9.2", "mine": "9.0.0"}
    present = make_present(releases=releases)

    (said,) = find_newer_charts(present, wanted)
    assert said.startswith("Chart karpenter is there as 1.14.10, and this checkout has 1.14.1")


def test_what_would_change_is_told_in_words() -> None:
    machines = (
        *(Machine(f"ip-{each}", "1.35", "jobs") for each in range(2)),
        *(Machine("ip-3", "1.36", "jobs"), Machine("ip-4", "1.35")),
    )
    releases = {"karpenter": "1.13.0", "volcano": "v1.15.1"}
    present = make_present(machines=machines, releases=releases)
    wanted = {"karpenter": "1.14.1", "volcano": "1.15.1", "grafana": "12.11.1"}

    assert list(list_changes(present, "1.36", wanted)) == [
        "Kubernetes 1.35 -> 1.36: control plane, add-ons, core machines, and new machines of all"
        " pools",
        "chart karpenter 1.13.0 -> 1.14.1",
        "1 machine with a kubelet of 1.35, of EKS: replaced one by one",
        "2 machines with a kubelet of 1.35, of pool jobs: goes when empty",
    ]
    assert list(list_changes(make_present(), "1.35", wanted)) == []


def test_versions_of_copies_are_known_and_of_ones_own_charts_not() -> None:
    versions = read_versions()
    charts = {"volcano": f"1.15.9@sha256:{'a' * 64}", "jupyterhub": "/srv/jupyterhub-5.tgz"}
    settings = replace(make_settings({}), charts=charts)

    wanted = list_wanted(settings, versions)

    assert wanted["volcano"] == "1.15.9"
    assert wanted.keys() == PINS.keys() - {"jupyterhub"}
    assert wanted["karpenter-crd"] == versions["KARPENTER_VERSION"]


def test_what_eks_finds_in_error_forbids_and_the_rest_is_told() -> None:
    def make(status: str, **fields: Any) -> dict[str, Any]:
        return {"id": status, "name": "Kubelet", "insightStatus": {"status": status, **fields}}

    found = [make("PASSING"), make("WARNING", reason="old"), make("ERROR", reason="used")]
    wrong, told = judge_insights([*found, make("UNKNOWN")])

    assert [each.partition(". ")[0] for each in wrong] == ["EKS finds Kubelet: used"]
    assert "--id ERROR says where" in wrong[0]
    assert told == ["EKS says warning of Kubelet: old", "EKS says unknown of Kubelet"]


def test_images_are_looked_for_where_karpenter_does() -> None:
    """Without one it starts no machine, and of those with GPUs it would say nothing."""
    plain = name_images({"1.36", "1.35"}, "v20260714", has_gpu=False)
    folder = "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64"

    assert list(plain)[1] == (
        f"{folder}/standard/amazon-eks-node-al2023-x86_64-standard-1.36-v20260714/image_id"
    )
    gpu = name_images({"1.36"}, "v20260714", has_gpu=True)
    assert f"{folder}/nvidia/amazon-eks-node-al2023-x86_64-nvidia-1.36-v20260714/image_id" in gpu
    assert len(plain) == len(gpu) == 2


def test_the_newest_image_of_core_machines_is_asked_for_where_it_is_known() -> None:
    assert name_newest_release("1.36", "AL2023_ARM_64_STANDARD") == (
        "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/arm64/standard/recommended"
        "/release_version"
    )
    assert name_newest_release("1.36", "CUSTOM") == ""


def test_an_update_to_the_same_version_is_waited_for_and_others_are_somebody_elses() -> None:
    update = {"id": "u", "type": "VersionUpdate", "params": [{"type": "Version", "value": "1.36"}]}

    assert judge_update(update, "1.36") == ""
    assert "(VersionUpdate 1.36)" in judge_update(update, "1.35")
    other = {"id": "u", "type": "LoggingUpdate", "params": []}
    assert "its update u (LoggingUpdate). Run" in judge_update(other, "1.36")


def test_addons_are_brought_to_the_newest_with_their_settings_and_rights() -> None:
    """What is left out eksctl would keep, or refuse: rights that an add-on has already."""
    aws = make_aws()
    config = build_addon_upgrade(aws)

    assert all(each.pop("version") == "latest" for each in config["addons"])
    assert config["addons"] == build_cluster_config(aws)["addons"]
    assert config["metadata"] == {"name": aws.cluster, "region": aws.region}
    assert PLACES["addons"] in build_files(make_settings({}), aws)


ADA = Pod("session", "jupyter-ada", "Running", "ip-1")
RUN = Pod("job", "run-1", "Running", "ip-1")


def test_sessions_and_jobs_are_compared_by_what_they_are_and_not_by_number() -> None:
    waits = replace(RUN, phase="Pending")
    before = {"1": ADA, "2": RUN, "3": replace(RUN, name="run-2"), "4": waits}
    after = {"1": ADA, "2": replace(RUN, phase="Succeeded"), "5": RUN, "4": RUN}

    assert count(before) == "1 session and 2 jobs"
    assert compare(before, after) == (
        "Of 1 session and 2 jobs that ran before, 1 session and 0 jobs still run. Ended meanwhile:"
        " job run-1 (Succeeded), job run-2 (gone); whether by themselves, their pages say."
    )
    assert compare({"1": ADA}, {"1": ADA}) == (
        "Of 1 session and 0 jobs that ran before, 1 session and 0 jobs still run."
    )


def test_older_machines_are_told_with_what_holds_them() -> None:
    machines = [Machine("ip-1", "1.34", "jobs"), Machine("ip-2", "1.35"), Machine("ip-3", "1.34")]

    assert tell_old_machines(machines, {"1": ADA, "2": replace(RUN, machine="ip-3")}, "1.35") == [
        "ip-1 (jobs, 1.34) has 1 session and 0 jobs, and goes after them",
        "ip-3 (of EKS, 1.34) has 0 sessions and 1 job, and goes after them",
    ]
    assert tell_old_machines(machines[:1], {}, "1.35") == ["ip-1 (jobs, 1.34) goes when it is idle"]
