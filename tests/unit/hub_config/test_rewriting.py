"""Values written into a YAML text that a person keeps."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hub_config.platform.errors import ConfigurationError
from hub_config.platform.rewriting import add_item, rewrite

ROOT = Path(__file__).parents[3]
CATALOGUE = (ROOT / "helm-values" / "catalogue.yaml").read_text(encoding="utf-8")
IMAGES = ("custom", "catalogue", "images")


def test_nothing_but_the_values_changes() -> None:
    changed = rewrite(CATALOGUE, (*IMAGES, "stomics"), {"tag": "0.2.0", "digest": "sha256:ab"})
    before, after = CATALOGUE.splitlines(), changed.splitlines()
    others = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert others == [
        ('        tag: "0.1.0"', '        tag: "0.2.0"'),
        ('        digest: ""', '        digest: "sha256:ab"'),
    ]
    images = {
        each["slug"]: each["digest"]
        for each in yaml.safe_load(changed)["custom"]["catalogue"]["images"]
    }
    assert images == {"notebook": "", "stomics": "sha256:ab", "r": "", "gpu": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  b: old # kept\n  c: 1\n", 'a:\n  b: "new" # kept\n  c: 1\n'),
        ("a:\n  b: 'old'\n", "a:\n  b: 'new'\n"),
        ("a:\r\n  b: old\r\nc: 1\r\n", 'a:\r\n  b: "new"\r\nc: 1\r\n'),
        ("a: {b: old, c: 1}", 'a: {b: "new", c: 1}'),
        ("a:\n  b:\n  c: 1\n", 'a:\n  b: "new"\n  c: 1\n'),
        # A key that is not there comes behind the last of one line.
        ("a:\n    c: 1 # one\n    d: [2]\n", 'a:\n    c: 1 # one\n    b: "new"\n    d: [2]\n'),
        ("a:\r\n  c: 1\r\n", 'a:\r\n  c: 1\r\n  b: "new"\r\n'),
        ("a:\n  c: 1", 'a:\n  c: 1\n  b: "new"'),
        ("a:\n  d: [2]\n", 'a:\n  b: "new"\n  d: [2]\n'),
        ("a: {}\n", 'a: {b: "new"}\n'),
        ("a: {c: 1}\n", 'a: {c: 1, b: "new"}\n'),
        ("a:\nc: 1\n", 'a: {b: "new"}\nc: 1\n'),
        ("c: 1\n", 'c: 1\na: {b: "new"}\n'),
    ],
)
def test_each_form_of_a_value(text: str, expected: str) -> None:
    assert rewrite(text, ("a",), {"b": "new"}) == expected


@pytest.mark.parametrize(
    "text", ["x: &x old\na: {b: *x}\n", "a:\n  b: >-\n    old\n    text\n  c: 1\n"]
)
def test_a_value_that_is_shared_or_many_lines_is_left(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"a\.b cannot be changed alone: write new there"):
        rewrite(text, ("a",), {"b": "new"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a: [", "not valid YAML"),
        ("a: {b: !other 1}", "not valid YAML"),
        ("a: 1", "nothing called b"),
        ("[]", "nothing"),
    ],
)
def test_what_has_no_such_place_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rewrite(text, ("a",), {"b": "new"})


def test_an_item_that_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="nothing called gone"):
        rewrite(CATALOGUE, (*IMAGES, "gone"), {"digest": "sha256:ab"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a:\n  - slug: x # one\n    k: [1]\n    # of x\n\n  # of y\n  - slug: y\nb: 1\n",
            "a:\n  - slug: x # one\n    k: [1]\n    # of x\n\n  - slug: new\n    k: 2\n"
            "\n  # of y\n  - slug: y\nb: 1\n",
        ),
        ("a:\r\n- slug: x\r\nb: 1\r\n", "a:\r\n- slug: x\r\n\r\n- slug: new\r\n  k: 2\r\nb: 1\r\n"),
        ("a:\n- slug: x\n  m:\n    n: |\n      one\n      two", None),
        (
            "a:\n  - slug: x\n    m:\n      - n: o",
            "a:\n  - slug: x\n    m:\n      - n: o\n\n  - slug: new\n    k: 2",
        ),
        ("a: &a\n  - slug: x\nb: *a\n", None),
        ("a: [{slug: x}]", None),
        ("a: []", None),
        ("a: {slug: x}", None),
        ("b: 1", None),
    ],
)
def test_an_item_comes_after_the_one_that_is_named(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(ConfigurationError, match=r"^a (is no list|cannot be added to)"):
            add_item(text, ("a",), "x", ("slug: new", "k: 2"))
    else:
        assert add_item(text, ("a",), "x", ("slug: new", "k: 2")) == expected


def test_without_that_one_an_item_comes_after_the_first() -> None:
    changed = add_item(CATALOGUE, IMAGES, "gone", ("slug: new",))
    found = yaml.safe_load(changed)["custom"]["catalogue"]["images"]
    assert [each["slug"] for each in found][:3] == ["notebook", "new", "stomics"]
    last = add_item(CATALOGUE, IMAGES, "gpu", ("slug: new",))
    assert yaml.safe_load(last)["custom"]["catalogue"]["images"][-1] == {"slug": "new"}


_KEYS = st.sampled_from(["b", "c", "d"])
_TREES = st.fixed_dictionaries(
    {"a": st.dictionaries(_KEYS, st.text() | st.integers() | st.lists(st.text(max_size=3)))}
)


@settings(max_examples=60)
@given(_TREES, st.booleans() | st.none(), st.booleans())
def test_any_text_then_says_so_or_is_refused(
    tree: dict[str, object], flow: bool | None, with_width: bool
) -> None:
    text = yaml.safe_dump(tree, default_flow_style=flow, width=10 if with_width else 80)
    try:
        changed = rewrite(text, ("a",), {"b": "sha256:0"})
    except ConfigurationError:
        return
    wanted = {"a": {**tree["a"], "b": "sha256:0"}}  # type: ignore[dict-item]
    assert yaml.safe_load(changed) == wanted
