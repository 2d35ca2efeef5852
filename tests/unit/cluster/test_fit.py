"""Classes that make the most of a machine."""

import re
from dataclasses import replace

import pytest
import yaml

from cluster.driver.fit import count_fitting, describe, fit, main
from cluster.driver.instance_types import InstanceType, load_prices_date, load_types
from hub_config.platform.catalogue import GIB, InstanceClass
from hub_config.platform.catalogue_file import load_catalogue, parse_catalogue
from tests.bed.overlay import CATALOGUE
from tests.factories import make_class

TYPES = load_types()
BY_NAME = {each.name: each for each in TYPES}
DISK = 640 * GIB
SHIPPED = load_catalogue(CATALOGUE)
#: The shipped catalogue has pools for these.
USED = [each for each in TYPES if each.category in ("m", "r", "g")]


def read_class(text: str) -> InstanceClass:
    """The class as the shipped catalogue has it once the entry is in its file."""
    (entry,) = yaml.safe_load(text)
    entry["groups"] = ["gpu-users"]
    file = yaml.safe_load(CATALOGUE.read_text(encoding="utf-8"))
    listed = file["custom"]["catalogue"]["classes"]
    if "gpu_shared_by" in entry:
        # A pool's GPUs are shared in one way.
        listed[:] = [each for each in listed if "gpus" not in each]
    listed.append(entry)
    classes = parse_catalogue(yaml.safe_dump(file, sort_keys=False)).classes
    return classes[entry["slug"]]


def find_shares(machine: InstanceType) -> list[int]:
    return [
        share
        for share in (1, 2, 4)
        if not machine.gpus % share and machine.free_cores / share >= 0.5
    ]


@pytest.mark.parametrize(
    ("machine", "share"),
    [(each.name, share) for each in USED[::7] for share in find_shares(each)],
)
def test_the_catalogue_takes_what_is_printed(machine: str, share: int) -> None:
    found = fit(BY_NAME[machine], share, DISK)

    read = read_class(describe(found, TYPES, load_prices_date()))

    assert (read.cores, read.memory_bytes) == (found.cores, found.memory_bytes)
    assert read.price is not None
    assert read.price.per_hour == pytest.approx(found.price_per_hour, abs=1e-4)
    assert read.gpus == BY_NAME[machine].gpus // share


@pytest.mark.parametrize("machine", TYPES, ids=lambda each: each.name)
def test_a_share_is_what_it_says_and_the_most_that_fits(machine: InstanceType) -> None:
    for share in find_shares(machine):
        found = fit(machine, share, DISK)

        assert count_fitting(machine, found) == share
        assert found.price_per_hour == pytest.approx(machine.price_per_hour / share)
        larger = replace(found, cores=found.cores + 0.1)
        richer = replace(found, memory_bytes=found.memory_bytes + GIB)
        assert [count_fitting(machine, each) < share for each in (larger, richer)] == [True, True]
        assert share * (found.scratch_bytes + 4 * GIB) <= 0.85 * DISK


@pytest.mark.parametrize(("slug", "share"), [("standard", 1), ("small", 2)])
def test_the_shipped_classes_are_such(slug: str, share: int) -> None:
    found = fit(BY_NAME["m5.large"], share, DISK)
    shipped = SHIPPED.classes[slug]

    assert (found.cores, found.memory_bytes) == (shipped.cores, shipped.memory_bytes)
    assert shipped.price is not None
    assert found.price_per_hour == pytest.approx(shipped.price.per_hour)


def test_what_a_machine_keeps_for_itself() -> None:
    # Of EKS: 60 millicores of the first core, 10 of the second, 5 of the next two, 2.5 of others.
    assert BY_NAME["m5.large"].free_cores == pytest.approx(2 - 0.1 - 0.2)
    assert BY_NAME["r5.8xlarge"].free_cores == pytest.approx(32 - 0.15 - 0.2)


def test_a_gpu_is_had_by_one() -> None:
    size = make_class("gpu", cores=1, memory_bytes=GIB, gpus=1, gpu_model="NVIDIA T4")

    assert count_fitting(BY_NAME["g4dn.2xlarge"], size) == 1


def test_a_gpu_is_had_by_those_who_share_it() -> None:
    text = describe(fit(BY_NAME["g4dn.2xlarge"], 4, DISK), TYPES, load_prices_date())

    size = read_class(text)

    assert (size.gpus, size.gpu_shared_by) == (1, 4)
    assert count_fitting(BY_NAME["g4dn.2xlarge"], size) == 4
    assert size.price is not None
    assert size.price.per_hour == pytest.approx(0.752 / 4)
    # Each has so much of the machine that no fifth could come, and GPUs are shared one by one.
    less = replace(size, cores=0.1, memory_bytes=GIB)
    assert count_fitting(BY_NAME["g4dn.2xlarge"], less) == 4
    assert count_fitting(BY_NAME["g4dn.12xlarge"], less) == 0
    assert "gpu_shared_by" not in describe(
        fit(BY_NAME["g4dn.12xlarge"], 4, DISK), TYPES, load_prices_date()
    )


def test_a_cheaper_machine_of_its_category_is_named() -> None:
    text = describe(fit(BY_NAME["m7i.2xlarge"], 3, DISK), TYPES, load_prices_date())

    assert "# A pool that may have it buys m5.xlarge instead, at 0.192 USD/h" in text
    best = describe(fit(BY_NAME["m5.xlarge"], 1, DISK), TYPES, load_prices_date())
    assert "instead" not in best


@pytest.mark.parametrize(
    ("machine", "share", "disk", "said"),
    [
        ("g4dn.12xlarge", 3, DISK, "has 4 GPU(s), which 3 cannot share: write a SHARE"),
        ("m5.large", 8, 20 * GIB, "a disk of 20 GiB is too small for 8: write a larger DISK"),
    ],
)
def test_what_cannot_be_is_refused_with_its_mend(
    machine: str, share: int, disk: int, said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        fit(BY_NAME[machine], share, disk)


def test_a_machine_too_small_to_share() -> None:
    tiny = InstanceType("t3.nano", 2, 512, 4, 0.0052)

    with pytest.raises(ValueError, match=r"t3\.nano is too small for 1: write a smaller SHARE"):
        fit(tiny, 1, DISK)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["m5.large", "--share", "2", "--disk", "100"]) == 0
    assert read_class(capsys.readouterr().out).scratch_bytes == 38 * GIB

    assert main(["m5.huge"]) == 2
    assert "m5.huge is no machine that is known here; known: c5.2xlarge," in capsys.readouterr().err
    assert main(["g4dn.12xlarge", "--share", "3"]) == 2
    assert "cannot share" in capsys.readouterr().err
