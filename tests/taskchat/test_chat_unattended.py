"""Turns whose client does not come back: killed at every point, raced for, cancelled.

The invariant: every turn that was accepted reaches a final state, and each of its effects happens once.
"""

import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from taskchat.chat import Chat, ChatReply, ChatRequest
from taskchat.database import Database
from taskchat.errors import (
    ModelFailedError,
    ModelRateLimitedError,
    TaskchatError,
    TurnCancelledError,
    TurnFinishedError,
    TurnInProgressError,
    TurnInterruptedError,
)
from taskchat.models import Message, Role, Task, Turn, TurnStatus
from tests.support.kill_switch import Killed, KillSwitch, process_dies
from tests.support.leases import let_every_wait_run_out
from tests.support.owner import as_owner
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says, status
from tests.support.turn_queues import MemoryQueue, plenty, work, work_and_sweep
from tests.taskchat.conftest import ANN, request_of

FINAL = {TurnStatus.FINISHED, TurnStatus.FAILED, TurnStatus.CANCELLED, TurnStatus.ABANDONED, TurnStatus.REPLACED}
SLOW_DOWN = status(429, {"Retry-After": "7"})
MILK = calls(("create_task", {"title": "Milk"}))
FEWEST_POINTS = 16
RACERS = 4


@dataclass
class Behaviour:
    """A model that creates milk, then says so. After the first step it answers with the faults that are left."""

    faults: list[Answer] = field(default_factory=list)

    def __call__(self, request: ReceivedRequest) -> Answer:
        if not any(message["role"] == "tool" for message in request.messages):
            return MILK
        return self.faults.pop() if self.faults else says("Added.")


@pytest.fixture
def behaviour(scripted_model: ScriptedModel) -> Behaviour:
    """Return how the model behaves, for as many calls as a test may make of it."""
    behaviour = Behaviour()
    scripted_model.script(*[behaviour] * 5_000)
    return behaviour


def rows(database: Database, column: Any) -> list[Any]:
    statement = select(column)
    return list(as_owner(database, lambda connection: connection.execute(statement).scalars().all()))


@pytest.fixture
def queue() -> MemoryQueue:
    """Return a queue that nothing kills."""
    return MemoryQueue()


@pytest.fixture
def queued_chat(chat: Chat, queue: MemoryQueue) -> Chat:
    """Return a chat that queues turns."""
    return replace(chat, queue=queue)


@contextmanager
def process(
    database_url: str, chat_over: Callable[[Database], Chat], queue: MemoryQueue
) -> Iterator[tuple[Database, Chat]]:
    database = Database(lambda: database_url)
    try:
        yield database, replace(chat_over(database), queue=queue)
    finally:
        database.dispose()


def accepts(chat: Chat, behaviour: Behaviour) -> None:
    behaviour.faults = []
    chat.accept(request_of(), plenty)


def accepts_under_a_rate_limit(chat: Chat, behaviour: Behaviour) -> None:
    behaviour.faults = [SLOW_DOWN]
    chat.accept(request_of(), plenty)


def answers_under_a_rate_limit(chat: Chat, behaviour: Behaviour) -> None:
    behaviour.faults = [SLOW_DOWN]
    with suppress(ModelRateLimitedError):
        chat.answer(request_of(), plenty)


@pytest.mark.parametrize("begins", [accepts_under_a_rate_limit, answers_under_a_rate_limit])
def test_a_turn_ends_whatever_process_is_killed(
    database_url: str,
    chat_over: Callable[[Database], Chat],
    behaviour: Behaviour,
    begins: Callable[[Chat, Behaviour], None],
) -> None:
    for point in itertools.count(1):
        switch = KillSwitch(point, process_dies)
        queue = MemoryQueue(switch)
        with process(database_url, chat_over, queue) as (database, chat):
            switch.install(database.engine())
            with suppress(Killed):
                begins(chat, behaviour)
                work(chat, queue)
                chat.sweep(plenty)
        queue.switch = None
        with process(database_url, chat_over, queue) as (database, chat):
            work_and_sweep(database, chat, queue)
            assert_ended_exactly_once(database)
            if statuses := rows(database, col(Turn.status)):
                assert statuses == [TurnStatus.FINISHED]
                assert chat.answer(request_of(), plenty).replayed
            forget_everything(database)
        if not switch.reached:
            break
    assert point > FEWEST_POINTS


