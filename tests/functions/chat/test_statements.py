"""What a turn asks of PostgreSQL, exactly: each statement more is a round trip more in every turn."""

import pytest

from taskchat.database import database
from tests.functions.conftest import Post
from tests.support.scripted_model import ScriptedModel, calls, says
from tests.support.statements import recorded

pytestmark = pytest.mark.parametrize("backend", ["postgres"], indirect=True)


def first_words(messages: list[list[str]]) -> list[list[str]]:
    return [[statement.split(maxsplit=1)[0] for statement in message] for message in messages]


def test_a_turn_with_one_tool_takes_eight_statements_in_four_round_trips(
    post_chat: Post, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(says("Hello."))
    conversation_id = post_chat({"message": "hello"}).body["conversation_id"]
    scripted_model.script(calls(("create_task", {"title": "Buy milk"})), says("Added it."))

    with recorded(database().engine()) as messages:
        answer = post_chat({"message": "Add milk", "conversation_id": conversation_id})

    assert answer.status == 200
    assert sum(map(len, messages)) == 8
    assert first_words(messages) == [
        ["WITH", "SELECT"],
        *(["BEGIN", "SAVEPOINT", "INSERT"], ["WITH", "COMMIT"]),
        ["WITH"],
    ]


def test_a_turn_without_tools_in_a_new_conversation_takes_two_statements(
    post_chat: Post, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(says("Hello."), says("Hello again."))
    post_chat({"message": "connect"})

    with recorded(database().engine()) as messages:
        post_chat({"message": "hello"})

    assert first_words(messages) == [["WITH"], ["WITH"]]


def test_a_new_connection_is_not_asked_who_it_is(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."), says("Hello again."))
    post_chat({"message": "hello"})
    database().dispose()

    with recorded(database().engine()) as messages:
        post_chat({"message": "hello"})

    assert len(messages) == 2
