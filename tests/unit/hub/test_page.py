"""The start form as HTML, what is selected on it, how what comes back is read; the login page."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader
from jupyterhub._data import DATA_FILES_PATH

from hub_config.form.page import (
    TEMPLATES,
    build_figures,
    build_page,
    build_refusal,
    choose_start,
    parse_form,
    word_cost,
    word_limits,
    word_price,
)
from hub_config.platform import away
from hub_config.platform.catalogue import GIB, Price
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

TWO_GROUPS = make_catalogue(
    images=[make_image(default=True), make_image("gpu", needs_gpu=True)],
    classes=[
        make_class(default=True),
        make_class("small", cores=1),
        make_class("gpu", gpus=1, gpu_model="NVIDIA T4", groups=("fast",)),
    ],
    groups=[make_group(), make_group("fast", name="Fast & loud")],
)
BOTH = make_offer(TWO_GROUPS, make_person(groups=("lab", "fast")))


def test_the_form_opens_with_the_catalogues_default() -> None:
    assert choose_start(BOTH, None) == {"group": "lab", "image": "notebook", "class": "standard"}


def test_the_form_opens_with_the_last_choice() -> None:
    last = {"group": "fast", "image": "gpu", "class": "gpu"}

    assert choose_start(BOTH, last) == last


@pytest.mark.parametrize(
    ("last", "start"),
    [
        ({"group": "gone"}, {"group": "lab", "image": "notebook", "class": "standard"}),
        (
            {"group": "lab", "image": "notebook", "class": "gpu"},  # not for this group
            {"group": "lab", "image": "notebook", "class": "standard"},
        ),
        (
            {"group": "fast", "image": "gpu", "class": "standard"},  # an impossible pair
            {"group": "fast", "image": "gpu", "class": "gpu"},
        ),
        ({"image": ["x"], "class": {"a": 1}}, choose_start(BOTH, None)),
        (["group"], choose_start(BOTH, None)),
        ("lab", choose_start(BOTH, None)),
    ],
)
def test_of_the_last_choice_counts_what_still_holds(last: object, start: dict[str, str]) -> None:
    assert choose_start(BOTH, last) == start


def test_what_the_machine_cannot_give_is_not_selected() -> None:
    offered = make_offer(TWO_GROUPS, make_person(), make_machine(images=frozenset()))

    assert choose_start(offered, None)["image"] == ""
    page = build_page(offered, None)
    assert '<button type="submit" class="btn primary wide" disabled>' in page
    assert "Nothing can be started here now" in page


def test_names_are_shown_as_text() -> None:
    hostile = '"><script>alert(1)</script>'
    catalogue = make_catalogue(
        images=[
            make_image(name=hostile, description=hostile, default=True),
            make_image("gpu", name=hostile, needs_gpu=True),
        ],
        classes=[
            make_class(name=hostile, default=True),
            make_class("gpu", gpus=1, gpu_model=hostile),
        ],
        groups=[make_group(name=hostile)],
    )

    page = build_page(make_offer(catalogue), {"image": hostile})

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("<script>") == 1  # ours


def test_a_refusal_is_shown_as_text() -> None:
    assert "<b>" not in build_refusal(Refused("no-group", "No <b>group</b>."))


def test_cards_say_for_whom_they_are_and_what_they_do_not_go_with() -> None:
    page = build_page(BOTH, None)

    assert 'data-groups="fast"' in page
    assert "GPU needs a GPU" not in page.split("data-conflicts")[0]
    assert page.count("data-conflicts=") == 2  # the classes without a GPU
    assert '<option value="fast" >Fast &amp; loud</option>' in page


def test_one_group_is_named_and_not_asked_for() -> None:
    page = build_page(make_offer(), None)

    assert "Charged to <b>Lab</b>" in page
    assert "<select" not in page


def test_figures_have_units() -> None:
    large = make_class("gpu", gpus=2, gpu_model="A10G", scratch_bytes=900 * GIB)
    assert build_figures(large) == ("2 cores", "4 GiB", "2 GPUs (A10G)", "900 GiB scratch")
    assert build_figures(make_class(cores=1, scratch_bytes=0)) == ("1 core", "4 GiB")


def test_what_is_not_to_be_had_is_folded_and_says_why() -> None:
    offered = make_offer(TWO_GROUPS, make_person(groups=("lab", "fast")), make_machine(gpus=0))

    machines = build_page(offered, None).split('id="nh-class"')[1]

    shown, folded = machines.split("<details", 1)
    assert 'value="standard"' in shown
    assert 'value="gpu"' not in shown
    assert "1 more, not to be had here now" in folded
    assert "this machine has" in folded


@pytest.mark.parametrize(
    ("of_class", "of_hub", "words"),
    [
        (1800, 3600, "after 30 min without use, after 12 h at the latest"),
        (0, 3600, "after 1 h without use, after 12 h at the latest"),
        (0, 0, "after 12 h at the latest"),
    ],
)
def test_the_form_says_when_a_session_stops_by_itself(
    of_class: int, of_hub: int, words: str
) -> None:
    item = make_class(longest_session_seconds=12 * 3600, idle_session_seconds=of_class)
    catalogue = make_catalogue(classes=[item])

    assert word_limits(item, of_hub) == words
    assert words in build_page(make_offer(catalogue), None, of_hub)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "$0.00"), (1, "under $0.01"), (360, "$0.01"), (3600 * 25, "$2.50")],
)
def test_a_cost_is_the_price_of_the_time(seconds: float, words: str) -> None:
    assert word_cost(Price(0.1, "USD", "2026-11-01"), seconds) == words
    assert word_cost(None, seconds) == ""


@pytest.mark.parametrize(
    ("currency", "words"),
    [("EUR", "1.20 € per hour"), ("USD", "$1.20 per hour"), ("SEK", "1.20 SEK per hour")],
)
def test_a_price_is_written_as_people_write_it(currency: str, words: str) -> None:
    assert word_price(Price(1.2, currency, "2026-11-01")) == words


def test_a_submitted_form_is_read_flat() -> None:
    fields = {"group": ["lab"], "image": ["notebook"], "class": ["small"], "_xsrf": ["t", "t"]}

    assert parse_form(fields) == {"group": "lab", "image": "notebook", "class": "small"}


@pytest.mark.parametrize("values", [[], ["small", "gpu"]])
def test_a_field_that_came_not_once_is_refused(values: list[str]) -> None:
    with pytest.raises(Refused, match="send it once") as refused:
        parse_form({"class": values})

    assert refused.value.field == "class"


def render_login(**variables: object) -> str:
    """What the login page adds to the hub's frame, rendered as the hub does."""
    own = FileSystemLoader(Path(DATA_FILES_PATH) / "templates")
    loader = ChoiceLoader(
        [PrefixLoader({"templates": own}), FileSystemLoader([TEMPLATES, away.PAGES]), own],
    )
    hub = {
        "authenticator_login_url": "/hub/login?next=",
        "base_url": "/hub/",
        "prefix": "/",
        "services": [],
        "static_url": lambda path, **_: path,
        "username": "",
        "xsrf": "an-xsrf-token",
        "xsrf_token": "an-xsrf-token",
    }
    template = Environment(loader=loader, autoescape=True).get_template("login.html")
    return template.render(**hub | variables).partition("<main")[2].partition("</main>")[0]