def test_a_sweep_that_is_killed_loses_no_turn(
    database_url: str, chat_over: Callable[[Database], Chat], behaviour: Behaviour
) -> None:
    for point in itertools.count(1):
        lost, switch = MemoryQueue(), KillSwitch(point, process_dies)
        with process(database_url, chat_over, lost) as (database, chat):
            accepts(chat, behaviour)
            let_every_wait_run_out(database)
        queue = MemoryQueue(switch)
        with process(database_url, chat_over, queue) as (database, chat):
            switch.install(database.engine())
            with suppress(Killed):
                chat.sweep(plenty)
        queue.switch = None
        with process(database_url, chat_over, queue) as (database, chat):
            work_and_sweep(database, chat, queue)
            assert rows(database, col(Turn.status)) == [TurnStatus.FINISHED]
            assert_ended_exactly_once(database)
            forget_everything(database)
        if not switch.reached:
            break
    assert point > 4


def assert_ended_exactly_once(database: Database) -> None:
    """Every turn is over, and each effect has its record, or there is neither."""
    statuses = rows(database, col(Turn.status))
    assert set(statuses) <= FINAL
    audited = [
        call["result"]["title"] for made in rows(database, col(Message.tool_calls)) for call in made or () if made
    ]
    assert rows(database, col(Task.title)) == audited
    assert len(audited) == len(statuses)
    assert Counter(rows(database, col(Message.role)))[Role.USER] == len(statuses)


def forget_everything(database: Database) -> None:
    for name in ("conversations", "turns", "tasks"):
        table = Task.metadata.tables[name]
        as_owner(database, lambda connection, table=table: connection.execute(table.delete()))  # type: ignore[misc]


