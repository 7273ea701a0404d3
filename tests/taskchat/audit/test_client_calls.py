"""Tool calls by a client: effect and record exactly once."""

import itertools
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, select
from sqlmodel import col

from taskchat import conversations, turns
from taskchat.audit import Client, run_tool
from taskchat.conversations import WindowMessage
from taskchat.database import Database
from taskchat.models import Conversation, Message, Task, Turn, TurnStatus
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall
from tests.support.kill_switch import Killed, KillSwitch, connection_dies, process_dies
from tests.support.owner import as_owner

UTC = ZoneInfo("UTC")
CLIENT = Client(Principal(uuid.UUID(int=1), "issuer ann"), "Claude Code")
FEWEST_POINTS = 6
OTHER = replace(CLIENT, name="Visual Studio Code")


def own(database: Database, client: Client) -> Callable[[Callable[[Connection], ToolCall]], ToolCall]:
    """Return a runner of transactions for the client's person."""
    return partial(database.transaction, client.principal.user_id)


def create(database: Database, title: str = "Buy milk", client: Client = CLIENT) -> ToolCall:
    return run_tool(own(database, client), client, "create_task", f'{{"title": "{title}"}}', UTC)


def rows(database: Database, *columns: Any) -> list[tuple[Any, ...]]:
    statement = select(*columns).order_by(columns[0])
    return as_owner(database, lambda connection: [tuple(row) for row in connection.execute(statement)])


def test_a_change_is_recorded_in_the_clients_conversation(database: Database) -> None:
    record = create(database)

    assert rows(database, col(Conversation.title)) == [("Claude Code",)]
    assert rows(database, col(Message.id), col(Message.role), col(Message.content), col(Message.tool_calls)) == [
        (1, "user", "Claude Code called create_task.", None),
        (2, "assistant", "", [dict(record)]),
    ]
    assert rows(database, col(Turn.status), col(Turn.model)) == [(TurnStatus.FINISHED, None)]
    assert record["result"]["title"] == "Buy milk"


def test_each_client_of_a_person_has_one_conversation(database: Database) -> None:
    for client in (CLIENT, OTHER, CLIENT, OTHER):
        create(database, client=client)

    assert rows(database, col(Conversation.title)) == [("Claude Code",), ("Visual Studio Code",)]
    assert len(rows(database, col(Message.id))) == 8


def test_two_people_share_no_client_conversation(database: Database) -> None:
    create(database)
    create(database, client=replace(CLIENT, principal=Principal(uuid.UUID(int=2), "issuer bob")))

    assert [owner for (owner,) in rows(database, col(Conversation.user_id))] == [uuid.UUID(int=1), uuid.UUID(int=2)]


def test_a_renamed_conversation_stays_the_clients_own(database: Database) -> None:
    create(database)
    database.transaction(
        CLIENT.principal.user_id,
        lambda connection: conversations.rename(connection, CLIENT.principal.user_id, 1, "My editor"),
    )
    create(database)

    assert rows(database, col(Conversation.title)) == [("My editor",)]


def test_a_deleted_conversation_is_made_anew(database: Database) -> None:
    create(database)
    database.transaction(
        CLIENT.principal.user_id, lambda connection: conversations.delete_all(connection, CLIENT.principal.user_id)
    )
    create(database)

    assert len(rows(database, col(Conversation.id))) == 1
    assert len(rows(database, col(Message.id))) == 2


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_tasks", "{}"),
        ("get_task", '{"task_id": 1}'),
        ("complete_task", '{"task_id": 999}'),
        ("create_task", '{"title": ""}'),
        ("no_such_tool", "{}"),
    ],
)
def test_what_changes_nothing_leaves_nothing(database: Database, tool: str, arguments: str) -> None:
    run_tool(own(database, CLIENT), CLIENT, tool, arguments, UTC)

    assert rows(database, col(Conversation.id)) == rows(database, col(Turn.id)) == rows(database, col(Message.id)) == []


