"""The statements of a turn on PostgreSQL: each one more is a round trip more in every turn."""

import pytest

from taskchat.database import database
from tests.functions.conftest import Post
from tests.support.scripted_model import ScriptedModel, calls, says
from tests.support.statements import recorded

pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)


def first_words(statements: list[str]) -> list[str]:
    return [statement.split(maxsplit=1)[0] for statement in statements]


def test_a_turn_with_one_tool_takes_thirteen_round_trips(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    conversation_id = post_chat({"message": "hello"}).body["conversation_id"]
    scripted_model.script(calls(("create_task", {"title": "Buy milk"})), says("Added it."))

    with recorded(database().engine()) as statements:
        answer = post_chat({"message": "Add milk", "conversation_id": conversation_id})

    assert answer.status == 200
    assert first_words(statements) == [
        *("BEGIN", "UPDATE", "WITH", "SELECT", "COMMIT"),
        *("BEGIN", "SAVEPOINT", "INSERT", "WITH", "COMMIT"),
        *("BEGIN", "WITH", "COMMIT"),
    ]


def test_a_turn_without_tools_takes_eight_round_trips(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."), says("Hello again."))
    post_chat({"message": "connect"})

    with recorded(database().engine()) as statements:
        post_chat({"message": "hello"})

    assert first_words(statements) == [
        *("BEGIN", "UPDATE", "INSERT", "WITH", "COMMIT"),
        *("BEGIN", "WITH", "COMMIT"),
    ]