def test_the_worker_answers_as_the_request_would(
    queued_chat: Chat, queue: MemoryQueue, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(says("Hello."), MILK, says("Added."))
    opening = queued_chat.answer(request_of("opening", "Hello"), plenty)
    turn_id = queued_chat.accept(request_of(conversation_id=opening.conversation_id), plenty)
    assert list(queue.messages) == [turn_id]
    reply = queued_chat.resume(queue.messages[0], plenty)
    assert reply is not None
    assert (reply.turn_id, reply.response, len(reply.tool_calls)) == (turn_id, "Added.", 1)
    asked = scripted_model.requests[1].messages
    assert [message["role"] for message in asked[1:]] == ["user", "assistant", "user"]
    assert "(Europe/Berlin)" in asked[-1]["content"]
    assert queued_chat.answer(request_of(conversation_id=opening.conversation_id), plenty) == replace(
        reply, replayed=True
    )


def test_a_second_message_about_a_turn_does_nothing(
    queued_chat: Chat, queue: MemoryQueue, behaviour: Behaviour, scripted_model: ScriptedModel
) -> None:
    accepts(queued_chat, behaviour)
    (turn_id,) = queue.messages
    assert queued_chat.resume(turn_id, plenty) is not None
    asked = len(scripted_model.requests)
    assert queued_chat.resume(turn_id, plenty) is None
    assert len(scripted_model.requests) == asked


def test_without_a_queue_a_turn_is_left_to_its_client(chat: Chat, scripted_model: ScriptedModel) -> None:
    scripted_model.script(SLOW_DOWN, says("Hello."))
    with pytest.raises(ModelRateLimitedError) as raised:
        chat.answer(request_of(), plenty)
    assert raised.value.turn_id is not None
    assert chat.answer(request_of(), plenty).response == "Hello."


def test_a_turn_out_of_time_goes_on_at_once(
    queued_chat: Chat, queue: MemoryQueue, database: Database, scripted_model: ScriptedModel
) -> None:
    left_seconds = 25.0

    def take_long(_request: ReceivedRequest) -> Answer:
        nonlocal left_seconds
        left_seconds = 4.0
        return MILK

    scripted_model.script(take_long, says("Added."))
    with pytest.raises(TurnInterruptedError) as raised:
        queued_chat.answer(request_of(), lambda: left_seconds)
    assert (list(queue.messages), queue.delays) == ([raised.value.turn_id], [0.0])
    work(queued_chat, queue)
    assert rows(database, col(Turn.status)) == [TurnStatus.FINISHED]
    assert rows(database, col(Task.title)) == ["Milk"]


def test_the_worker_waits_longer_each_time_and_gives_up(
    queued_chat: Chat, queue: MemoryQueue, database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(*[status(429, {"Retry-After": "7"})] * 5)
    queued_chat.accept(request_of(), plenty)
    work(queued_chat, queue)
    assert queue.delays == [0.0, 7.0, 20.0, 80.0, 320.0]
    ((state, error),) = as_owner(
        database, lambda connection: connection.execute(select(col(Turn.status), col(Turn.error))).all()
    )
    assert state is TurnStatus.FAILED
    assert error


def test_a_permanent_failure_ends_the_turn(
    queued_chat: Chat, queue: MemoryQueue, database: Database, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(status(401))
    queued_chat.accept(request_of(), plenty)
    turn_id = queue.messages[0]
    with pytest.raises(ModelFailedError):
        queued_chat.resume(turn_id, plenty)
    assert list(queue.messages) == [turn_id]
    assert rows(database, col(Turn.status)) == [TurnStatus.FAILED]
    assert None not in rows(database, col(Turn.error))


@pytest.mark.parametrize("time_zone", [None, "Nowhere/Any_more"])
def test_a_turn_without_a_usable_time_zone_ends(
    queued_chat: Chat, queue: MemoryQueue, database: Database, behaviour: Behaviour, time_zone: str | None
) -> None:
    accepts(queued_chat, behaviour)
    without = update(Turn).values(time_zone=time_zone)
    as_owner(database, lambda connection: connection.execute(without))
    work(queued_chat, queue)
    assert rows(database, col(Turn.status)) == [TurnStatus.FINISHED]


@pytest.fixture
def processes(database_url: str, chat_over: Callable[[Database], Chat], queue: MemoryQueue) -> Iterator[list[Chat]]:
    """Return as many chats as there are racers, each with a connection of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(process(database_url, chat_over, queue))[1] for _ in range(RACERS)]


Outcome = ChatReply | TaskchatError | None


def race(*racers: Callable[[], Any]) -> list[Any]:
    """Let all run from the same instant on; return what each returned or raised."""
    start = threading.Barrier(len(racers))

    def run(racer: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return racer()
        except TaskchatError as error:
            return error

    with ThreadPoolExecutor(len(racers)) as pool:
        return list(pool.map(run, racers))


def worker_of(chat: Chat, turn_id: uuid.UUID) -> Callable[[], Any]:
    return lambda: chat.resume(turn_id, plenty)


def client_of(chat: Chat, request: ChatRequest) -> Callable[[], Any]:
    return lambda: chat.answer(request, plenty)


def test_worker_client_and_sweep_race_for_a_turn(
    processes: list[Chat], queue: MemoryQueue, database: Database, behaviour: Behaviour
) -> None:
    accepts(processes[0], behaviour)
    turn_id = queue.messages[0]
    let_every_wait_run_out(database)
    outcomes = race(
        worker_of(processes[0], turn_id),
        worker_of(processes[1], turn_id),
        client_of(processes[2], request_of()),
        lambda: processes[3].sweep(plenty),
    )
    replies = [outcome for outcome in outcomes if isinstance(outcome, ChatReply)]
    assert [reply.replayed for reply in replies].count(False) == 1
    assert {type(outcome) for outcome in outcomes} <= {ChatReply, TurnInProgressError, type(None), int}
    work_and_sweep(database, processes[0], queue)
    assert rows(database, col(Turn.status)) == [TurnStatus.FINISHED]
    assert_ended_exactly_once(database)


@pytest.mark.parametrize("late_answer", [MILK, says("Added.")], ids=["with a step", "with a reply"])
def test_a_cancelled_turn_is_fenced_off(
    queued_chat: Chat, queue: MemoryQueue, database: Database, scripted_model: ScriptedModel, late_answer: Answer
) -> None:
    queued_chat.accept(request_of(), plenty)
    turn_id = queue.messages[0]

    def cancel_meanwhile(_request: ReceivedRequest) -> Answer:
        with ThreadPoolExecutor(1) as pool:
            other = Database(queued_chat.database._url)
            pool.submit(replace(queued_chat, database=other).cancel, ANN.user_id, turn_id, plenty).result()
            other.dispose()
        return late_answer

    scripted_model.script(cancel_meanwhile)
    with pytest.raises(TurnCancelledError):
        queued_chat.resume(turn_id, plenty)
    work_and_sweep(database, queued_chat, queue)
    assert rows(database, col(Turn.status)) == [TurnStatus.CANCELLED]
    assert rows(database, col(Task.title)) == []
    assert queued_chat.resume(turn_id, plenty) is None


def test_cancel_and_finish_race_for_the_end(
    processes: list[Chat], queue: MemoryQueue, database: Database, behaviour: Behaviour
) -> None:
    accepts(processes[0], behaviour)
    turn_id = queue.messages[0]
    worked, cancelled = race(
        worker_of(processes[0], turn_id),
        lambda: processes[1].cancel(ANN.user_id, turn_id, plenty),
    )
    (end,) = rows(database, col(Turn.status))
    if end is TurnStatus.FINISHED:
        assert isinstance(worked, ChatReply)
        assert isinstance(cancelled, TurnFinishedError)
    else:
        assert end is TurnStatus.CANCELLED
        assert cancelled is None
        assert worked is None or isinstance(worked, TurnCancelledError)
    audited = [call["tool"] for made in rows(database, col(Message.tool_calls)) for call in made or ()]
    assert len(audited) == len(rows(database, col(Task.title)))
