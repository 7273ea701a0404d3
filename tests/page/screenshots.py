"""`python -m tests.page.screenshots`: write the screenshots of docs/ from a Taskchat that is running at a URL."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.page.conftest import CHROMIUM, FLAGS, WIDE, ZONE, ask

DOCS = Path(__file__).parents[2] / "docs" / "images"
NARROW: ViewportSize = {"width": 360, "height": 740}
MESSAGES = (
    "Add a task to renew the passport on friday",
    "Add tasks: buy flour, milk and candles",
    "Urgent: call the dentist tomorrow at 9am",
)


def main() -> None:
    """Write a wide, a dark and two narrow pictures."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"
    DOCS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        name = f"screenshots-{datetime.now(ZoneInfo(ZONE)).timestamp():.0f}"
        page = _open(browser, url, name, WIDE)
        _fill(page)
        _save(page, "page")
        page.emulate_media(color_scheme="dark")
        _save(page, "page-dark")
        place = page.url.removeprefix(url)
        page = _open(browser, f"{url}{place}", name, NARROW)
        page.locator(".reply .text").last.wait_for()
        _save(page, "page-narrow-chat")
        page.get_by_role("button", name="Tasks", exact=True).click()
        _save(page, "page-narrow-tasks")
        browser.close()


def _open(browser: Browser, url: str, person: str, viewport: ViewportSize) -> Page:
    context = browser.new_context(viewport=viewport, locale="en-GB", timezone_id=ZONE, color_scheme="light")
    context.add_init_script(f"if (origin !== 'null') localStorage.setItem('taskchat name', '{person}')")
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Message", exact=True).wait_for()
    return page


def _fill(page: Page) -> None:
    yesterday = (datetime.now(ZoneInfo(ZONE)) - timedelta(days=1)).date().isoformat()
    for title, date, priority in (
        ("Send the invoice to Weber & Co", yesterday, "high"),
        ("Water the plants", datetime.now(ZoneInfo(ZONE)).date().isoformat(), "normal"),
        ("Plan the summer holiday", "2027-05-02", "normal"),
        ("Learn to make sourdough bread", "", "normal"),
    ):
        page.get_by_label("Add a task").fill(title)
        page.locator(".adder").get_by_label("Due date").fill(date)
        page.locator(".adder").get_by_label("Priority").select_option(priority)
        page.get_by_label("Add a task").press("Enter")
        page.locator(".task-title", has_text=title).wait_for()
    ask(page, "What is due this week?")
    page.get_by_role("link", name="New chat").click()
    page.locator(".welcome").wait_for()
    for message in MESSAGES:
        ask(page, message)
    page.locator(".change").last.wait_for()
    # Notices go by themselves.
    page.locator(".notice").wait_for(state="detached", timeout=15_000)


def _save(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=DOCS / f"{name}.png")


if __name__ == "__main__":
    main()
