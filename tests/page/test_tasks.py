"""The tasks beside the chat."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from tests.page.conftest import Server

TASKS, CONVERSATIONS = 5_000, 500
LONGEST_FRAME_MS = 1_000


def add(page: Page, title: str) -> None:
    page.get_by_label("Add a task").fill(title)
    page.keyboard.press("Enter")
    expect(page.locator(".task-title", has_text=title)).to_be_visible()


def test_add_complete_reopen(page: Page, server: Server, person: str) -> None:
    add(page, "Buy milk")
    page.get_by_label("Complete Buy milk").click()
    expect(page.locator(".tasks .empty")).to_contain_text("Nothing to do")
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.locator(".task")).to_have_count(1)
    page.get_by_label("Complete Buy milk").click()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator(".task.done")).to_contain_text("Buy milk")
    (task,) = server.call(person, "GET", "/tasks")["items"]
    assert task["completed"]


def test_edit_in_place(page: Page, server: Server, person: str) -> None:
    add(page, "Buy milk")
    page.get_by_role("button", name="Edit Buy milk").click()
    page.get_by_label("Title").fill("Buy oat milk")
    page.get_by_label("Notes").fill("Two cartons")
    page.locator(".task-editor").get_by_label("Due date").fill("2031-05-04")
    page.locator(".task-editor").get_by_label("Priority").select_option("high")
    page.keyboard.press("Escape")
    expect(page.locator(".task-title")).to_have_text("Buy milk")
    page.get_by_role("button", name="Edit Buy milk").click()
    page.get_by_label("Title").fill("Buy oat milk")
    page.get_by_label("Notes").fill("Two cartons")
    page.locator(".task-editor").get_by_label("Due date").fill("2031-05-04")
    page.locator(".task-editor").get_by_label("Priority").select_option("high")
    page.locator(".task-editor").get_by_role("button", name="Save").click()
    expect(page.locator(".task")).to_contain_text("Buy oat milk")
    expect(page.locator(".task")).to_contain_text("4 May 2031")
    expect(page.locator(".notice")).to_contain_text("Saved")
    (task,) = server.call(person, "GET", "/tasks")["items"]
    assert task["description"] == "Two cartons"
    assert task["priority"] == "high"
    # A day means by the end of that day in the person's zone, where it is summer.
    assert datetime.fromisoformat(task["due_at"]) == datetime(2031, 5, 4, 21, 59, 59, tzinfo=UTC)


def test_a_task_changed_elsewhere_is_not_overwritten(page: Page, server: Server, person: str) -> None:
    add(page, "Buy milk")
    page.get_by_role("button", name="Edit Buy milk").click()
    (task,) = server.call(person, "GET", "/tasks")["items"]
    server.call(person, "PATCH", f"/tasks/{task['id']}", {"title": "Buy soy milk"})
    page.get_by_label("Title").fill("Buy oat milk")
    page.keyboard.press("Enter")
    expect(page.locator(".notice")).to_contain_text("changed it since")
    expect(page.locator(".task-title")).to_have_text("Buy soy milk")


def test_delete_and_undo(page: Page, server: Server, person: str) -> None:
    add(page, "Buy milk")
    (before,) = server.call(person, "GET", "/tasks")["items"]
    page.get_by_role("button", name="Delete Buy milk").click()
    expect(page.locator(".task")).to_have_count(0)
    page.locator(".notice").get_by_role("button", name="Undo").click()
    expect(page.locator(".task")).to_have_count(1)
    (after,) = server.call(person, "GET", "/tasks")["items"]
    assert after["id"] == before["id"]


def test_groups_search_and_filters(page: Page, server: Server, person: str) -> None:
    now = datetime.now(UTC)
    for title, due in (
        ("Past", now - timedelta(days=2)),
        ("Far", now + timedelta(days=40)),
        ("Someday", None),
    ):
        body = {"title": title, "due_at": due and due.isoformat(), "priority": "urgent" if title == "Far" else "low"}
        server.call(person, "POST", "/tasks", body)
    page.reload()
    expect(page.locator(".group h3")).to_have_text(["Overdue", "Later", "No date"])
    page.get_by_label("Search tasks").fill("some")
    expect(page.locator(".task-title")).to_have_text(["Someday"])
    page.get_by_label("Search tasks").fill("")
    page.locator(".filters").get_by_label("Priority").select_option("urgent")
    expect(page.locator(".task-title")).to_have_text(["Far"])
    page.get_by_label("Search tasks").fill("nothing like it")
    expect(page.locator(".tasks .empty")).to_contain_text("Nothing found")


def test_thousands_of_tasks_and_conversations_do_not_stutter(page: Page, server: Server) -> None:
    add(page, "The first")
    _fill(server)
    page.reload()
    expect(page.locator(".conversation").first).to_be_visible()
    # More is read when it is needed.
    assert page.locator(".task").count() <= 300
    # The longest time between two frames while the lists are scrolled to their ends.
    longest_ms = page.evaluate(
        """async () => {
          let longest = 0, last = performance.now();
          const lists = [...document.querySelectorAll(".scroller")];
          const count = (kind) => document.querySelectorAll(kind).length;
          const isRead = () => count(".task") > 5000 && count(".conversation") >= 500;
          for (const end = last + 60000; last < end && !isRead(); ) {
            for (const list of lists) list.scrollTop = list.scrollHeight;
            const now = await new Promise(requestAnimationFrame);
            longest = Math.max(longest, now - last);
            last = now;
          }
          return longest;
        }"""
    )
    expect(page.locator(".task")).to_have_count(TASKS + 1)
    expect(page.locator(".conversation")).to_have_count(CONVERSATIONS)
    assert longest_ms < LONGEST_FRAME_MS


def _fill(server: Server) -> None:
    """Write rows for the person who was seen last."""
    with closing(sqlite3.connect(server.database)) as connection, connection:
        (user,) = connection.execute("SELECT id FROM users ORDER BY created_at DESC, rowid DESC LIMIT 1").fetchone()
        now = "strftime('%Y-%m-%d %H:%M:%f000')"
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        connection.execute(
            f"INSERT INTO tasks (user_id, title, priority, completed, created_at, updated_at) {numbers} "
            f"SELECT ?, 'Task ' || i, 'normal', false, {now}, {now} FROM n",
            (TASKS, user),
        )
        connection.execute(
            f"INSERT INTO conversations (user_id, title, kind, created_at, updated_at) {numbers} "
            f"SELECT ?, 'Conversation ' || i, 'chat', {now}, {now} FROM n",
            (CONVERSATIONS, user),
        )
