"""A person's conversations and their messages, page by page. Every statement names the user."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.conversations.cursors import Position, decode, encode
from taskchat.errors import NotFoundError
from taskchat.models import Conversation, Message, Role

_conversations = Conversation.metadata.tables["conversations"]
_messages = Message.metadata.tables["messages"]
_CONVERSATION_COLUMNS = (
    _conversations.c.id,
    _conversations.c.title,
    _conversations.c.created_at,
    _conversations.c.updated_at,
)
_BY_ACTIVITY = (_conversations.c.updated_at, _conversations.c.id)
_MESSAGE_COLUMNS = (
    _messages.c.id,
    _messages.c.role,
    _messages.c.content,
    _messages.c.tool_calls,
    _messages.c.created_at,
)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation as it stands in the database; times are aware, in UTC."""

    id: int
    title: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message of the audit trail; `tool_calls` is null where there were none."""

    id: int
    role: Role
    content: str
    tool_calls: Sequence[dict[str, Any]] | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """Some records and, where there are more, the cursor that asks for the next ones."""

    items: Sequence[Record]
    next_cursor: str | None


def list_page(
    connection: Connection, user_id: uuid.UUID, *, limit: int, cursor: str | None = None
) -> Page[ConversationRecord]:
    """List a person's conversations, the newest activity first.

    One that becomes active while someone pages moves to the front: it is not shown again further back, and
    none of the others is skipped.

    Raises:
        InvalidRequestError: the cursor is not one of this list.
    """
    scope = f"conversations of {user_id}"
    # As a range from this person to this person, and as part of the order: said with `=`, PostgreSQL may as well walk
    # all conversations by time until it has met enough of theirs, which for somebody long gone is all there are.
    person, order = _conversations.c.user_id, (_conversations.c.user_id, *_BY_ACTIVITY)
    statement = sa.select(*_CONVERSATION_COLUMNS).where(person >= user_id)
    if cursor is None:
        statement = statement.where(person <= user_id)
    else:
        position = decode(cursor, scope)
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(user_id, position.moment, position.id))
    rows = connection.execute(_newest(statement, order, limit)).all()
    items = [ConversationRecord(*row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return Page(items, encode(Position(items[-1].updated_at, items[-1].id), scope) if has_more else None)


def get(connection: Connection, user_id: uuid.UUID, conversation_id: int) -> ConversationRecord:
    """Return one conversation.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    statement = sa.select(*_CONVERSATION_COLUMNS).where(_is(user_id, conversation_id))
    return _record(connection, statement, conversation_id)


def messages_page(
    connection: Connection, user_id: uuid.UUID, conversation_id: int, *, limit: int, cursor: str | None = None
) -> Page[MessageRecord]:
    """Return messages, the newest page first, the oldest message first inside a page.

    Messages that arrive while someone pages do not move the pages that are still to come.

    Raises:
        NotFoundError: the person has no such conversation.
        InvalidRequestError: the cursor is not one of this conversation.
    """
    scope = f"messages of {conversation_id}"
    order = (_messages.c.created_at, _messages.c.id)
    # The id itself and not a subquery for it: only then can PostgreSQL know a conversation of exceptional length.
    statement = sa.select(*_MESSAGE_COLUMNS).where(
        _messages.c.conversation_id == conversation_id, sa.exists().where(_is(user_id, conversation_id))
    )
    if cursor is not None:
        position = decode(cursor, scope)
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(position.moment, position.id))
    rows = connection.execute(_newest(statement, order, limit)).all()
    if not rows:
        get(connection, user_id, conversation_id)
    items = [MessageRecord(*row) for row in reversed(rows[:limit])]
    has_more = len(rows) > limit
    return Page(items, encode(Position(items[0].created_at, items[0].id), scope) if has_more else None)


def rename(connection: Connection, user_id: uuid.UUID, conversation_id: int, title: str) -> ConversationRecord:
    """Give a conversation another title, of 1 to 200 characters; its place in the list stays.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    statement = (
        sa.update(_conversations)
        .where(_is(user_id, conversation_id))
        .values(title=title)
        .returning(*_CONVERSATION_COLUMNS)
    )
    return _record(connection, statement, conversation_id)


def delete(connection: Connection, user_id: uuid.UUID, conversation_id: int) -> None:
    """Delete a conversation with all that was said and recorded in it.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    statement = sa.delete(_conversations).where(_is(user_id, conversation_id))
    _record(connection, statement.returning(*_CONVERSATION_COLUMNS), conversation_id)


def delete_all(connection: Connection, user_id: uuid.UUID) -> None:
    """Delete all conversations of a person."""
    connection.execute(sa.delete(_conversations).where(_conversations.c.user_id == user_id))


def _is(user_id: uuid.UUID, conversation_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(_conversations.c.id == conversation_id, _conversations.c.user_id == user_id)


def _newest(statement: sa.Select[Any], order: Sequence[sa.Column[Any]], limit: int) -> sa.Select[Any]:
    """Ask for one row more than the page has, to know whether there are more."""
    return statement.order_by(*(column.desc() for column in order)).limit(limit + 1)


def _record(connection: Connection, statement: sa.Executable, conversation_id: int) -> ConversationRecord:
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no conversation {conversation_id}.")
    return ConversationRecord(*row)
