"""The start form: what each user sees on it, and what happens to what they send."""

import re

from tests.platform_fixture import Platform
from tests.site import User


def list_choices(page: str, kind: str) -> dict[str, bool]:
    """Slug → enabled, for the radio buttons of ``image`` or ``class``."""
    found = {}
    for tag in re.findall(rf'<input type="radio" name="{kind}"[^>]*>', page):
        slug = re.search(r'value="([^"]*)"', tag)
        assert slug
        found[slug[1]] = " disabled" not in re.sub(r"\s+", " ", tag)
    return found


def test_ada_may_choose_who_pays_and_sees_all_classes(ada: User) -> None:
    page = ada.client.get("/hub/spawn").text

    assert '<option value="spatial-lab"' in page
    assert '<option value="gpu-users"' in page
    assert list(list_choices(page, "class")) == ["small", "standard", "large-memory", "gpu"]
    assert list_choices(page, "image")["notebook"]


def test_ben_sees_nothing_that_his_group_may_not_have(ben: User) -> None:
    page = ben.client.get("/hub/spawn").text

    assert list(list_choices(page, "class")) == ["small", "standard"]
    assert "gpu" not in list_choices(page, "image")
    assert "gpu-users" not in page
    assert "Charged to <b>Teaching</b>" in page
    assert "<select" not in page


def test_what_this_machine_cannot_give_is_disabled_and_says_why(ada: User) -> None:
    page = ada.client.get("/hub/spawn").text

    assert not list_choices(page, "class")["gpu"]
    assert re.search(r"Needs 7 cores, 28 GiB and 1 GPU[^<]*; this machine has", page)
    assert not list_choices(page, "image")["gpu"]
    assert "Not built yet on this machine" in page


def test_classes_show_cores_memory_and_price(ben: User) -> None:
    page = ben.client.get("/hub/spawn").text

    assert "<span>0.8 cores</span><span>3 GiB</span>" in page
    assert re.search(r'<span class="price">(\d+\.\d\d €|\$\d+\.\d\d) per hour</span>', page)


def test_a_wrong_form_comes_back_with_the_reason_above_it(ada: User) -> None:
    wrong: list[tuple[dict[str, str | list[str]], str]] = [
        ({"group": "teaching", "image": "notebook", "class": "small"}, "no group"),
        ({"group": "spatial-lab", "image": "evil/image:1", "class": "small"}, "no image"),
        ({"group": "spatial-lab", "image": "notebook"}, "Choose a class"),
        ({"group": "spatial-lab", "image": "notebook", "class": "gpu"}, "cannot be charged to"),
        ({"group": "spatial-lab", "image": "notebook", "class": ["small", "gpu"]}, "2 times"),
        ({"group": "spatial-lab", "image": "<script>alert(1)</script>", "class": "small"}, "no im"),
    ]
    for fields, reason in wrong:
        answer = ada.post_form(fields)

        assert answer.status_code == 400, fields
        notice = answer.text.split('role="alert">')[1].split("</p>")[0]
        assert reason in notice
        assert "<script>" not in notice
        assert 'id="nh-image"' in answer.text  # the form is there again
    assert not ada.server()


def test_a_link_with_wrong_options_shows_the_form_with_the_reason(ada: User) -> None:
    answer = ada.client.get("/hub/spawn", params={"image": "evil/image:1"})

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert not ada.server()


def test_the_last_choice_is_remembered(ben: User) -> None:
    first = ben.client.get("/hub/spawn").text
    assert re.search(r'value="standard" required\s+checked', first)

    ben.start_session({"image": "notebook", "class": "small"})
    ben.stop_session()

    later = ben.client.get("/hub/spawn").text
    assert re.search(r'value="small" required\s+checked', later)
    assert not re.search(r'value="standard" required\s+checked', later)


def test_nonsense_that_was_refused_is_not_remembered(ben: User) -> None:
    for nonsense in ({"image": ["x"], "class": {"a": 1}}, ["notebook"], {"class": "gpu"}, "small"):
        assert ben.post_server(nonsense).status_code == 400

        page = ben.client.get("/hub/spawn")

        assert page.status_code == 200
        assert re.search(r'value="standard" required\s+checked', page.text)


def test_the_hub_leads_to_the_jobs_page(ben: User, platform: Platform) -> None:
    page = ben.client.get("/hub/home").text

    assert '<a href="/services/offline-jobs/">Offline jobs</a>' in page
    assert platform.answers("/hub/login")


def test_answers_have_the_headers_of_a_careful_hub(ben: User) -> None:
    headers = ben.client.get("/hub/spawn").headers

    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
