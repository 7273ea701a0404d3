"""Chat: sending, steps, stop, recovery, undo, edit."""

import re

from playwright.sync_api import Page, Route, expect

from tests.page.conftest import OpenContext, Server, ask, send


def test_a_message_is_there_at_once_and_answered(page: Page, server: Server) -> None:
    server.pace.hold()
    send(page, "Add a task to buy milk tomorrow")
    expect(page.locator(".question p")).to_have_text("Add a task to buy milk tomorrow")
    expect(page.locator(".progress")).to_have_text("Working on it…")
    server.pace.step()
    expect(page.locator(".change").first).to_contain_text("Created Buy milk")
    expect(page.locator(".task")).to_contain_text("Buy milk")
    assert page.locator(".reply .text").count() == 0
    server.pace.free()

    expect(page.locator(".reply .text")).to_contain_text("Buy milk")
    expect(page).to_have_url(re.compile(r"#/c/\d+$"))
    expect(page.locator(".conversation a[aria-current]")).to_contain_text("buy milk")


def test_shift_enter_breaks_the_line(page: Page) -> None:
    box = page.get_by_label("Message", exact=True)
    box.press_sequentially("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    assert box.input_value() == "one\ntwo"
    assert page.locator(".question").count() == 0


def test_a_turn_can_be_stopped(page: Page, server: Server) -> None:
    server.pace.hold()
    send(page, "Add a task to buy milk")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".trouble")).to_contain_text("Stopped")
    server.pace.free()

    page.reload()
    expect(page.locator(".trouble")).to_contain_text("Stopped")
    expect(page.locator(".task")).to_have_count(0)


def test_a_reload_in_mid_turn_finds_the_turn(page: Page, server: Server) -> None:
    server.pace.hold()
    send(page, "Add a task to buy milk")
    expect(page).to_have_url(re.compile(r"#/c/\d+$"))
    page.reload()
    expect(page.locator(".progress")).to_be_visible()
    server.pace.free()

    expect(page.locator(".reply .text")).to_contain_text("Buy milk")
    expect(page.locator(".question")).to_have_count(1)
    expect(page.locator(".task")).to_have_count(1)


def test_a_reload_before_the_answer_to_post_sends_again(page: Page) -> None:
    page.route("**/chat", lambda route: route.abort())
    send(page, "Add a task to buy milk")
    expect(page.locator(".progress")).to_contain_text("No connection")
    page.unroute("**/chat")
    page.reload()
    expect(page.locator(".reply .text")).to_contain_text("Buy milk")
    expect(page.locator(".task")).to_have_count(1)


def test_a_lost_answer_is_asked_for_with_the_same_key(page: Page) -> None:
    keys = []

    def lose_the_first_answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/chat", lose_the_first_answer)
    ask(page, "Add a task to buy milk")
    assert len(keys) == 2
    assert keys[0] == keys[1]
    expect(page.locator(".question")).to_have_count(1)
    expect(page.locator(".task")).to_have_count(1)


def test_busy_and_unavailable_need_no_word_from_the_person(page: Page) -> None:
    left = [409, 503]

    def refuse(route: Route) -> None:
        if not left:
            route.continue_()
            return
        status = left.pop(0)
        code = "conversation-busy" if status == 409 else "database-unavailable"
        headers = {"content-type": "application/problem+json", "retry-after": "1"}
        route.fulfill(status=status, headers=headers, body=f'{{"code": "{code}", "retryable": true}}')

    page.route("**/chat", refuse)
    ask(page, "Add a task to buy milk")
    assert not left
    expect(page.locator(".task")).to_have_count(1)


def test_killed_instances_are_not_noticed(page: Page, server: Server) -> None:
    ask(page, "Add a task to buy milk")
    server.kill_instances()
    ask(page, "Add a task to buy bread")
    expect(page.locator(".task")).to_have_count(2)


