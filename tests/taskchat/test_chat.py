"""Concurrent and late invocations, and what a turn leaves behind; `test_chat_killed.py` has those that are killed."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from taskchat.chat import LEASE_MARGIN_SECONDS, RESERVED_SECONDS, Chat, ChatReply, ChatRequest
from taskchat.database import Database
from taskchat.errors import (
    ConversationBusyError,
    ModelFailedError,
    TaskchatError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import Message, Role, Task, Turn, TurnStatus, utc_now
from tests.support.leases import let_every_lease_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says, status
from tests.taskchat.conftest import request_of

RACERS = 6
MILK = calls(("create_task", {"title": "Milk"}))


def plenty() -> float:
    return 25.0


def read(database: Database, column: Any) -> list[Any]:
    return list(as_owner(database, lambda connection: connection.execute(select(column)).scalars().all()))


@pytest.fixture
def processes(database_url: str, chat_over: Callable[[Database], Chat]) -> Iterator[list[Chat]]:
    """Return as many chats as there are racers, each with a connection of its own, as separate instances have."""
    with ExitStack() as stack:
        databases = [Database(lambda: database_url) for _ in range(RACERS)]
        for database in databases:
            stack.callback(database.dispose)
        yield [chat_over(database) for database in databases]


def race(processes: list[Chat], requests: list[ChatRequest]) -> list[ChatReply | TaskchatError]:
    """Let each process answer its request, all from the same instant on."""
    start = threading.Barrier(len(processes))

    def run(chat: Chat, request: ChatRequest) -> ChatReply | TaskchatError:
        start.wait()
        try:
            return chat.answer(request, plenty)
        except TaskchatError as error:
            return error

    with ThreadPoolExecutor(len(processes)) as pool:
        return list(pool.map(run, processes, requests))


@pytest.fixture
def first_reply(chat: Chat, scripted_model: ScriptedModel) -> ChatReply:
    """Return the reply that opened a conversation."""
    scripted_model.script(says("Hello."))
    return chat.answer(request_of("opening", "Hello"), plenty)


def test_one_of_several_racers_with_one_key_works(
    processes: list[Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(MILK, says("Added."))
    outcomes = race(processes, [request_of()] * RACERS)
    kinds = Counter(type(outcome) for outcome in outcomes)
    assert kinds.keys() <= {ChatReply, TurnInProgressError}
    assert [outcome.replayed for outcome in outcomes if isinstance(outcome, ChatReply)].count(False) == 1
    assert read(database, col(Task.title)) == ["Milk"]
    assert Counter(read(database, col(Message.role))) == {Role.USER: 1, Role.ASSISTANT: 2}
    assert scripted_model.unexpected == []


def test_one_of_several_racers_in_a_conversation_works(
    processes: list[Chat], database: Database, scripted_model: ScriptedModel, first_reply: ChatReply
) -> None:
    everybody_is_here = threading.Semaphore(0)

    def answer_after_the_others_were_turned_away(_request: ReceivedRequest) -> Answer:
        everybody_is_here.acquire(timeout=20)
        return says("Mine.")

    scripted_model.script(answer_after_the_others_were_turned_away)
    requests = [request_of(f"key {number}", "Hi", first_reply.conversation_id) for number in range(RACERS)]
    start = threading.Barrier(RACERS)
    turned_away: list[TaskchatError] = []

    def run(chat: Chat, request: ChatRequest) -> ChatReply | None:
        start.wait()
        try:
            return chat.answer(request, plenty)
        except TaskchatError as error:
            turned_away.append(error)
            if len(turned_away) == RACERS - 1:
                everybody_is_here.release()
            return None

    with ThreadPoolExecutor(RACERS) as pool:
        replies = [reply for reply in pool.map(run, processes, requests) if reply]
    assert [reply.response for reply in replies] == ["Mine."]
    assert {type(error) for error in turned_away} == {ConversationBusyError}
    assert Counter(read(database, col(Turn.status))) == {TurnStatus.FINISHED: 2}
    assert Counter(read(database, col(Message.role))) == {Role.USER: 2, Role.ASSISTANT: 2}
    assert scripted_model.unexpected == []


@pytest.mark.parametrize("late_answer", [MILK, says("Added.")], ids=["with a step", "with a reply"])
def test_a_late_invocation_writes_nothing_after_a_takeover(
    chat: Chat,
    chat_over: Callable[[Database], Chat],
    database: Database,
    database_url: str,
    scripted_model: ScriptedModel,
    late_answer: Answer,
) -> None:
    other_database = Database(lambda: database_url)

    def sleep_until_another_has_finished(_request: ReceivedRequest) -> Answer:
        let_every_lease_run_out(other_database)
        scripted_model.script(MILK, says("Added by the other."))
        assert chat_over(other_database).answer(request_of(), plenty).response == "Added by the other."
        return late_answer

    scripted_model.script(sleep_until_another_has_finished)
    with pytest.raises(TurnSupersededError):
        chat.answer(request_of(), plenty)
    other_database.dispose()
    assert read(database, col(Task.title)) == ["Milk"]
    assert Counter(read(database, col(Message.role))) == {Role.USER: 1, Role.ASSISTANT: 2}
    assert as_owner(
        database, lambda connection: connection.execute(select(col(Turn.status), col(Turn.attempt))).one()
    ) == (
        TurnStatus.FINISHED,
        2,
    )


def test_a_late_invocation_writes_nothing_after_a_message(
    chat: Chat,
    chat_over: Callable[[Database], Chat],
    database: Database,
    database_url: str,
    scripted_model: ScriptedModel,
    first_reply: ChatReply,
) -> None:
    other_database = Database(lambda: database_url)
    conversation_id = first_reply.conversation_id

    def sleep_until_a_newer_message_is_answered(_request: ReceivedRequest) -> Answer:
        let_every_lease_run_out(other_database)
        scripted_model.script(says("Newer."))
        chat_over(other_database).answer(request_of("newer", "Newer", conversation_id), plenty)
        return MILK

    scripted_model.script(sleep_until_a_newer_message_is_answered)
    with pytest.raises(TurnSupersededError):
        chat.answer(request_of("stale", "Stale", conversation_id), plenty)
    other_database.dispose()
    assert read(database, col(Task.id)) == []
    with pytest.raises(TurnSupersededError):
        chat.answer(request_of("stale", "Stale", conversation_id), plenty)
    assert Counter(read(database, col(Turn.status))) == {TurnStatus.FINISHED: 2, TurnStatus.ABANDONED: 1}
    messages = scripted_model.requests[-1].messages
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    # Two messages of the person in a row are joined.
    assert "Stale" in messages[-1]["content"]
    assert messages[-1]["content"].endswith("Newer")


# SQLite has one writer at a time: nothing can happen within another's transaction.
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_turn_overtaken_during_takeover_is_superseded(
    chat: Chat,
    chat_over: Callable[[Database], Chat],
    database: Database,
    database_url: str,
    scripted_model: ScriptedModel,
    first_reply: ChatReply,
) -> None:
    other_database = Database(lambda: database_url)
    scripted_model.script(status(401))
    request = request_of("overtaken", "Add milk", first_reply.conversation_id)
    with pytest.raises(ModelFailedError):
        chat.answer(request, plenty)
    overtaking: list[ChatReply] = []

    def overtake(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM conversations" in statement and "FOR UPDATE" in statement and not overtaking:
            scripted_model.script(MILK, says("Added."))
            newer = request_of("newer", "Well?", first_reply.conversation_id)
            overtaking.append(chat_over(other_database).answer(newer, plenty))

    event.listen(database.engine(), "before_cursor_execute", overtake)
    with pytest.raises(TurnSupersededError):
        chat.answer(request, plenty)
    other_database.dispose()
    assert len(overtaking) == 1
    assert read(database, col(Task.title)) == ["Milk"]


def test_a_conversation_deleted_during_a_turn_stays_gone(
    chat: Chat, database: Database, database_url: str, scripted_model: ScriptedModel
) -> None:
    other_database = Database(lambda: database_url)

    def delete_meanwhile(_request: ReceivedRequest) -> Answer:
        conversations = Message.metadata.tables["conversations"]
        as_owner(other_database, lambda connection: connection.execute(conversations.delete()))
        return MILK

    scripted_model.script(delete_meanwhile)
    with pytest.raises(TurnSupersededError):
        chat.answer(request_of(), plenty)
    other_database.dispose()
    assert (read(database, col(Task.id)), read(database, col(Message.id))) == ([], [])


def test_people_racing_to_be_created_each_become_one_user(
    processes: list[Chat], database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(*[says("Hello.")] * RACERS)
    outcomes = race(processes, [request_of(f"key {number}", "Hello") for number in range(RACERS)])
    assert [type(outcome) for outcome in outcomes] == [ChatReply] * RACERS
    users = Message.metadata.tables["users"]
    assert (
        as_owner(database, lambda connection: connection.execute(select(func.count()).select_from(users)).scalar()) == 1
    )


def test_no_connection_is_held_while_the_model_thinks(
    chat: Chat, database: Database, scripted_model: ScriptedModel
) -> None:
    checked_out: list[int] = []

    def look(_request: ReceivedRequest) -> Answer:
        checked_out.append(database.engine().pool.checkedout())  # type: ignore[attr-defined]
        return says("Hello.")

    scripted_model.script(look)
    chat.answer(request_of(), plenty)
    assert checked_out == [0]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize("script", [[says("boom")], [calls(("create_task", {"title": "Milk"}), content="boom")]])
def test_a_refused_reply_is_a_defect_not_a_lost_lease(
    chat: Chat, database: Database, scripted_model: ScriptedModel, script: list[Answer]
) -> None:
    refuse = "ALTER TABLE messages ADD CHECK (content <> 'boom')"
    as_owner(database, lambda connection: connection.exec_driver_sql(refuse))
    scripted_model.script(*script)

    with pytest.raises(IntegrityError):
        chat.answer(request_of("key", "Hello"), plenty)

    assert read(database, col(Turn.status)) == [TurnStatus.FAILED]
    assert read(database, col(Task.title)) == []


def test_a_lease_covers_each_model_call(chat: Chat, database_url: str, scripted_model: ScriptedModel) -> None:
    other_database = Database(lambda: database_url)
    left_seconds: list[float] = []

    def look(_request: ReceivedRequest) -> Answer:
        now = select(utc_now()), select(col(Turn.lease_expires_at))
        begun, expires_at = (
            as_owner(other_database, lambda connection, each=each: connection.execute(each).scalar_one())  # type: ignore[misc]
            for each in now
        )
        left_seconds.append((expires_at - begun).total_seconds())
        return MILK if len(left_seconds) == 1 else says("Added.")

    scripted_model.script(look, look)
    chat.answer(request_of(), plenty)
    other_database.dispose()
    longest_seconds = chat.model_timeout_seconds + RESERVED_SECONDS + LEASE_MARGIN_SECONDS
    assert [longest_seconds - 1 < left <= longest_seconds for left in left_seconds] == [True, True]


@pytest.mark.parametrize(
    ("answer", "end", "reason"),
    [
        (status(401), TurnStatus.FAILED, "The model's provider refused"),
        (status(429), TurnStatus.INTERRUPTED, "The model's provider asks to slow down"),
    ],
)
def test_a_turn_that_fails_records_its_reason(
    chat: Chat, database: Database, scripted_model: ScriptedModel, answer: Answer, end: TurnStatus, reason: str
) -> None:
    scripted_model.script(answer)
    with pytest.raises(TaskchatError):
        chat.answer(request_of(), plenty)
    [error] = read(database, col(Turn.error))
    assert read(database, col(Turn.status)) == [end]
    assert error.startswith(reason)
