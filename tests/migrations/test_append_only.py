"""Triggers: messages are appended, and deleted only with their conversation."""

import uuid

import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from taskchat.database import Database
from taskchat.models import Conversation, Message, Role, Turn, TurnStatus, User, utc_now
from tests.support.owner import as_owner

USER = uuid.UUID(int=1)
TURN = uuid.UUID(int=2)


@pytest.fixture
def conversation(database: Database) -> int:
    """Return a conversation with one finished turn and its two messages."""

    def write(connection: Connection) -> int:
        connection.execute(insert(User).values(id=USER, subject="issuer|ann"))
        conversation_id = connection.execute(
            insert(Conversation).values(user_id=USER).returning(col(Conversation.id))
        ).scalar_one()
        turn = insert(Turn).values(
            id=TURN,
            user_id=USER,
            conversation_id=conversation_id,
            idempotency_key="key",
            request_hash="0" * 64,
            status=TurnStatus.FINISHED,
            attempt=1,
            lease_expires_at=utc_now(),
        )
        connection.execute(turn)
        for role in (Role.USER, Role.ASSISTANT):
            connection.execute(
                insert(Message).values(conversation_id=conversation_id, turn_id=TURN, role=role, content="text")
            )
        return conversation_id

    return as_owner(database, write)


@pytest.fixture
def messages(conversation: int) -> int:
    """Return the number of messages in that conversation."""
    assert conversation
    return 2


def execute(database: Database, statement: str) -> None:
    as_owner(database, lambda connection: connection.execute(text(statement)))


def count(database: Database, table: type[Message | Turn | Conversation] = Message) -> int:
    return as_owner(
        database, lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE messages SET content = 'other'",
        "UPDATE messages SET content = content",
        "UPDATE messages SET turn_id = NULL",
        "DELETE FROM messages",
        "DELETE FROM messages WHERE role = 'assistant'",
    ],
)
def test_a_message_cannot_be_changed_or_deleted(database: Database, messages: int, statement: str) -> None:
    with pytest.raises(IntegrityError, match="messages are append-only"):
        execute(database, statement)

    unchanged = as_owner(database, lambda connection: connection.execute(select(col(Message.content))).scalars().all())
    assert unchanged == ["text"] * messages


def test_a_turn_with_messages_cannot_be_deleted(database: Database, messages: int) -> None:
    with pytest.raises(IntegrityError, match="messages are append-only"):
        execute(database, "DELETE FROM turns")

    assert count(database) == messages


def test_messages_are_deleted_with_their_conversation(database: Database, messages: int) -> None:
    assert count(database) == messages

    execute(database, "DELETE FROM conversations")

    assert (count(database), count(database, Turn)) == (0, 1)


def test_messages_are_deleted_with_their_user(database: Database, messages: int) -> None:
    assert count(database) == messages

    execute(database, "DELETE FROM users")

    assert (count(database), count(database, Turn), count(database, Conversation)) == (0, 0, 0)


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_the_order_of_cascades_does_not_matter(database: Database, messages: int) -> None:
    """Cascades run in the order of the constraints, which a restored backup may change."""
    execute(
        database,
        "ALTER TABLE conversations DROP CONSTRAINT conversations_user_id_fkey,"
        " ADD CONSTRAINT conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE",
    )
    assert count(database) == messages

    execute(database, "DELETE FROM users")

    assert (count(database), count(database, Turn)) == (0, 0)


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize("statement", ["TRUNCATE messages CASCADE", "TRUNCATE users CASCADE"])
def test_messages_cannot_be_truncated(database: Database, messages: int, statement: str) -> None:
    with pytest.raises(IntegrityError, match="messages are append-only: TRUNCATE is refused"):
        execute(database, statement)

    assert count(database) == messages


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_an_upsert_cannot_change_a_message(database: Database, messages: int) -> None:
    with pytest.raises(IntegrityError, match="messages are append-only: UPDATE is refused"):
        execute(
            database,
            "INSERT INTO messages (id, conversation_id, role, content)"
            " SELECT id, conversation_id, role, 'other' FROM messages"
            " ON CONFLICT (id) DO UPDATE SET content = excluded.content",
        )

    assert count(database) == messages


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_message_cannot_be_replaced(database: Database, messages: int) -> None:
    with pytest.raises(IntegrityError, match="messages are append-only: REPLACE is refused"):
        execute(
            database,
            "REPLACE INTO messages (id, conversation_id, role, content)"
            " SELECT id, conversation_id, role, 'other' FROM messages",
        )

    assert count(database) == messages


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_the_trigger_ignores_the_search_path(database: Database, messages: int) -> None:
    def delete(connection: Connection) -> None:
        connection.execute(text("SET LOCAL search_path = ''"))
        connection.execute(text("DELETE FROM public.conversations"))

    assert count(database) == messages

    as_owner(database, delete)

    assert count(database) == 0
