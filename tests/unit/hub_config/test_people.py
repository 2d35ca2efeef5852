"""Homes' slugs: those of KubeSpawner, different for different names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubespawner.slugs import safe_slug

from hub_config.platform.people import build_person, home_slug

# Letters that look alike, separators, path tricks, what truncation would cut off.
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="aA-_.@/\\ \n0áÀ\u202e{}", max_size=70),
    st.from_regex(r"[a-z][a-z0-9-]{40,60}", fullmatch=True),
)
DNS_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,46}[a-z0-9])?")


@given(HOSTILE)
def test_slug_is_kubespawners(name: str) -> None:
    assert home_slug(name) == safe_slug(name, max_length=48)


@given(HOSTILE)
def test_slug_is_a_folder_and_a_label(name: str) -> None:
    assert DNS_LABEL.fullmatch(home_slug(name))


@given(HOSTILE, HOSTILE)
def test_different_names_have_different_homes(one: str, other: str) -> None:
    assert (home_slug(one) == home_slug(other)) == (one == other)


@given(HOSTILE)
def test_nobody_can_be_called_like_the_slug_of_another(name: str) -> None:
    slug = home_slug(name)
    assert slug == name or home_slug(slug) != slug


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("ada", "ada"),
        ("ada-l", "ada-l"),
        ("Ada", "ada---99a563ab"),
        ("../ben", "ben---5e0b5256"),
        ("", "x---e3b0c442"),
    ],
)
def test_slugs_stay_what_they_are(name: str, slug: str) -> None:
    # Homes are found by them: a change here loses every home.
    assert home_slug(name) == slug


def test_a_name_that_is_no_text_has_a_home_too() -> None:
    assert home_slug("\ud800").startswith("x---")


def test_person_keeps_groups_and_administrator() -> None:
    person = build_person("Ada", ["lab", "lab", "unknown"], admin=True)

    assert person.groups == {"lab", "unknown"}
    assert person.admin
    assert person.home == home_slug("Ada")
