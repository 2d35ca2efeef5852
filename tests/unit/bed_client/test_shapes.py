"""What a recording is compared by: the types at the places that somebody reads."""

from __future__ import annotations

import copy
import json

import pytest

from tests.bed.client import Object
from tests.bed.record import ALL, FOLDER, READ, describe_shape, load

PHASE = "pod status phase"
EXIT_CODE = "pod status containerStatuses * state terminated exitCode"


def build_pod() -> Object:
    containers = [{"name": "notebook", "state": {"terminated": {"exitCode": 1}}}, {"name": "b"}]
    return {"status": {"phase": "Failed", "containerStatuses": containers}}


def test_types_are_told_by_place() -> None:
    shape = describe_shape({"pod": build_pod()})

    assert shape[PHASE] == ["str"]
    assert shape[EXIT_CODE] == ["int"]
    assert shape["pod status reason"] == []


def test_values_do_not_matter_and_types_do() -> None:
    other, wrong = build_pod(), build_pod()
    other["status"]["phase"] = "Succeeded"
    wrong["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = "1"

    assert describe_shape({"pod": other}) == describe_shape({"pod": build_pod()})
    assert describe_shape({"pod": wrong}) != describe_shape({"pod": build_pod()})


def test_what_goes_away_and_what_nobody_reads() -> None:
    without, more = copy.deepcopy(build_pod()), build_pod()
    del without["status"]["phase"]
    more["status"]["qosClass"] = "Guaranteed"

    assert describe_shape({"pod": without})[PHASE] == []
    assert describe_shape({"pod": more}) == describe_shape({"pod": build_pod()})


@pytest.mark.parametrize("situation", sorted(ALL))
def test_each_situation_is_recorded_whole_with_versions(situation: str) -> None:
    content = json.loads((FOLDER / f"{situation}.json").read_text(encoding="utf-8"))

    assert content["situation"].endswith(".")
    assert set(content["versions"]) == {"kubernetes", "volcano", "karpenter", "kwok"}
    assert all(content["versions"].values())
    assert load(situation).keys() <= READ.keys()
    assert any(describe_shape(load(situation)).values())
