"""What the go.mods pin: read rightly, of one mind, checked by sums, part of the cache's names."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from cluster.driver.versions import read_versions
from tests.bed import pins
from tests.bed.pins import APIS, CHECK_CLUSTER, FAMILIES, Family, parse_go_mod

GO_MOD = """\
// A comment.
module example.test/it

go 1.26.0

tool example.test/single/v3

tool (
	example.test/cmd/one
	example.test/cmd/two // why
)

require example.test/single/v3 v3.1.2

require (
	k8s.io/api v0.0.0 // indirect
	example.test/apis v1.0.0
)

replace k8s.io/api => k8s.io/api v0.35.4

replace (
	example.test/apis => ./apis
)
"""
#: They need libraries of another Kubernetes than the one that the bed runs, which they can.
OTHER_KUBERNETES = ("kwok", "helm")
BY_NAME = {family.name: family for family in FAMILIES}
PINNED = [family for family in (*FAMILIES, APIS, CHECK_CLUSTER) if family.main]


def test_a_go_mod_is_read_with_blocks_and_without() -> None:
    mod = parse_go_mod(GO_MOD)

    assert mod.go == "1.26.0"
    assert mod.tools == (
        "example.test/single/v3",
        "example.test/cmd/one",
        "example.test/cmd/two",
    )
    assert mod.get_version("example.test/single/v3") == "3.1.2"
    assert mod.get_version("k8s.io/api") == "0.35.4"
    assert mod.replaces["example.test/apis"] == "./apis"


def test_all_programs_of_the_bed_come_from_some_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    found = [name for family in FAMILIES for name in pins.list_programs(family)]

    assert len(found) == len(set(found))
    assert set(found) == {
        *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"),
        *("kube-proxy", "kubectl", "helm", "vc-scheduler", "vc-controller-manager"),
        *("vc-webhook-manager", "karpenter", "kwok", "coredns", "pause", "probe"),
        "versitygw",
    }


def test_elsewhere_than_on_linux_no_program_of_a_node_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")

    assert "kubelet" not in pins.list_programs(BY_NAME["kubernetes"])
    assert "kube-apiserver" in pins.list_programs(BY_NAME["kubernetes"])
    assert not pins.list_programs(BY_NAME["own"])


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("etcd", "3.6."),
        ("kubernetes", "1.35."),
        ("volcano", "1.15."),
        ("karpenter", "1.14."),
        ("kwok", "0.8."),
        ("coredns", "1.14."),
        ("helm", "3.22."),
        ("versitygw", "1.8."),
    ],
)
def test_the_pins_are_of_the_wanted_versions(name: str, version: str) -> None:
    assert pins.get_version(BY_NAME[name]).startswith(version)


def test_what_two_families_pin_of_kubernetes_is_equal() -> None:
    # It is also what lets Go compile it once for all of them.
    wanted = "0." + pins.get_version(BY_NAME["kubernetes"]).partition(".")[2]
    mods = {each.name: pins.read_go_mod(each) for each in FAMILIES}
    staged = {each for each in mods["kubernetes"].replaces if each.startswith("k8s.io/")}
    found = {
        (name, module, mod.get_version(module))
        for name, mod in mods.items()
        if name not in OTHER_KUBERNETES
        for module in staged & mod.requires.keys()
    }

    assert {"kubernetes", "volcano", "karpenter", "coredns"} == {name for name, _, _ in found}
    assert not {each for each in found if each[2] != wanted}


@pytest.mark.parametrize("family", PINNED, ids=lambda family: family.name)
def test_a_pinned_module_is_checked_by_its_sum(family: Family) -> None:
    # Go would accept what it fetches by name, and note its sum, if there were none.
    sums = (family.folder / "go.sum").read_text(encoding="utf-8")
    assert f"{family.main} v{pins.get_version(family)} h1:" in sums


def test_the_patched_module_is_not_committed() -> None:
    assert {path.name for path in BY_NAME["volcano"].folder.iterdir()} == {"go.mod", "go.sum"}


def test_what_asks_eksctl_has_the_schemas_version_and_is_not_built_for_a_bed() -> None:
    assert CHECK_CLUSTER not in FAMILIES
    assert pins.get_version(CHECK_CLUSTER) == pins.get_version(BY_NAME["eksctl"])
    assert pins.get_version(CHECK_CLUSTER) == read_versions()["EKSCTL_VERSION"]
    sources = [path.name for path in CHECK_CLUSTER.list_sources()]
    assert sources == ["main.go", "go.mod", "go.sum"]


@pytest.mark.parametrize("family", [*FAMILIES, CHECK_CLUSTER], ids=lambda family: family.name)
def test_go_1_26_is_enough(family: Family) -> None:
    assert pins.parse_version(pins.read_go_mod(family).go) < (1, 27)


@pytest.mark.parametrize(
    ("pin", "said", "fits"),
    [
        ("1.35.4", "Kubernetes v1.35.4", True),
        ("1.35.4", "Kubernetes v1.35.9", True),
        ("1.35.4", "Client Version: v1.35.0\nKustomize Version: v5.7.1", True),
        ("1.35.4", "Client Version: v1.32.4-dispatcher\nKustomize Version: v1.35.0", False),
        ("1.35.4", "Kubernetes v1.36.0", False),
        ("1.35.4", "Kubernetes v1.350.4", False),
        ("1.35.4", "Kubernetes v1.35.0-rc.1", False),
        ("3.6.16", "etcd Version: 3.6.5\nGit SHA: 1.2.3", True),
        ("3.6.16", "etcd Version: 3.5.21", False),
        ("3.22.0", "v3.22.0+g1a2b3c4", True),
        ("0.8.0", "kwok version 0.8.0 go1.26 (linux/amd64)", True),
        ("1.14.7", "CoreDNS-1.14.7\nlinux/amd64, go1.26.8, ", True),
        ("1.35.4", "", False),
        ("1.35.4", "unknown", False),
    ],
)
def test_a_ready_program_fits_to_the_minor_version(pin: str, said: str, fits: bool) -> None:
    assert pins.fits(pin, said) is fits


@pytest.mark.parametrize(
    ("package", "name", "binary"),
    [
        ("go.etcd.io/etcd/server/v3", "etcd", "server"),
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet", "kubelet"),
        ("sigs.k8s.io/karpenter/kwok", "karpenter", "kwok"),
        ("volcano.sh/volcano/cmd/scheduler", "vc-scheduler", "scheduler"),
    ],
)
def test_a_program_has_a_name_of_its_own(package: str, name: str, binary: str) -> None:
    assert pins.get_name(package) == name
    assert pins.get_binary(package) == binary


def test_the_programs_say_the_version_that_is_pinned() -> None:
    flags = pins.build_flags(BY_NAME["volcano"])[-1]

    assert "component-base/version.gitVersion=v1.35." in flags
    assert "component-base/version.gitMinor=35" in flags
    assert "pkg/version.Version=v1.15." in flags


def change_pin(modules: Path, family: Family) -> None:
    go_mod = modules / family.name / "go.mod"
    pin = f"{family.main} v{pins.get_version(family)}"
    go_mod.write_text(go_mod.read_text().replace(pin, f"{pin}1"))


class TestKeys:
    @pytest.fixture
    def modules(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        copy = tmp_path / "modules"
        shutil.copytree(pins.MODULES, copy)
        monkeypatch.setattr(pins, "MODULES", copy)
        return copy

    def read(self) -> dict[str, str]:
        return {family.name: pins.compute_key(family) for family in FAMILIES}

    def test_another_pin_is_another_place_for_its_family_only(self, modules: Path) -> None:
        before = self.read()
        change_pin(modules, BY_NAME["etcd"])

        assert {name for name, key in self.read().items() if key != before[name]} == {"etcd"}

    def test_another_kubernetes_is_stamped_into_others(self, modules: Path) -> None:
        before = self.read()
        change_pin(modules, BY_NAME["kubernetes"])

        changed = {name for name, key in self.read().items() if key != before[name]}
        assert changed == {"kubernetes", "volcano", "karpenter"}

    def test_another_sum_of_the_patched_module_counts(self, modules: Path) -> None:
        before = self.read()
        (modules / "volcano-apis" / "go.sum").write_text("")

        assert {n for n, key in self.read().items() if key != before[n]} == {"volcano"}

    def test_another_patch_and_another_copy_count(self) -> None:
        volcano = BY_NAME["volcano"]
        patched = dataclasses.replace(volcano, patched=(APIS, {"gate.go": "package v2"}))
        copied = dataclasses.replace(volcano, copies={"crds/volcano": "elsewhere"})

        assert len({pins.compute_key(each) for each in (volcano, patched, copied)}) == 3
