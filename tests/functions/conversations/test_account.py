"""The routes of the export and of the deletion of an account."""

from collections.abc import Callable, Iterator

import pytest

from functions.conversations import app as conversations_app
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.settings import settings
from tests.functions.conftest import Post
from tests.support.scripted_model import ScriptedModel, calls, says

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
Ask = Callable[..., Answer]


@pytest.fixture
def ask(post_chat: Post, scripted_model: ScriptedModel) -> Iterator[Ask]:
    """Return a client of the function, after a turn of Ann."""
    scripted_model.script(calls(("create_task", {"title": "Milk"})), says("Done"))
    assert post_chat({"message": "Add milk"}).status == 200
    yield lambda method, path, **event: invoke(conversations_app.handler, http_event(method, path, **event))
    database().dispose()
    for kept in (database, settings):
        kept.cache_clear()


def tables(ask: Ask, **event: object) -> set[str]:
    found: set[str] = set()
    query: dict[str, str] = {}
    while True:
        answer = ask("GET", "/export", query=query, **event)
        assert answer.status == 200
        found |= {item["table"] for item in answer.body["items"]}
        if answer.body["next_cursor"] is None:
            return found
        query = {"cursor": answer.body["next_cursor"]}


def test_an_account_is_exported_and_deleted(ask: Ask) -> None:
    assert {"users", "tasks", "conversations", "messages", "turns"} <= tables(ask)
    assert tables(ask, user="bob") == set()
    answer = ask("DELETE", "/account", headers={"Confirm": "delete everything"})
    assert (answer.status, answer.body) == (204, None)
    assert tables(ask) == set()


@pytest.mark.parametrize("headers", [{}, {"Confirm": "Delete everything"}, {"Confirm": "yes"}])
def test_a_deletion_wants_the_exact_words(ask: Ask, headers: dict[str, str]) -> None:
    answer = ask("DELETE", "/account", headers=headers)
    assert (answer.status, answer.body["code"]) == (422, "invalid-request")
    assert [field["field"] for field in answer.body["fields"]] == ["header.Confirm"]
    assert "tasks" in tables(ask)
