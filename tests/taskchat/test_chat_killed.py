"""The turn, killed at every statement: right before it and right after it, COMMIT included.

The points are counted by the run itself: each test goes from the first point on, until a run ends without having
come to its point. So a statement that is added tomorrow is covered without anyone remembering.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, update
from sqlmodel import col

from taskchat.chat import Chat, ChatReply
from taskchat.database import Database
from taskchat.errors import TurnInProgressError
from taskchat.models import Conversation, Message, Role, Task, Turn, TurnStatus
from tests.support.kill_switch import Killed, KillSwitch, answer_is_lost, connection_dies, process_dies
from tests.support.scripted_model import ReceivedRequest, ScriptedModel, calls, says
from tests.taskchat.conftest import request_of

MODEL_CALLS = 3
FEWEST_POINTS = 2 * 12
COMMITS = 4


def behave(request: ReceivedRequest) -> Any:
    """Play a model that creates milk, then bread, then says so: it decides by the results that it is shown."""
    since = request.messages[[message["role"] for message in request.messages].index("user") :]
    results = sum(message["role"] == "tool" for message in since)
    if results == 0:
        return calls(("create_task", {"title": "Milk"}))
    if results == 1:
        return calls(("create_task", {"title": "Bread"}))
    return says("Added milk and bread.")


@contextmanager
def another_process(database_url: str, chat_over: Callable[[Database], Chat]) -> Iterator[tuple[Database, Chat]]:
    database = Database(lambda: database_url)
    try:
        yield database, chat_over(database)
    finally:
        database.dispose()


def let_every_lease_run_out(database: Database) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    running = update(Turn).where(col(Turn.status) == TurnStatus.RUNNING).values(lease_expires_at=past)
    database.transaction(lambda session: session.execute(running))


def assert_exactly_once(database: Database, reply: ChatReply) -> None:
    """Everything stands once: the tasks, the message, each step, the reply, and all of it in the audit trail."""

    def read(session: Any) -> Any:
        tasks = session.execute(select(col(Task.title)).order_by(col(Task.id))).scalars().all()
        messages = session.execute(select(Message).order_by(col(Message.id))).scalars().all()
        turn = session.execute(select(Turn)).scalar_one()
        conversations = session.execute(select(func.count()).select_from(Conversation)).scalar_one()
        return tasks, messages, turn, conversations

    tasks, messages, turn, conversations = database.transaction(read)
    assert tasks == ["Milk", "Bread"]
    assert conversations == 1
    assert [(message.role, message.content) for message in messages] == [
        (Role.USER, "Add milk"),
        (Role.ASSISTANT, ""),
        (Role.ASSISTANT, ""),
        (Role.ASSISTANT, "Added milk and bread."),
    ]
    assert {message.turn_id for message in messages} == {turn.id}
    audited = [call for message in messages for call in message.tool_calls or ()]
    assert [call["result"]["title"] for call in audited] == tasks
    assert turn.status is TurnStatus.FINISHED
    assert (reply.message_id, reply.response) == (messages[-1].id, messages[-1].content)
    assert list(reply.tool_calls) == audited


def empty_all_tables(database: Database) -> None:
    """Forget everything, through the only way out that messages have."""
    database.transaction(lambda session: session.execute(Conversation.__table__.delete()))  # type: ignore[attr-defined]
    database.transaction(lambda session: session.execute(Task.__table__.delete()))  # type: ignore[attr-defined]


def answer_until_done(database: Database, chat: Chat) -> ChatReply:
    """Repeat the request as a client does: after a live lease it waits, which is played, not slept."""
    try:
        return chat.answer(request_of(), lambda: 25.0)
    except TurnInProgressError:
        let_every_lease_run_out(database)
        return chat.answer(request_of(), lambda: 25.0)


def ends_before_its_point(chat: Chat, switch: KillSwitch) -> bool:
    try:
        chat.answer(request_of(), lambda: 25.0)
    except Killed:
        assert switch.reached
        return False
    return True


def test_a_process_that_dies_at_any_point_leaves_a_turn_that_is_finished_exactly_once(
    database_url: str, chat_over: Callable[[Database], Chat], scripted_model: ScriptedModel
) -> None:
    for point in itertools.count(1):
        scripted_model.script(*[behave] * (MODEL_CALLS * 2 - scripted_model.unused))
        switch = KillSwitch(point, process_dies)
        with another_process(database_url, chat_over) as (database, chat):
            database.transaction(lambda _: None)
            switch.install(database.engine())
            if ends_before_its_point(chat, switch):
                break
        with another_process(database_url, chat_over) as (database, chat):
            assert_exactly_once(database, answer_until_done(database, chat))
            asked = len(scripted_model.requests)
            replayed = chat.answer(request_of(), lambda: 25.0)
            assert replayed.replayed
            assert len(scripted_model.requests) == asked
            assert_exactly_once(database, replayed)
            empty_all_tables(database)
    assert point > FEWEST_POINTS


@pytest.mark.parametrize(
    ("act", "install", "fewest_points"),
    [
        (connection_dies, KillSwitch.install, FEWEST_POINTS),
        (answer_is_lost, KillSwitch.install_on_commits, 2 * COMMITS),
    ],
    ids=["the connection dies", "the answer to a COMMIT is lost"],
)
def test_a_connection_that_fails_at_any_point_costs_nothing_but_a_new_one(
    postgres_url: str,
    chat_over: Callable[[Database], Chat],
    scripted_model: ScriptedModel,
    act: Callable[[KillSwitch, Any], None],
    install: Callable[[KillSwitch, Engine], None],
    fewest_points: int,
) -> None:
    for point in itertools.count(1):
        scripted_model.script(*[behave] * (MODEL_CALLS - scripted_model.unused))
        switch = KillSwitch(point, act)
        with another_process(postgres_url, chat_over) as (database, chat):
            database.transaction(lambda _: None)
            install(switch, database.engine())
            reply = chat.answer(request_of(), lambda: 25.0)
            assert scripted_model.unused == 0
            assert_exactly_once(database, reply)
            empty_all_tables(database)
        if not switch.reached:
            break
    assert point > fewest_points
