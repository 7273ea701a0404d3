"""Turns that are undone and replaced: once, as a whole, and killed or raced for at every point."""

import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select
from sqlmodel import col

from taskchat import audit, conversations
from taskchat.audit import Client, UndoneTurn, run_tool
from taskchat.chat import Chat, ChatReply, ChatRequest
from taskchat.database import Database
from taskchat.errors import (
    AlreadyUndoneError,
    ChangedSinceError,
    ConversationBusyError,
    IdempotencyKeyReusedError,
    NotFoundError,
    TaskchatError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import TASKS, TURNS, Message, Task, Turn, TurnStatus
from taskchat.undo import reversal
from tests.support.kill_switch import Killed, KillSwitch, answer_is_lost, process_dies
from tests.support.owner import as_owner, other_session, wait_for_lock
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, hangs_up, says
from tests.support.turn_queues import plenty
from tests.taskchat.conftest import ANN, request_of

FEWEST_POINTS = 8
EDITED = {TurnStatus.REPLACED: 2, TurnStatus.FINISHED: 1}


def add(request: ReceivedRequest) -> Answer:
    """Add a task of the title that the message is, then say so."""
    if request.messages[-1]["role"] == "tool":
        return says("Added.")
    return calls(("create_task", {"title": request.messages[-1]["content"].rpartition("\n\n")[2]}))


@pytest.fixture(autouse=True)
def _obedient_model(scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[add] * 100)


@contextmanager
def process(database_url: str, chat_over: Callable[[Database], Chat]) -> Iterator[tuple[Database, Chat]]:
    database = Database(lambda: database_url)
    try:
        yield database, chat_over(database)
    finally:
        database.dispose()


def rows(database: Database, column: Any) -> list[Any]:
    statement = select(column)
    return list(as_owner(database, lambda connection: connection.execute(statement).scalars().all()))


def tasks(database: Database) -> list[dict[str, Any]]:
    statement = select(TASKS).order_by(TASKS.c.id)
    return as_owner(database, lambda connection: [dict(row) for row in connection.execute(statement).mappings().all()])


def statuses(database: Database) -> Counter[TurnStatus]:
    return Counter(rows(database, col(Turn.status)))


def opening(chat: Chat) -> ChatReply:
    return chat.answer(request_of("opening", "Milk"), plenty)


def edit_of(first: ChatReply, key: str = "edit", message: str = "Bread") -> ChatRequest:
    return replace(request_of(key, message, first.conversation_id), replaces_turn_id=first.turn_id)


def undo(database: Database, turn_id: uuid.UUID, key: str = "undo") -> UndoneTurn:
    return audit.undo_turn(partial(database.transaction, ANN.user_id, seconds_left=plenty), ANN, turn_id, key)


def rename(database: Database, task_id: int, title: str = "Oat milk") -> Any:
    """Change a task as another program of the person does."""
    own = partial(database.transaction, ANN.user_id)
    arguments = f'{{"task_id": {task_id}, "title": "{title}"}}'
    return run_tool(own, Client(ANN, "Editor"), "update_task", arguments, request_of().time_zone)


def shown(database: Database, conversation_id: int, *, with_replaced: bool) -> list[str]:
    def read(connection: Connection) -> list[str]:
        page = conversations.messages_page(
            connection, ANN.user_id, conversation_id, limit=50, with_replaced=with_replaced
        )
        return [message.content for message in page.items]

    return database.transaction(ANN.user_id, read)


def test_an_edit_takes_the_newest_turn_back_and_hides_it(
    chat: Chat, database: Database, scripted_model: ScriptedModel
) -> None:
    first = opening(chat)
    second = chat.answer(edit_of(first), plenty)

    assert second.conversation_id == first.conversation_id
    assert [task["title"] for task in tasks(database)] == ["Bread"]
    # The third status is the record of the undo, hidden like the turn.
    assert statuses(database) == {TurnStatus.REPLACED: 2, TurnStatus.FINISHED: 1}
    sent = [str(message["content"]) for message in scripted_model.requests[-1].messages]
    assert not any("Milk" in content for content in sent)
    assert shown(database, first.conversation_id, with_replaced=False) == ["Bread", "", "Added."]
    assert shown(database, first.conversation_id, with_replaced=True) == [
        *("Milk", "", "Added.", ""),
        *("Bread", "", "Added."),
    ]


def test_an_edit_needs_no_conversation_id(chat: Chat) -> None:
    first = opening(chat)
    second = chat.answer(replace(edit_of(first), conversation_id=None), plenty)
    assert second.conversation_id == first.conversation_id


def test_an_edit_sent_twice_with_one_key_happens_once(
    chat: Chat, database: Database, scripted_model: ScriptedModel
) -> None:
    first = opening(chat)
    edited = chat.answer(edit_of(first), plenty)
    asked = len(scripted_model.requests)

    assert chat.answer(edit_of(first), plenty) == replace(edited, replayed=True)
    assert len(scripted_model.requests) == asked
    assert [task["title"] for task in tasks(database)] == ["Bread"]
    with pytest.raises(IdempotencyKeyReusedError):
        chat.answer(edit_of(first, message="Butter"), plenty)


def test_a_key_belongs_to_the_turn_that_it_replaced(chat: Chat) -> None:
    first = opening(chat)
    edited = chat.answer(edit_of(first), plenty)
    for other_turn_id in (None, edited.turn_id):
        with pytest.raises(IdempotencyKeyReusedError):
            chat.answer(replace(edit_of(first), replaces_turn_id=other_turn_id), plenty)


def test_an_edit_can_be_edited(chat: Chat, database: Database) -> None:
    second = chat.answer(edit_of(opening(chat)), plenty)
    third = chat.answer(edit_of(second, "again", "Butter"), plenty)
    assert [task["title"] for task in tasks(database)] == ["Butter"]
    assert shown(database, third.conversation_id, with_replaced=False) == ["Butter", "", "Added."]


def test_an_accepted_edit_is_answered_by_the_worker(chat: Chat, database: Database) -> None:
    first = opening(chat)
    accepted = chat.accept(edit_of(first), plenty)
    assert accepted == chat.accept(edit_of(first), plenty)
    assert isinstance(accepted, uuid.UUID)
    assert tasks(database) == []
    assert chat.resume(accepted, plenty) is not None
    assert [task["title"] for task in tasks(database)] == ["Bread"]


def test_only_the_newest_turn_can_be_replaced(chat: Chat, database: Database) -> None:
    first = opening(chat)
    chat.answer(request_of("later", "Butter", first.conversation_id), plenty)
    with pytest.raises(TurnSupersededError):
        chat.answer(edit_of(first), plenty)
    assert [task["title"] for task in tasks(database)] == ["Milk", "Butter"]
    assert statuses(database) == {TurnStatus.FINISHED: 2}


def test_a_turn_is_replaced_in_its_own_conversation(chat: Chat) -> None:
    first = opening(chat)
    other = chat.answer(request_of("other", "Butter"), plenty)
    with pytest.raises(NotFoundError):
        chat.answer(replace(edit_of(first), conversation_id=other.conversation_id), plenty)


def test_an_edit_of_a_task_changed_since_does_nothing(chat: Chat, database: Database) -> None:
    first = opening(chat)
    rename(database, first.tool_calls[0]["result"]["id"])
    before = tasks(database), sorted(rows(database, col(Turn.status))), len(rows(database, col(Message.id)))
    with pytest.raises(ChangedSinceError):
        chat.answer(edit_of(first), plenty)
    assert before == (
        tasks(database),
        sorted(rows(database, col(Turn.status))),
        len(rows(database, col(Message.id))),
    )


def test_a_turn_that_is_worked_on_cannot_be_replaced(
    chat: Chat, database_url: str, chat_over: Callable[[Database], Chat], scripted_model: ScriptedModel
) -> None:
    def edit_meanwhile(_request: ReceivedRequest) -> Answer:
        with process(database_url, chat_over) as (database, other):
            (turn_id,) = rows(database, col(Turn.id))
            with pytest.raises(ConversationBusyError):
                other.answer(replace(request_of("edit", "Bread"), replaces_turn_id=turn_id), plenty)
            with pytest.raises(TurnInProgressError):
                undo(database, turn_id)
        return says("Hello.")

    scripted_model.replace_script(edit_meanwhile, *[add] * 20)
    assert opening(chat).response == "Hello."


def test_an_undone_turn_is_replaced_with_its_undo(chat: Chat, database: Database) -> None:
    first = opening(chat)
    undo(database, first.turn_id)
    chat.answer(edit_of(first), plenty)
    assert [task["title"] for task in tasks(database)] == ["Bread"]
    assert shown(database, first.conversation_id, with_replaced=False) == ["Bread", "", "Added."]


def test_an_edit_leaves_an_undo_by_a_client_alone(chat: Chat, database: Database) -> None:
    first = opening(chat)
    own = partial(database.transaction, ANN.user_id)
    undone = run_tool(own, Client(ANN, "Editor"), "undo_last_change", "{}", request_of().time_zone)
    assert undone["result"]["turn_id"] == str(first.turn_id)
    chat.answer(edit_of(first), plenty)
    # The client's turn and the new one are finished.
    assert statuses(database) == {TurnStatus.REPLACED: 1, TurnStatus.FINISHED: 2}


def test_an_undo_is_repeated_by_its_key_and_can_be_undone(chat: Chat, database: Database) -> None:
    first = opening(chat)
    made = tasks(database)
    undone = undo(database, first.turn_id)
    assert tasks(database) == []
    assert undo(database, first.turn_id) == replace(undone, replayed=True)
    with pytest.raises(IdempotencyKeyReusedError):
        undo(database, undone.turn_id)
    with pytest.raises(AlreadyUndoneError):
        undo(database, first.turn_id, "another")
    undo(database, undone.turn_id, "back")
    assert tasks(database) == made


Act = Callable[[Database, Chat, uuid.UUID], Any]


def undoes(database: Database, _chat: Chat, turn_id: uuid.UUID) -> None:
    undo(database, turn_id)


def edits(_database: Database, chat: Chat, turn_id: uuid.UUID) -> None:
    """Replace a turn, and leave the new one to the worker: the rest of a turn is killed in other tests."""
    chat.accept(replace(request_of("edit", "Bread"), replaces_turn_id=turn_id), plenty)


ENDS: dict[Act, dict[TurnStatus, int]] = {
    undoes: {TurnStatus.FINISHED: 2},
    edits: {TurnStatus.REPLACED: 2, TurnStatus.QUEUED: 1},
}


def create(database: Database) -> uuid.UUID:
    """Create a task without a model; return the turn."""
    own = partial(database.transaction, ANN.user_id)
    made = run_tool(own, Client(ANN, "Editor"), "create_task", '{"title": "Milk"}', request_of().time_zone)
    return uuid.UUID(made["id"])


def assert_taken_back_once(database: Database, ends: dict[TurnStatus, int]) -> None:
    assert "Milk" not in [task["title"] for task in tasks(database)]
    assert statuses(database) == ends
    undos = [call for made in rows(database, col(Message.tool_calls)) for call in made or () if call["id"] == "undo_1"]
    assert len(undos) == 1


def forget_everything(database: Database) -> None:
    for name in ("conversations", "turns", "tasks"):
        table = Task.metadata.tables[name]
        as_owner(database, lambda connection, table=table: connection.execute(table.delete()))  # type: ignore[misc]


@pytest.mark.parametrize("act", ENDS)
def test_a_kill_anywhere_leaves_all_or_nothing(
    database_url: str, chat_over: Callable[[Database], Chat], act: Act
) -> None:
    for point in itertools.count(1):
        switch = KillSwitch(point, process_dies)
        with process(database_url, chat_over) as (database, chat):
            turn_id = create(database)
            switch.install(database.engine())
            with suppress(Killed):
                act(database, chat, turn_id)
        with process(database_url, chat_over) as (database, chat):
            assert_whole(database, turn_id)
            act(database, chat, turn_id)
            assert_taken_back_once(database, ENDS[act])
            forget_everything(database)
        if not switch.reached:
            break
    assert point > FEWEST_POINTS


def assert_whole(database: Database, turn_id: uuid.UUID) -> None:
    """The turn's task is there exactly as long as the turn is not taken back."""
    marked = select(TURNS.c.undone_by_turn_id).where(TURNS.c.id == turn_id)
    undone_by = as_owner(database, lambda connection: connection.execute(marked).scalar_one())
    assert bool(tasks(database)) == (undone_by is None)


@pytest.mark.parametrize("act", ENDS)
def test_a_lost_answer_takes_nothing_back_twice(
    postgres_url: str, chat_over: Callable[[Database], Chat], act: Act
) -> None:
    with process(postgres_url, chat_over) as (witness, _):
        for point in itertools.count(1):
            switch = KillSwitch(point, answer_is_lost)
            turn_id = create(witness)
            with process(postgres_url, chat_over) as (database, chat):
                switch.install(database.engine())
                act(database, chat, turn_id)
            assert_taken_back_once(witness, ENDS[act])
            forget_everything(witness)
            if not switch.reached:
                break
    assert point > FEWEST_POINTS


def test_one_answer_does_not_undo_the_request_before(
    chat: Chat, database: Database, scripted_model: ScriptedModel
) -> None:
    first = opening(chat)
    both = calls(("create_task", {"title": "Bread"}), ("undo_last_change", {}))
    scripted_model.replace_script(both, says("I cannot undo that."))
    second = chat.answer(request_of("second", "Bread, and undo it", first.conversation_id), plenty)
    assert second.tool_calls[1]["error"]["code"] == "nothing-to-undo"
    assert [task["title"] for task in tasks(database)] == ["Milk", "Bread"]


def test_the_tool_waits_for_an_undo_and_does_nothing(postgres_url: str, chat_over: Callable[[Database], Chat]) -> None:
    with (
        process(postgres_url, chat_over) as (database, chat),
        other_session(postgres_url) as connection,
        ThreadPoolExecutor() as pool,
    ):
        first = opening(chat)
        own = partial(database.transaction, ANN.user_id)
        turn = reversal.lock(connection, ANN.user_id, first.turn_id)
        reversal.take_back(connection, turn, by=uuid.uuid4())
        asked = (own, Client(ANN, "Editor"), "undo_last_change", "{}", request_of().time_zone)
        waiting = pool.submit(run_tool, *asked)
        wait_for_lock(connection, waiting)
        connection.commit()
        assert waiting.result()["error"]["code"] == "nothing-to-undo"
        assert tasks(database) == []


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


@pytest.fixture
def racers(database_url: str, chat_over: Callable[[Database], Chat]) -> Iterator[list[tuple[Database, Chat]]]:
    """Return two processes, each with a connection of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(process(database_url, chat_over)) for _ in range(2)]


def test_undo_and_a_newer_change_race(racers: list[tuple[Database, Chat]]) -> None:
    (database, chat), (other, _) = racers
    first = opening(chat)
    task_id = first.tool_calls[0]["result"]["id"]
    undone, renamed = race(lambda: undo(database, first.turn_id), lambda: rename(other, task_id))
    if isinstance(undone, UndoneTurn):
        assert renamed["error"]["code"] == "not-found"
        assert tasks(database) == []
    else:
        assert isinstance(undone, ChangedSinceError)
        assert [task["title"] for task in tasks(database)] == ["Oat milk"]


def test_two_undos_race_for_one_turn(racers: list[tuple[Database, Chat]]) -> None:
    (database, chat), (other, _) = racers
    first = opening(chat)
    outcomes = race(lambda: undo(database, first.turn_id, "one"), lambda: undo(other, first.turn_id, "two"))
    assert {type(outcome) for outcome in outcomes} == {UndoneTurn, AlreadyUndoneError}
    assert_taken_back_once(database, ENDS[undoes])


def test_two_edits_race_for_one_turn(racers: list[tuple[Database, Chat]]) -> None:
    (database, chat), (_, other) = racers
    first = opening(chat)
    outcomes = race(
        lambda: chat.answer(edit_of(first, "one"), plenty), lambda: other.answer(edit_of(first, "two"), plenty)
    )
    assert {type(outcome) for outcome in outcomes} == {ChatReply, TurnSupersededError}
    assert_taken_back_once(database, EDITED)


def test_one_edit_that_races_with_itself_happens_once(racers: list[tuple[Database, Chat]]) -> None:
    (database, chat), (_, other) = racers
    first = opening(chat)
    outcomes = race(lambda: chat.answer(edit_of(first), plenty), lambda: other.answer(edit_of(first), plenty))
    assert {type(outcome) for outcome in outcomes} <= {ChatReply, TurnInProgressError}
    assert ChatReply in {type(outcome) for outcome in outcomes}
    assert_taken_back_once(database, EDITED)


def test_an_edit_races_with_the_end_of_its_turn(
    racers: list[tuple[Database, Chat]], scripted_model: ScriptedModel
) -> None:
    (database, chat), (_, other) = racers
    scripted_model.replace_script(hangs_up(), *[add] * 20)
    with suppress(TaskchatError):
        opening(chat)
    (turn_id,) = rows(database, col(Turn.id))
    edit = replace(request_of("edit", "Bread"), replaces_turn_id=turn_id)
    resumed, edited = race(lambda: chat.resume(turn_id, plenty), lambda: other.answer(edit, plenty))
    titles = [task["title"] for task in tasks(database)]
    if isinstance(edited, ChatReply):
        assert titles == ["Bread"]
        assert resumed is None or isinstance(resumed, (ChatReply, TurnSupersededError))
    else:
        assert isinstance(edited, ConversationBusyError)
        assert isinstance(resumed, ChatReply)
        assert titles == ["Milk"]
