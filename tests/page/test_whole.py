"""The page as a whole: weight, security, accessibility, sizes, languages, conversations, account."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.conformance.node import HOME
from tests.page.conftest import OpenContext, Server, ask

AXE = HOME / "node_modules" / "axe-core" / "axe.min.js"
NARROW = {"width": 360, "height": 740}
FIRST_PAINT_BYTES = 60_000
IMPORT = re.compile(r'^(?:import|export)[^;]*? from "(\.[^"]+)"', re.MULTILINE)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def test_first_paint_is_light(open_context: OpenContext, person: str) -> None:
    page = open_context(person).new_page()
    sizes: dict[str, int] = {}
    page.on("requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]}))
    page.goto("/", wait_until="networkidle")
    hosts = {url.split("/")[2] for url in sizes if url.startswith("http")}
    assert len(hosts) == 1
    assert sum(sizes.values()) < FIRST_PAINT_BYTES


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: make node")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing(open_context: OpenContext, person: str, scheme: str, viewport: dict[str, int]) -> None:
    page = open_context(person, color_scheme=scheme, viewport=viewport, bypass_csp=True).new_page()
    page.goto("/")
    expect(page.locator(".welcome")).to_be_visible()
    _assert_accessible(page)
    ask(page, "Add an urgent task to call the dentist today")
    _assert_accessible(page)
    if viewport == NARROW:
        page.get_by_role("button", name="Tasks").click()
        _assert_accessible(page)
        page.get_by_role("button", name="Conversations", exact=True).click()
        _assert_accessible(page)
    page.get_by_role("button", name="Edit Call the dentist").click() if viewport != NARROW else None
    page.get_by_role("button", name="Account and settings").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    _assert_accessible(page)


def _assert_accessible(page: Page) -> None:
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("tags => axe.run({runOnly: tags, resultTypes: ['violations']})", WCAG)["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []


def test_narrow_screens_scroll_in_one_direction_only(open_context: OpenContext, person: str) -> None:
    page = open_context(person, viewport=NARROW).new_page()
    page.goto("/")
    ask(page, "Add a task to " + "buymilk" * 30)
    for tab in ("Tasks", "Conversations", "Chat"):
        page.get_by_role("button", name=tab, exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
        too_wide = page.evaluate(
            """[...document.querySelectorAll('.pane *')]
            .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
            .map(element => element.outerHTML)"""
        )
        assert too_wide == []


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("Add a task to buy milk")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.locator(".task")).to_have_count(1)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
        )
        # The boxes whose frame shows the focus have no outline of their own.
        assert page.evaluate(
            """getComputedStyle(document.activeElement).outlineStyle !== 'none'
            || document.activeElement.matches('textarea, #add-task, body')"""
        )
    assert {"Undo", "Edit", "Good answer", "Ask again", "Add a task"} <= reached
    assert {"Complete Buy milk", "Edit Buy milk", "Delete Buy milk"} <= reached
    page.get_by_label("Complete Buy milk").focus()
    page.keyboard.press("Space")
    expect(page.locator(".task")).to_have_count(0)
    page.keyboard.press("Control+j")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".note")).to_contain_text("editing")
    page.keyboard.press("Escape")
    expect(page.locator(".note")).to_be_empty()


def test_screen_readers_are_told(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    expect(page.get_by_role("status")).to_contain_text("Assistant: Added")
    page.get_by_label("Complete Buy milk").click()
    expect(page.get_by_role("status")).to_contain_text("Done: “Buy milk”")


def test_conversations_are_found_renamed_and_deleted(page: Page, server: Server, person: str) -> None:
    ask(page, "Add a task to buy milk")
    link = page.url
    page.get_by_role("link", name="New chat").click()
    expect(page.locator(".welcome")).to_be_visible()
    ask(page, "Add a task to call the dentist")
    expect(page.locator(".conversation")).to_have_count(2)
    page.get_by_label("Search conversations").fill("milk")
    expect(page.locator(".conversation")).to_have_count(1)
    page.locator(".conversation a").click()
    expect(page).to_have_url(link)
    page.locator(".chat-pane > header").get_by_role("button").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("Shopping")
    page.keyboard.press("Enter")
    expect(page.locator(".chat-pane > header h2")).to_have_text("Shopping")
    page.locator(".chat-pane > header").get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".welcome")).to_be_visible()
    assert [item["title"] for item in server.call(person, "GET", "/conversations")["items"]] != ["Shopping"]


def test_the_audit_view_shows_replaced_turns(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    page.get_by_role("button", name="Edit", exact=True).click()
    ask_again = page.get_by_label("Message", exact=True)
    ask_again.fill("Add a task to buy bread")
    ask_again.press("Enter")
    expect(page.locator(".change")).to_contain_text("Buy bread")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    page.goto(f"{page.url}/audit")
    audit = page.locator(".audit")
    expect(audit).to_contain_text("Add a task to buy milk")
    expect(audit).to_contain_text("Add a task to buy bread")
    audit.locator("summary").first.click()
    expect(audit).to_contain_text('"title": "Buy milk"')
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"#/c/\d+$"))


def test_changes_by_hand_are_listed_apart(page: Page) -> None:
    page.get_by_label("Add a task").fill("Buy milk")
    page.keyboard.press("Enter")
    expect(page.locator(".task")).to_have_count(1)
    expect(page.locator(".conversation")).to_have_count(0)
    page.get_by_role("button", name="Other changes").click()
    page.locator(".conversation a").click()
    expect(page.locator(".audit")).to_contain_text("create_task")


def test_german_and_the_persons_own_zone(open_context: OpenContext, person: str, server: Server) -> None:
    server.call(person, "POST", "/tasks", {"title": "Milch", "due_at": "2031-05-04T22:30:00Z"})
    page = open_context(person, locale="de-DE", timezone_id="Asia/Tokyo").new_page()
    page.goto("/")
    expect(page.locator(".tasks-pane h2")).to_have_text("Aufgaben")
    expect(page.locator(".task")).to_contain_text("5. Mai 2031, 07:30")
    assert page.evaluate("document.documentElement.lang") == "de"


def test_the_theme_is_kept(page: Page) -> None:
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_label("Appearance").select_option("dark")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 20, 18)"


def test_every_module_is_preloaded() -> None:
    web = (Path(__file__).parents[2] / "web").resolve()
    preloaded = set(re.findall(r'modulepreload" href="([^"]+)"', (web / "index.html").read_text(encoding="utf-8")))
    needed: set[str] = set()
    left = [web / "main.js"]
    while left:
        module = left.pop()
        for imported in IMPORT.findall(module.read_text(encoding="utf-8")):
            path = (module.parent / imported).resolve()
            if (name := path.relative_to(web).as_posix()) not in needed:
                needed.add(name)
                left.append(path)
    assert preloaded == needed


def test_the_meter_shows_the_share_of_the_allowance(open_context: OpenContext, person: str) -> None:
    context = open_context(person)
    usage = {"turns": 3, "tokens": 2_500, "limits": {"tokens_per_day": 10_000}, "resets_at": "2031-01-01T00:00:00Z"}
    context.route("**/usage", lambda route: route.fulfill(json=usage))
    page = context.new_page()
    page.goto("/")
    expect(page.locator(".usage")).to_contain_text("25% of today's allowance used")


def test_everything_can_be_exported(open_context: OpenContext, person: str) -> None:
    context = open_context(person)
    pages = [{"items": [{"id": 1}], "next_cursor": "more"}, {"items": [{"id": 2}], "next_cursor": None}]
    context.route("**/export*", lambda route: route.fulfill(json=pages.pop(0)))
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Account and settings").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export everything").click()
    assert json.loads(download.value.path().read_text()) == [{"id": 1}, {"id": 2}]


def test_the_account_is_deleted_after_a_typed_word(open_context: OpenContext, person: str) -> None:
    context = open_context(person)
    confirmations: list[str] = []

    def delete(route: Route) -> None:
        confirmations.append(route.request.headers["confirm"])
        route.fulfill(status=204)

    context.route("**/account", delete)
    page = context.new_page()
    page.goto("/")
    page.get_by_role("button", name="Account and settings").click()
    page.get_by_role("button", name="Delete the account").click()
    button = page.get_by_role("dialog").last.get_by_role("button", name="Delete the account")
    expect(button).to_be_disabled()
    page.get_by_role("dialog").last.get_by_role("textbox").fill("delete")
    with page.expect_response("**/account"):
        button.click()
    assert confirmations == ["delete everything"]
