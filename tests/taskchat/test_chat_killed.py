"""The turn, killed before every statement, and before and after every COMMIT.

The points are counted by the run itself: each test goes from the first point on, until a run ends without having
come to its point. So a statement that is added tomorrow is covered without anyone remembering.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from taskchat.chat import Chat, ChatReply, ChatRequest
from taskchat.database import Database
from taskchat.errors import ModelFailedError, TurnInProgressError
from taskchat.models import Conversation, Message, Role, Task, Turn, TurnStatus
from tests.support.kill_switch import Killed, KillSwitch, answer_is_lost, connection_dies, process_dies
from tests.support.leases import let_every_lease_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says, status
from tests.taskchat.conftest import request_of

FEWEST_POINTS = 8


@dataclass
class Behaviour:
    """A model that creates milk, then bread, then says so; it decides by the results that it is shown."""

    faults_left: int = 0

    def __call__(self, request: ReceivedRequest) -> Answer:
        """Answer; of the answers after the first step, as many as are left are faults."""
        roles = [message["role"] for message in request.messages]
        of_the_person = len(roles) - 1 - roles[::-1].index("user")
        # The words come after the time, and after the words of a turn that did not end.
        words = request.messages[of_the_person]["content"].rpartition("\n\n")[2]
        match words, roles[of_the_person:].count("tool"):
            case "Hello", _:
                return says("Hello.")
            case "Stale", _:
                return status(401)
            case _, 0:
                return calls(("create_task", {"title": "Milk"}))
            case _, 1 if self.faults_left:
                self.faults_left -= 1
                return status(401)
            case _, 1:
                return calls(("create_task", {"title": "Bread"}))
            case _:
                return says("Added milk and bread.")


Scenario = Callable[[Chat, Database, Behaviour], ChatRequest]


def in_a_new_conversation(_chat: Chat, _database: Database, _behaviour: Behaviour) -> ChatRequest:
    return request_of()


def in_a_conversation(chat: Chat, _database: Database, _behaviour: Behaviour) -> ChatRequest:
    opening = chat.answer(request_of("opening", "Hello"), plenty)
    return request_of(conversation_id=opening.conversation_id)


def with_a_fault_after_the_first_step(_chat: Chat, _database: Database, behaviour: Behaviour) -> ChatRequest:
    behaviour.faults_left = 1
    return request_of()


def after_a_fault(chat: Chat, _database: Database, behaviour: Behaviour) -> ChatRequest:
    behaviour.faults_left = 1
    with pytest.raises(ModelFailedError):
        chat.answer(request_of(), plenty)
    return request_of()


def over_a_stale_turn(chat: Chat, database: Database, _behaviour: Behaviour) -> ChatRequest:
    opening = chat.answer(request_of("opening", "Hello"), plenty)
    with pytest.raises(ModelFailedError):
        chat.answer(request_of("stale", "Stale", opening.conversation_id), plenty)
    stale = update(Turn).where(col(Turn.idempotency_key) == "stale").values(status=TurnStatus.RUNNING)
    as_owner(database, lambda connection: connection.execute(stale))
    let_every_lease_run_out(database)
    return request_of(conversation_id=opening.conversation_id)


SCENARIOS = [
    in_a_new_conversation,
    in_a_conversation,
    with_a_fault_after_the_first_step,
    after_a_fault,
    over_a_stale_turn,
]


def plenty() -> float:
    return 25.0


@contextmanager
def another_process(database_url: str, chat_over: Callable[[Database], Chat]) -> Iterator[tuple[Database, Chat]]:
    database = Database(lambda: database_url)
    try:
        yield database, chat_over(database)
    finally:
        database.dispose()


def answer_until_done(database: Database, chat: Chat, request: ChatRequest) -> ChatReply:
    """Repeat the request as a client does: after a live lease it waits, which is played, not slept."""
    for _ in range(3):
        try:
            return chat.answer(request, plenty)
        except TurnInProgressError:
            let_every_lease_run_out(database)
        except ModelFailedError:
            continue
    return chat.answer(request, plenty)


def assert_exactly_once(database: Database, reply: ChatReply) -> None:
    """Everything stands once: the tasks, the message, each step, the reply, and all of it in the audit trail."""

    def read(connection: Any) -> Any:
        tasks = connection.execute(select(col(Task.title)).order_by(col(Task.id))).scalars().all()
        turn = connection.execute(select(Turn).where(col(Turn.idempotency_key) == "key")).one()
        messages = connection.execute(select(Message).order_by(col(Message.id))).all()
        others = connection.execute(select(col(Turn.status)).where(col(Turn.id) != turn.id)).scalars().all()
        conversations = connection.execute(select(func.count()).select_from(Conversation)).scalar_one()
        return tasks, turn, messages, others, conversations

    tasks, turn, messages, others, conversations = as_owner(database, read)
    assert tasks == ["Milk", "Bread"]
    assert conversations == 1
    assert [message.content for message in messages].count("Add milk") == 1
    own = [message for message in messages if message.turn_id == turn.id]
    assert [(message.role, message.content) for message in own] == [
        (Role.USER, "Add milk"),
        (Role.ASSISTANT, ""),
        (Role.ASSISTANT, ""),
        (Role.ASSISTANT, "Added milk and bread."),
    ]
    audited = [call for message in messages for call in message.tool_calls or ()]
    assert [call["result"]["title"] for call in audited] == tasks
    assert turn.status is TurnStatus.FINISHED
    assert TurnStatus.RUNNING not in others
    assert (reply.message_id, reply.response) == (own[-1].id, own[-1].content)
    assert list(reply.tool_calls) == audited


def forget_everything(database: Database) -> None:
    """Empty the tables, through the only way out that messages have."""
    for table in (Conversation.metadata.tables[name] for name in ("conversations", "turns", "tasks")):
        as_owner(database, lambda connection, table=table: connection.execute(table.delete()))  # type: ignore[misc]


@pytest.fixture
def behaviour(scripted_model: ScriptedModel) -> Behaviour:
    """Return how the scripted model behaves, for as many calls as a test may make of it."""
    behaviour = Behaviour()
    scripted_model.script(*[behaviour] * 5_000)
    return behaviour


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_killed_process_leaves_an_exactly_once_turn(
    database_url: str,
    chat_over: Callable[[Database], Chat],
    scripted_model: ScriptedModel,
    behaviour: Behaviour,
    scenario: Scenario,
) -> None:
    for point in itertools.count(1):
        switch = KillSwitch(point, process_dies)
        with another_process(database_url, chat_over) as (database, chat):
            request = scenario(chat, database, behaviour)
            switch.install(database.engine())
            with suppress(Killed, ModelFailedError):
                chat.answer(request, plenty)
        with another_process(database_url, chat_over) as (database, chat):
            assert_exactly_once(database, answer_until_done(database, chat, request))
            asked = len(scripted_model.requests)
            replayed = chat.answer(request, plenty)
            assert replayed.replayed
            assert len(scripted_model.requests) == asked
            assert_exactly_once(database, replayed)
            forget_everything(database)
        if not switch.reached:
            break
    assert point > FEWEST_POINTS


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("act", [connection_dies, answer_is_lost])
def test_a_failed_connection_costs_only_a_new_one(
    postgres_url: str,
    chat_over: Callable[[Database], Chat],
    scripted_model: ScriptedModel,
    behaviour: Behaviour,
    act: Callable[[KillSwitch, Any], None],
    scenario: Scenario,
) -> None:
    calls_of_the_model = set()
    for point in itertools.count(1):
        switch = KillSwitch(point, act)
        with another_process(postgres_url, chat_over) as (database, chat):
            request = scenario(chat, database, behaviour)
            switch.install(database.engine())
            asked = len(scripted_model.requests)
            with suppress(ModelFailedError):
                chat.answer(request, plenty)
            assert_exactly_once(database, chat.answer(request, plenty))
            calls_of_the_model.add(len(scripted_model.requests) - asked)
            forget_everything(database)
        if not switch.reached:
            break
    assert point > FEWEST_POINTS
    assert len(calls_of_the_model) == 1
