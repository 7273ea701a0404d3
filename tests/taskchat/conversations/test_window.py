"""What of a conversation the model remembers."""

import random
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event, insert

from taskchat.conversations import estimated_tokens, load_window
from taskchat.models import Role, Turn, TurnStatus
from tests.support.rolled_back import ANN, BOB
from tests.taskchat.conversations.conftest import NOON

Converse = Callable[..., int]
Say = Callable[..., int]
CALL = {"id": "1", "tool": "get_task", "arguments": {"task_id": 1}, "result": {"id": 1}, "timestamp": "…"}
PLENTY = 1_000_000
NO_TURN = uuid.UUID(int=0)


def contents(connection: Connection, known: int, *, messages: int = 50, tokens: int = PLENTY) -> list[str]:
    window = load_window(connection, ANN, known, messages=messages, tokens=tokens, before_turn=NO_TURN)
    return [message.content for message in window]


@pytest.fixture
def known(converse: Converse, say: Say) -> int:
    """Return a conversation of two exchanges, the first with a tool."""
    known = converse()
    say(known, "ask 1")
    say(known, "", role=Role.ASSISTANT, tool_calls=[CALL])
    say(known, "answer 1", role=Role.ASSISTANT)
    say(known, "ask 2")
    say(known, "answer 2", role=Role.ASSISTANT)
    return known


def test_the_whole_conversation_is_remembered_where_it_fits(connection: Connection, known: int) -> None:
    assert contents(connection, known) == ["ask 1", "", "answer 1", "ask 2", "answer 2"]
    second = load_window(connection, ANN, known, messages=50, tokens=PLENTY, before_turn=NO_TURN)[1]
    assert (second.role, second.tool_calls) == (Role.ASSISTANT, [CALL])


@pytest.mark.parametrize(("messages", "remembered"), [(5, 5), (4, 2), (3, 2), (2, 2), (1, 0), (0, 0)])
def test_a_window_of_few_messages_begins_at_a_users(
    connection: Connection, known: int, messages: int, remembered: int
) -> None:
    whole = contents(connection, known)
    assert contents(connection, known, messages=messages) == whole[len(whole) - remembered :]


def test_a_window_of_few_tokens_begins_at_a_users(connection: Connection, known: int) -> None:
    window = load_window(connection, ANN, known, messages=50, tokens=PLENTY, before_turn=NO_TURN)
    costs = [estimated_tokens(message) for message in window]
    last_two = costs[3] + costs[4]
    whole = contents(connection, known)
    assert contents(connection, known, tokens=sum(costs)) == whole
    assert contents(connection, known, tokens=sum(costs) - 1) == whole[3:]
    assert contents(connection, known, tokens=last_two) == whole[3:]
    assert contents(connection, known, tokens=last_two - 1) == []


def test_tool_calls_count_toward_the_tokens(connection: Connection, converse: Converse, say: Say) -> None:
    known = converse()
    say(known, "ask")
    say(known, "", role=Role.ASSISTANT, tool_calls=[{**CALL, "result": {"text": "x" * 4000}}])
    assert contents(connection, known, tokens=1000) == []
    assert contents(connection, known, tokens=1100) == ["ask", ""]


def test_the_running_turn_is_left_out(connection: Connection, known: int, say: Say) -> None:
    turn_id = uuid.uuid4()
    turn = {
        "id": turn_id,
        "user_id": ANN,
        "conversation_id": known,
        "idempotency_key": "key",
        "request_hash": "hash",
        "status": TurnStatus.RUNNING,
        "attempt": 1,
        "lease_expires_at": NOON + timedelta(seconds=30),
    }
    connection.execute(insert(Turn).values(turn))
    say(known, "ask 3", turn_id=turn_id)
    say(known, "", role=Role.ASSISTANT, tool_calls=[CALL], turn_id=turn_id)
    window = load_window(connection, ANN, known, messages=2, tokens=PLENTY, before_turn=turn_id)
    assert [message.content for message in window] == ["ask 2", "answer 2"]
    assert contents(connection, known, messages=2) == ["ask 3", ""]


def test_other_conversations_are_not_remembered(
    connection: Connection, known: int, converse: Converse, say: Say
) -> None:
    other = converse()
    say(other, "elsewhere")
    assert contents(connection, other) == ["elsewhere"]
    assert "elsewhere" not in contents(connection, known)


def test_a_window_is_one_statement(connection: Connection, known: int) -> None:
    statements: list[object] = []
    event.listen(connection, "before_cursor_execute", lambda *given: statements.append(given[2]))
    contents(connection, known)
    assert len(statements) == 1


@pytest.mark.parametrize("seed", range(10))
def test_a_window_is_the_end_of_the_conversation(
    connection: Connection, converse: Converse, say: Say, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same on every run
    known = converse()
    for number in range(chance.randrange(40)):
        role = chance.choice(list(Role))
        calls = [CALL] * chance.randrange(1, 3) if role is Role.ASSISTANT and chance.random() < 0.5 else None
        say(known, chance.choice("xü☃") * chance.randrange(60), role=role, tool_calls=calls, after_microseconds=number)
    whole = load_window(connection, ANN, known, messages=10_000, tokens=PLENTY, before_turn=NO_TURN)
    for _ in range(20):
        messages, tokens = chance.randrange(50), chance.randrange(600)
        window = load_window(connection, ANN, known, messages=messages, tokens=tokens, before_turn=NO_TURN)
        assert window == whole[len(whole) - len(window) :]
        assert len(window) <= messages
        assert sum(map(estimated_tokens, window)) <= tokens
        assert all(message.role is Role.USER for message in window[:1])
        earlier = [start for start in range(len(whole) - len(window)) if whole[start].role is Role.USER]
        longer = whole[earlier[-1] :] if earlier else []
        assert not longer or len(longer) > messages or sum(map(estimated_tokens, longer)) > tokens


def test_of_somebody_elses_conversation_nothing_is_remembered(connection: Connection, known: int) -> None:
    assert load_window(connection, BOB, known, messages=50, tokens=PLENTY, before_turn=NO_TURN) == []