def test_offline_and_back(page: Page) -> None:
    expect(page.locator(".welcome")).to_be_visible()
    page.context.set_offline(True)
    send(page, "Add a task to buy milk")
    expect(page.locator(".progress")).to_contain_text("No connection")
    page.context.set_offline(False)
    expect(page.locator(".reply .text")).to_contain_text("Buy milk")
    expect(page.locator(".task")).to_have_count(1)


def test_two_tabs_agree(page: Page, server: Server) -> None:
    ask(page, "Add a task to buy milk")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(".task")).to_have_count(1)
    server.pace.hold()
    send(page, "Add a task to buy bread")
    expect(other.locator(".question").last).to_have_text(re.compile("buy bread"))
    expect(other.locator(".progress")).to_be_visible()
    server.pace.free()
    expect(other.locator(".reply .text")).to_have_count(2)
    expect(other.locator(".task")).to_have_count(2)
    other.get_by_label("Complete Buy milk").click()
    expect(page.locator(".task")).to_have_count(1)


def test_two_people_see_nothing_of_each_other(page: Page, open_context: OpenContext, person: str) -> None:
    ask(page, "Add a task to buy a secret present")
    other = open_context(f"{person}-b").new_page()
    other.goto(page.url)
    expect(other.locator(".trouble")).to_contain_text("does not exist")
    expect(other.locator(".tasks .empty")).to_contain_text("Nothing to do")
    assert "secret" not in other.content()


def test_changes_are_undone_and_redone(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    page.locator(".change").get_by_role("button", name="Undo").click()
    expect(page.locator(".task")).to_have_count(0)
    expect(page.locator(".changes.undone")).to_have_count(1)
    page.locator(".exchange").last.get_by_role("button", name="Undo").click()
    expect(page.locator(".task")).to_contain_text("Buy milk")


def test_an_undo_that_comes_too_late_says_why(page: Page, server: Server, person: str) -> None:
    ask(page, "Add a task to buy milk")
    (task,) = server.call(person, "GET", "/tasks")["items"]
    server.call(person, "PATCH", f"/tasks/{task['id']}", {"title": "Buy oat milk"})
    page.locator(".change").get_by_role("button", name="Undo").click()
    expect(page.locator(".notice")).to_contain_text("changed it since")


def test_an_edited_message_takes_back_what_it_did(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.locator(".note")).to_contain_text("takes back the one change")
    send(page, "Add a task to buy bread")
    expect(page.locator(".question")).to_have_count(1)
    expect(page.locator(".change")).to_contain_text("Buy bread")
    expect(page.locator(".task")).to_have_count(1)
    expect(page.locator(".task")).to_contain_text("Buy bread")


def test_a_question_is_asked_again(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    first = page.locator(".reply .text").inner_text()
    page.get_by_role("button", name="Ask again").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("is taken back first")
    dialog.get_by_role("button", name="Ask again").click()
    expect(page.locator(".reply .text")).not_to_have_text(first)
    expect(page.locator(".exchange")).to_have_count(1)
    expect(page.locator(".task")).to_have_count(1)


def test_a_reply_is_rated(page: Page) -> None:
    ask(page, "Add a task to buy milk")
    page.get_by_role("button", name="Good answer").click()
    page.reload()
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")


def test_a_used_up_allowance_is_explained(page: Page) -> None:
    problem = '{"code": "usage-limit-reached", "retryable": true, "status": 429}'
    headers = {"content-type": "application/problem+json", "retry-after": "7200"}
    page.route("**/chat", lambda route: route.fulfill(status=429, headers=headers, body=problem))
    send(page, "Add a task to buy milk")
    expect(page.locator(".trouble")).to_contain_text("allowance is used up")
    expect(page.locator(".trouble")).to_contain_text("You can go on")


def test_markup_in_a_title_is_text(page: Page) -> None:
    ask(page, 'Add a task "<img src=x onerror=document.body.remove()> <b>milk</b>"')
    expect(page.locator(".task-title")).to_contain_text("<b>milk</b>")
    expect(page.locator(".change strong")).to_contain_text("<img src=x")
    assert page.locator("img").count() == 0