def test_the_login_page_asks_for_name_and_password() -> None:
    page = render_login(login_error="Invalid <b>user</b>")

    assert '<form class="card sign-in" action="/hub/login?next=" method="post">' in page
    assert 'value="an-xsrf-token"' in page
    assert "Invalid &lt;b&gt;user&lt;/b&gt;" in page
    assert "otp" not in page
    assert "demonstration" not in page


def test_the_login_page_leads_to_whoever_asks_for_the_password() -> None:
    page = render_login(
        login_service="Uni <X>", authenticator_login_url="/hub/oauth_login?next=%2Fhub%2Fhome"
    )

    assert 'href="/hub/oauth_login?next=%2Fhub%2Fhome">Sign in with Uni &lt;X&gt;</a>' in page
    assert "<form" not in page
    assert "<input" not in page


def test_the_login_page_is_the_authenticator_s_where_it_has_one() -> None:
    page = render_login(custom_html="<form id='own'></form>", login_service="GitHub")

    assert "<form id='own'></form>" in page
    assert page.count("<form") == 1
    assert "Sign in with" not in page


def test_the_login_page_asks_for_the_one_time_password_where_there_is_one() -> None:
    page = render_login(authenticator=SimpleNamespace(request_otp=True, otp_prompt="OTP:"))

    assert '<label class="labelled" for="otp_input">OTP:' in page
    assert 'name="otp"' in page


def test_the_login_page_says_what_a_demonstration_is() -> None:
    user = {"name": "ada", "purpose": "a researcher", "groups": ["lab", "fast"]}

    page = render_login(demonstration={"users": [user], "password": "known"})

    assert "This is a demonstration" in page
    assert "a researcher (lab, fast)" in page
    assert "<code>known</code>" in page
