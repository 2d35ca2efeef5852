"""What a list or a change makes of our copy of the cluster's objects."""

from typing import Any

import pytest

from offline_jobs.service.backends.kubernetes.watch import Copy
from offline_jobs.service.errors import ClusterRefused


def make(uid: str, version: str = "1", **fields: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": version}, **fields}


def uids(found: list[dict[str, Any]]) -> set[str]:
    return {each["metadata"]["uid"] for each in found}


@pytest.fixture
def copy() -> Copy:
    """With ``a`` and ``b``, as of version 10."""
    made = Copy()
    made.begin_list()
    made.replace([make("a"), make("b")], "10")
    return made


def test_changes_are_taken_and_move_the_point_to_go_on_from(copy: Copy) -> None:
    assert copy.change("ADDED", make("c", "11"))
    assert copy.change("MODIFIED", make("a", "12", phase="Running"))

    assert uids(copy.there) == {"a", "b", "c"}
    assert make("a", "12", phase="Running") in copy.there
    assert copy.version == "12"


def test_a_bookmark_moves_the_point_only(copy: Copy) -> None:
    assert not copy.change("BOOKMARK", {"metadata": {"resourceVersion": "99"}})

    assert (copy.version, uids(copy.there)) == ("99", {"a", "b"})


def test_what_went_is_kept_with_its_last_words_until_it_is_not_needed(copy: Copy) -> None:
    copy.change("DELETED", make("a", "11", message="cell 3"))

    assert uids(copy.there) == {"b"}
    assert copy.gone == [make("a", "11", message="cell 3")]
    copy.forget(lambda found: found["metadata"]["uid"] == "a")
    assert uids(copy.gone) == {"a"}
    copy.forget(lambda _: False)
    assert copy.gone == []


def test_what_went_unseen_is_kept_as_it_was_seen_last(copy: Copy) -> None:
    copy.change("MODIFIED", make("a", "11", phase="Running"))
    copy.begin_list()
    copy.replace([make("b"), make("c")], "20")

    assert uids(copy.there) == {"b", "c"}
    assert copy.gone == [make("a", "11", phase="Running")]


def test_what_was_made_is_there_before_a_watch_tells(copy: Copy) -> None:
    copy.learn(make("c", "11"))

    assert uids(copy.there) == {"a", "b", "c"}
    copy.change("DELETED", make("c", "12"))
    copy.learn(make("c", "11"))
    assert uids(copy.there) == {"a", "b"}


def test_what_was_made_while_a_list_was_on_its_way_is_not_lost(copy: Copy) -> None:
    copy.learn(make("before", "11"))
    copy.begin_list()
    copy.learn(make("while", "21"))
    copy.replace([make("a"), make("b")], "20")

    # The list is newer than the first, so that one went.
    assert uids(copy.there) == {"a", "b", "while"}
    assert uids(copy.gone) == {"before"}
    copy.change("ADDED", make("while", "21"))
    copy.begin_list()
    copy.replace([make("a"), make("b")], "30")
    assert uids(copy.there) == {"a", "b"}


def test_a_late_list_does_not_bring_back_what_went(copy: Copy) -> None:
    copy.begin_list()
    copy.change("DELETED", make("a", "11"))
    copy.replace([make("a"), make("b")], "10")

    assert uids(copy.there) == {"b"}


def test_an_error_is_raised_with_its_code(copy: Copy) -> None:
    with pytest.raises(ClusterRefused) as refused:
        copy.change("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})

    assert refused.value.status == 410
    assert copy.version == "10"
