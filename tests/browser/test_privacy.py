"""What belongs to one user is not there for another; what a notebook says is never markup."""

import json

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenWindow
from tests.browser.people import JOBS, PAGE, Visitor, build_notebook

SCRIPT = "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"


def test_another_user_sees_nothing_of_a_job(
    ada: Visitor, ben: Visitor, open_window: OpenWindow
) -> None:
    job = ada.submit(build_notebook("print('mine')"), name="secret of ada")
    ada.wait_for_state(job, "succeeded")
    assert ada.user.client.get(f"{PAGE}jobs/{job}", follow_redirects=True).status_code == 200

    window = open_window(ben)
    page = window.open_jobs()
    expect(page.get_by_text("secret of ada")).to_have_count(0)
    expect(page.locator(f"tr[data-job='{job}']")).to_have_count(0)
    answer = page.goto(f"{PAGE}jobs/{job}")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="No such job")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("secret of ada")

    page.goto(PAGE)
    expect(page.get_by_role("link", name="Groups")).to_have_count(0)
    token = page.locator("meta[name='xsrf']").get_attribute("content") or ""
    headers = {"X-XSRFToken": token, "Content-Type": "application/json"}
    for path in ("", "/log", "/notebook", "/result", "/view", "/figures"):
        assert page.request.get(f"{JOBS}/{job}{path}").status == 404, path
        assert ben.user.api.get(f"{JOBS}/{job}{path}").status_code == 404, path
    keyed = {**headers, "Idempotency-Key": "not-of-this-user"}
    assert page.request.post(f"{JOBS}/{job}/cancel", headers=headers, data="{}").status == 404
    assert page.request.post(f"{JOBS}/{job}/rerun", headers=keyed, data="{}").status == 404
    shared = page.request.post(f"{JOBS}/{job}/share", headers=headers, data='{"shared": true}')
    assert shared.status == 404
    asked = page.request.post(f"{JOBS}/{job}/rerun/check", headers=headers, data="{}")
    assert asked.status == 404
    assert page.request.delete(f"{JOBS}/{job}", headers=headers).status == 404
    of_all = ("queues", "sessions", "outcomes")
    for path in (*of_all, *(f"{path}?group=spatial-lab" for path in (*of_all, "line"))):
        told = page.request.get(f"{PAGE}api/v1/{path}")
        assert (told.status, "ada" in told.text()) == (403, False), path
    assert page.request.get(f"{PAGE}groups").status == 403
    assert ada.job(job)["state"] == "succeeded"


def test_markup_of_users_and_notebooks_is_shown_as_text(
    ben: Visitor, open_window: OpenWindow
) -> None:
    notebook = build_notebook(
        "print(text)", f"raise ValueError({SCRIPT!r})", parameters="text = 'usual'"
    )
    job = ben.submit(
        notebook, name=f"name {SCRIPT}", parameters={"text": SCRIPT}, path=f"{SCRIPT[8:20]}.ipynb"
    )
    ben.wait_for_state(job, "failed")

    window = open_window(ben)
    page = window.open_jobs()
    row = window.row(job)
    expect(row.locator(".name")).to_have_text(f"name {SCRIPT}")
    expect(row.locator(".sentence")).to_contain_text(SCRIPT)
    expect_no_script(page)

    answer = page.goto(f"{PAGE}jobs/{job}")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    expect(page.get_by_role("heading", level=1)).to_have_text(f"name {SCRIPT}")
    expect(page.locator("#sentence")).to_contain_text(SCRIPT)
    expect(page.locator("#facts")).to_contain_text("window.ran = 1")
    expect(page.locator("#log")).to_contain_text(SCRIPT)
    page.get_by_role("button", name="Delete record").click()
    expect(page.locator("#confirm-text")).to_contain_text(SCRIPT)
    page.get_by_role("button", name="No, keep it").click()
    expect_no_script(page)

    lab = open_window(ben).open_lab(ben)
    item = lab.open_panel().get_by_role("listitem").filter(has_text="name <script>")
    expect(item).to_contain_text(SCRIPT)
    item.locator(".jp-OfflineJobs-name").click()
    expect(lab.panel.locator("pre")).to_contain_text(SCRIPT)
    expect(lab.panel).to_contain_text(f"text = {json.dumps(SCRIPT)}")
    expect_no_script(lab.page)


def test_pages_that_are_open_end_with_the_login(open_window: OpenWindow) -> None:
    window = open_window()
    window.sign_in("admin")
    # What comes next depends on whether a session of theirs runs.
    expect(window.page.get_by_label("Password")).to_have_count(0)
    page = window.open_jobs()
    other = page.context.new_page()

    other.goto("/hub/logout")

    # Sooner than the service asks the hub again, which is each quarter of a minute at best.
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=10_000)


def expect_no_script(page: Page) -> None:
    """No script that a user brought ran, and none of their elements is there."""
    assert page.evaluate("window.ran") is None
    expect(page.locator("img[src=x]")).to_have_count(0)
