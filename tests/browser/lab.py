"""JupyterLab as the browser ring uses it: by its menus, its file browser and our panel."""

from playwright.sync_api import Locator, Page, expect

COMMAND = "Run as Offline Job…"


class Lab:
    """An open JupyterLab."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def panel(self) -> Locator:
        """The Offline Jobs panel."""
        return self.page.locator("#offline-jobs-panel")

    @property
    def dialog(self) -> Locator:
        """The dialog that submits."""
        return self.page.locator(".jp-OfflineJobs-dialog")

    def wait_until_ready(self) -> None:
        """Wait until Lab has started and shows the home."""
        expect(self.page.locator("#jp-MainMenu")).to_be_visible()
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
        expect(self.file("examples")).to_be_visible()

    def file(self, name: str) -> Locator:
        """An entry of the file browser."""
        return self.page.locator(".jp-DirListing-item").filter(has_text=name)

    def open_example(self, name: str) -> None:
        """Open an example notebook by double clicks."""
        self.file("examples").dblclick()
        self.file(name).dblclick()
        tab = self.page.locator("#jp-main-dock-panel .lm-TabBar-tab").filter(has_text=name)
        expect(tab).to_be_visible()
        rendered = self.page.locator(".jp-Notebook:visible .jp-RenderedMarkdown h1")
        expect(rendered.first).to_be_visible()

    def choose_in_run_menu(self, label: str) -> None:
        """Choose an entry of the menu *Run*."""
        self.page.locator("#jp-MainMenu").get_by_text("Run", exact=True).click()
        self.page.locator(".lm-Menu").get_by_text(label, exact=True).click()

    def choose_in_context_menu(self, where: Locator, label: str) -> None:
        """Choose an entry of a context menu."""
        where.click(button="right")
        self.page.locator(".lm-Menu").get_by_text(label, exact=True).click()

    def wait_for_dialog(self) -> Locator:
        """The dialog, once the service has looked at the notebook."""
        expect(self.dialog.get_by_role("button", name="Submit")).to_be_enabled()
        return self.dialog

    def submit(self) -> None:
        """Press Submit and wait until the dialog is gone: the job is taken."""
        self.dialog.get_by_role("button", name="Submit").click()
        expect(self.dialog).to_have_count(0)

    def open_panel(self) -> Locator:
        """The panel, opened by the menu."""
        self.choose_in_run_menu("Show Offline Jobs")
        expect(self.panel).to_be_visible()
        return self.panel

    def item(self, name: str) -> Locator:
        """A job in the panel's list, the newest of its name."""
        return self.panel.get_by_role("listitem").filter(has_text=name).first
