"""What is offered, and the strict check of what comes back."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_config.platform.catalogue import GIB, Catalogue
from hub_config.platform.choices import Choice, Machine, Offer, choose, offer
from hub_config.platform.errors import Refused
from tests.factories import (
    make_catalogue,
    make_class,
    make_group,
    make_image,
    make_machine,
    make_offer,
    make_person,
)

SMALL = make_class("small", cores=1, memory_bytes=2 * GIB, groups=("lab", "teaching"))
LARGE = make_class("large", cores=16, memory_bytes=256 * GIB)
GPU = make_class(
    "gpu", cores=8, memory_bytes=32 * GIB, gpus=1, gpu_model="T4", groups=("gpu-users",)
)
CATALOGUE = make_catalogue(
    images=(
        make_image("notebook", default=True),
        make_image("stomics"),
        make_image("cuda", needs_gpu=True),
    ),
    classes=(SMALL, make_class("standard", default=True), LARGE, GPU),
    groups=(make_group("lab"), make_group("gpu-users"), make_group("teaching")),
)
ADA = make_person("ada", ["lab", "gpu-users", "elsewhere"])
BEN = make_person("ben", ["teaching"])
GOOD = {"group": "lab", "image": "notebook", "class": "standard"}


def refusal(offered: Offer, submitted: Mapping[Any, object]) -> Refused:
    with pytest.raises(Refused) as caught:
        choose(offered, submitted)
    return caught.value


def slugs(offered: Offer) -> tuple[list[str], list[str], list[str]]:
    return (
        [group.slug for group in offered.groups],
        [item.image.slug for item in offered.images],
        [item.instance_class.slug for item in offered.classes],
    )


class TestOffer:
    def test_holds_what_the_groups_may_have_in_the_order_of_the_file(self) -> None:
        assert slugs(make_offer(CATALOGUE, ADA)) == (
            ["lab", "gpu-users"],
            ["notebook", "stomics", "cuda"],
            ["small", "standard", "large", "gpu"],
        )

    def test_leaves_out_what_the_groups_may_not_have(self) -> None:
        # Without a class that has a GPU there is no image that needs one either.
        assert slugs(make_offer(CATALOGUE, BEN)) == (
            ["teaching"],
            ["notebook", "stomics"],
            ["small"],
        )

    def test_a_class_says_which_of_the_persons_groups_may_use_it(self) -> None:
        groups = {o.instance_class.slug: o.groups for o in make_offer(CATALOGUE, ADA).classes}

        assert groups["small"] == ("lab",)
        assert groups["gpu"] == ("gpu-users",)

    def test_pairs_that_cannot_work_are_not_there(self) -> None:
        pairs = make_offer(CATALOGUE, ADA).pairs

        assert ("cuda", "gpu") in pairs
        assert ("notebook", "gpu") in pairs
        assert ("cuda", "standard") not in pairs

    def test_pairs_follow_the_architecture(self) -> None:
        catalogue = make_catalogue(
            images=(make_image("notebook"), make_image("arm", architectures=("arm64", "amd64"))),
            classes=(make_class("x"), make_class("a", architecture="arm64")),
        )

        assert make_offer(catalogue).pairs == {("notebook", "x"), ("arm", "x"), ("arm", "a")}

    def test_nothing_for_somebody_without_a_group(self) -> None:
        with pytest.raises(Refused, match="no group") as caught:
            offer(CATALOGUE, make_person("eve", ["elsewhere"]), None)

        assert (caught.value.code, caught.value.field) == ("no-group", "group")

    def test_on_a_cluster_nothing_is_disabled(self) -> None:
        offered = make_offer(CATALOGUE, ADA)

        assert not any(item.why for item in offered.images)
        assert not any(item.why or item.note for item in offered.classes)

    def test_on_a_machine_what_it_cannot_give_says_why(self) -> None:
        offered = offer(CATALOGUE, ADA, make_machine(memory_bytes=23 * GIB + 900 * 1024**2))

        assert {o.instance_class.slug: o.why for o in offered.classes} == {
            "small": "",
            "standard": "",
            "large": "Needs 16 cores and 256 GiB; this machine has 2 cores and 23 GiB.",
            "gpu": "Needs 8 cores, 32 GiB and 1 GPU; this machine has 2 cores, 23 GiB and no GPU.",
        }
        assert {o.image.slug: o.why for o in offered.images} == {
            "notebook": "",
            "stomics": "Not built yet on this machine: make environment IMAGE=stomics",
            "cuda": "Not built yet on this machine; it needs a GPU, and this machine has none.",
        }
        assert offered.pairs == {("notebook", "small"), ("notebook", "standard")}

    def test_an_image_whose_kernel_this_machine_lacks_says_what_to_do(self) -> None:
        machine = make_machine(missing_kernels={"notebook": "ir"})

        assert {o.image.slug: o.why for o in offer(CATALOGUE, ADA, machine).images}["notebook"] == (
            "Needs kernel ir, which this machine does not have: images/notebook/README.md says"
            " what to install."
        )

    def test_cores_are_capped_with_a_note(self) -> None:
        machine = make_machine(memory_bytes=512 * GIB)

        (large,) = [o for o in offer(CATALOGUE, ADA, machine).classes if o.instance_class is LARGE]

        assert (large.why, large.note) == ("", "Gets 2 cores here: this machine has no more.")

    def test_memory_without_the_gpu_is_not_enough(self) -> None:
        machine = make_machine(cores=64, memory_bytes=512 * GIB)

        (gpu,) = [o for o in offer(CATALOGUE, ADA, machine).classes if o.instance_class is GPU]

        assert gpu.why.endswith("this machine has 64 cores, 512 GiB and no GPU.")

    def test_a_machine_with_a_gpu_gives_it(self) -> None:
        machine = Machine(16, 64 * GIB, 1, frozenset({"notebook", "cuda"}))

        offered = offer(CATALOGUE, ADA, machine)

        assert ("cuda", "gpu") in offered.pairs

    def test_a_gpu_image_that_is_built_still_needs_the_gpu(self) -> None:
        offered = offer(CATALOGUE, ADA, make_machine(images=frozenset({"cuda"})))

        assert offered.images[2].why == "Needs a GPU; this machine has none."

    def test_default_is_the_catalogues(self) -> None:
        offered = make_offer(CATALOGUE, ADA)

        assert choose(offered, defaults(offered)).instance_class.slug == "standard"

    @pytest.mark.parametrize("person", [ADA, BEN], ids=["ada", "ben"])
    @pytest.mark.parametrize(
        "machine",
        [None, make_machine(), make_machine(memory_bytes=3 * GIB, images=frozenset({"stomics"}))],
        ids=["cluster", "laptop", "small laptop"],
    )
    def test_default_can_always_be_had(self, person: Any, machine: Machine | None) -> None:
        offered = offer(CATALOGUE, person, machine)

        assert choose(offered, defaults(offered))

    def test_where_nothing_can_be_had_it_is_shown_all_the_same(self) -> None:
        offered = offer(CATALOGUE, ADA, make_machine(images=frozenset()))

        assert offered.pairs == frozenset()
        assert offered.default_class == "standard"
        assert refusal(offered, defaults(offered)).code == "image-unavailable"


def defaults(offered: Offer) -> dict[str, object]:
    return {
        "group": offered.default_group,
        "image": offered.default_image,
        "class": offered.default_class,
    }


class TestChoose:
    def test_good_options_make_a_choice(self) -> None:
        assert choose(make_offer(CATALOGUE, ADA), GOOD) == Choice(
            CATALOGUE.groups["lab"], CATALOGUE.images["notebook"], CATALOGUE.classes["standard"]
        )

    def test_the_only_group_need_not_be_said(self) -> None:
        choice = choose(make_offer(CATALOGUE, BEN), {"image": "notebook", "class": "small"})

        assert choice.group.slug == "teaching"

    @pytest.mark.parametrize(
        ("changes", "code", "field", "allowed"),
        [
            ({"profile": "x"}, "unknown-option", "profile", ["group", "image", "class"]),
            ({"image--unlisted-choice": "evil/image:1"}, "unknown-option", None, None),
            ({"mem_limit": "1T"}, "unknown-option", "mem_limit", None),
            ({"kubespawner_override": {}}, "unknown-option", "kubespawner_override", None),
            ({"Image": "notebook"}, "unknown-option", "Image", None),
            ({1: "x"}, "unknown-option", None, None),
            ({None: "x"}, "unknown-option", None, None),
            ({"group": "teaching"}, "unknown-group", "group", ["lab", "gpu-users"]),
            ({"group": "elsewhere"}, "unknown-group", "group", None),
            ({"group": ""}, "unknown-group", "group", None),
            ({"group": None}, "unknown-group", "group", None),
            ({"image": "evil/image:1"}, "unknown-image", "image", ["notebook", "stomics", "cuda"]),
            ({"image": "notebook\n"}, "unknown-image", "image", None),
            ({"image": "Notebook"}, "unknown-image", "image", None),
            ({"image": ["notebook"]}, "unknown-image", "image", None),
            ({"image": {"slug": "notebook"}}, "unknown-image", "image", None),
            ({"image": True}, "unknown-image", "image", None),
            ({"image": b"notebook"}, "unknown-image", "image", None),
            ({"class": "huge"}, "unknown-class", "class", ["small", "standard", "large", "gpu"]),
            ({"class": 0}, "unknown-class", "class", None),
            ({"class": "gpu"}, "class-not-for-group", "class", ["small", "standard", "large"]),
            ({"group": "gpu-users"}, "class-not-for-group", "class", ["gpu"]),
            ({"image": "cuda"}, "impossible-pair", "class", ["gpu"]),
        ],
        ids=str,
    )
    def test_anything_else_is_refused(
        self, changes: dict[Any, object], code: str, field: str | None, allowed: list[str] | None
    ) -> None:
        refused = refusal(make_offer(CATALOGUE, ADA), {**GOOD, **changes})

        assert refused.code == code
        if field is not None:
            assert refused.field == field
        if allowed is not None:
            assert list(refused.allowed or ()) == allowed
        assert refused.message.endswith(".")

    @pytest.mark.parametrize("key", ["group", "image", "class"])
    def test_missing_choice_is_refused(self, key: str) -> None:
        submitted = {name: value for name, value in GOOD.items() if name != key}

        refused = refusal(make_offer(CATALOGUE, ADA), submitted)

        assert (refused.code, refused.field) == ("missing-choice", key)
        assert refused.allowed

    def test_nothing_at_all_is_refused(self) -> None:
        assert refusal(make_offer(CATALOGUE, BEN), {}).code == "missing-choice"

    def test_a_class_of_another_group_is_not_even_named(self) -> None:
        refused = refusal(make_offer(CATALOGUE, BEN), {"image": "notebook", "class": "gpu"})

        assert refused.code == "unknown-class"
        assert refused.allowed == ("small",)

    @pytest.mark.parametrize(
        ("changes", "code", "sentence"),
        [
            ({"class": "large"}, "class-unavailable", "Large: Needs 16 cores and 256 GiB;"),
            ({"image": "stomics"}, "image-unavailable", "Stomics: Not built yet"),
        ],
    )
    def test_what_is_disabled_is_refused_with_its_reason(
        self, changes: dict[str, object], code: str, sentence: str
    ) -> None:
        refused = refusal(offer(CATALOGUE, ADA, make_machine()), {**GOOD, **changes})

        assert refused.code == code
        assert refused.message.startswith(sentence)

    def test_what_was_sent_is_quoted_short_and_on_one_line(self) -> None:
        refused = refusal(make_offer(CATALOGUE, ADA), {**GOOD, "image": "a\nb" * 1000})

        assert len(refused.message) < 200
        assert "\n" not in refused.message
        assert len(refusal(make_offer(CATALOGUE, ADA), {"x" * 1000: 1}).field or "") <= 64


# ---- whatever is sent

SLUGS = [*CATALOGUE.groups, *CATALOGUE.images, *CATALOGUE.classes]
VALUES = st.one_of(
    st.sampled_from(SLUGS),
    st.text(max_size=8),
    st.none(),
    st.integers(),
    st.lists(st.sampled_from(SLUGS), max_size=2),
)
KEYS = st.sampled_from(["group", "image", "class"])
SUBMITTED = st.one_of(
    st.dictionaries(KEYS, VALUES, max_size=3),
    st.dictionaries(KEYS | st.text(max_size=8), VALUES, max_size=4),
    st.fixed_dictionaries(
        {
            "group": st.sampled_from(list(CATALOGUE.groups)),
            "image": st.sampled_from(list(CATALOGUE.images)),
            "class": st.sampled_from(list(CATALOGUE.classes)),
        }
    ),
)
MACHINES = st.none() | st.builds(
    Machine,
    cores=st.integers(1, 64),
    memory_bytes=st.integers(GIB // 2, 512 * GIB),
    gpus=st.integers(0, 2),
    images=st.frozensets(st.sampled_from(list(CATALOGUE.images))),
)
PEOPLE = st.builds(
    make_person,
    name=st.just("ada"),
    groups=st.frozensets(st.sampled_from(list(CATALOGUE.groups)), min_size=1),
)


@settings(max_examples=200)
@given(PEOPLE, MACHINES, SUBMITTED)
def test_a_choice_is_never_outside_the_offer(
    person: Any, machine: Machine | None, submitted: dict[str, object]
) -> None:
    offered = offer(CATALOGUE, person, machine)
    try:
        choice = choose(offered, submitted)
    except Refused:
        return

    assert (choice.image.slug, choice.instance_class.slug) in offered.pairs
    assert choice.group.slug in person.groups
    assert choice.group.slug in choice.instance_class.groups
    # And it is what was asked for, not something near it.
    assert (
        submitted.items()
        <= {
            "group": choice.group.slug,
            "image": choice.image.slug,
            "class": choice.instance_class.slug,
        }.items()
    )


@given(PEOPLE, MACHINES)
def test_every_pair_that_is_offered_can_be_chosen(person: Any, machine: Machine | None) -> None:
    offered = offer(CATALOGUE, person, machine)
    groups = {item.instance_class.slug: item.groups for item in offered.classes}

    for image, class_ in offered.pairs:
        for group in groups[class_]:
            assert choose(offered, {"group": group, "image": image, "class": class_})


def test_an_offer_without_a_class_is_no_traceback() -> None:
    # Such a catalogue is refused when it is read; it must not break what lies behind either.
    empty: Catalogue = replace(CATALOGUE, classes={})

    offered = offer(empty, ADA, None)

    assert (offered.default_image, offered.default_class) == ("", "")
    assert refusal(offered, GOOD).code == "unknown-image"