def test_a_commit_whose_answer_is_lost_is_not_done_again(database: Database) -> None:
    def losing_an_answer(work: Callable[[Connection], Any]) -> Any:
        own(database, CLIENT)(work)
        return own(database, CLIENT)(work)

    first = run_tool(losing_an_answer, CLIENT, "create_task", '{"title": "Once"}', UTC)
    second = run_tool(losing_an_answer, CLIENT, "complete_task", f'{{"task_id": {first["result"]["id"]}}}', UTC)

    assert rows(database, col(Task.title), col(Task.completed)) == [("Once", True)]
    assert rows(database, col(Message.id), col(Message.tool_calls))[1::2] == [(2, [first]), (4, [second])]


def test_a_kill_anywhere_keeps_effect_and_record_together(database_url: str) -> None:
    for point in itertools.count(1):
        victim, witness = Database(lambda: database_url), Database(lambda: database_url)
        switch = KillSwitch(point, process_dies)
        switch.install(victim.engine())
        with suppress(Killed):
            create(victim)
        effects, records = rows(witness, col(Task.id)), rows(witness, col(Message.id), col(Message.tool_calls))
        witness.dispose()
        victim.dispose()
        assert 2 * len(effects) == len(records)
        if not switch.reached:
            break
    assert point > FEWEST_POINTS


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_cut_connection_is_repeated_exactly_once(database_url: str) -> None:
    for point in itertools.count(1):
        database = Database(lambda: database_url)
        switch = KillSwitch(point, connection_dies)
        switch.install(database.engine())
        create(database)
        assert len(rows(database, col(Task.id))) == point
        assert len(rows(database, col(Message.id))) == 2 * point
        database.dispose()
        if not switch.reached:
            break
    assert point > FEWEST_POINTS


def test_simultaneous_first_calls_share_a_conversation(database_url: str) -> None:
    databases = [Database(lambda: database_url) for _ in range(3)]
    start = threading.Barrier(len(databases))

    def work(database: Database, number: int) -> None:
        start.wait()
        create(database, f"task {number}")

    threads = [threading.Thread(target=work, args=(each, number)) for number, each in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(title for (title,) in rows(databases[0], col(Task.title))) == ["task 0", "task 1", "task 2"]
    assert len(rows(databases[0], col(Conversation.id))) == 1
    assert len(rows(databases[0], col(Message.id))) == 6
    for each in databases:
        each.dispose()


def window(connection: Connection, lease: turns.Lease) -> list[WindowMessage]:
    return conversations.load_window(
        connection, CLIENT.principal.user_id, lease.conversation_id, messages=50, tokens=8000, before_turn=lease.turn_id
    )


def test_a_person_can_chat_in_a_clients_conversation(database: Database) -> None:
    create(database)
    request = turns.TurnRequest(CLIENT.principal, "key", "hash", 1, "And bread?")

    def begin(connection: Connection) -> tuple[turns.Lease, list[WindowMessage]]:
        turn = turns.begin(connection, request, uuid.uuid4(), 30)
        assert isinstance(turn, turns.StartedTurn)
        return turn.lease, window(connection, turn.lease)

    lease, before = database.transaction(CLIENT.principal.user_id, begin)
    create(database, "Meanwhile")
    usage = turns.Usage("scripted", 0, 0)
    database.transaction(
        CLIENT.principal.user_id,
        lambda connection: turns.finish(connection, lease, lease.renewed(), content="Sure.", usage=usage),
    )

    whole = database.transaction(
        CLIENT.principal.user_id, lambda connection: window(connection, replace(lease, turn_id=uuid.uuid4()))
    )
    record = before[0].content
    assert "not by the person" in record
    assert '"Claude Code called create_task."' in record
    assert [message.content for message in before] == [record, ""]
    assert [message.content for message in whole if message.content] == [record, "And bread?", record, "Sure."]
