"""Pages of a person's conversations and of their messages. Every statement names the user."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.conversations.bounded import load_bounded
from taskchat.conversations.cursors import Position, decode, encode
from taskchat.errors import NotFoundError
from taskchat.models import (
    CONVERSATIONS,
    FEEDBACK,
    MESSAGES,
    TURNS,
    ConversationKind,
    Rating,
    Role,
    TurnStatus,
)

CONVERSATION_COLUMNS = (
    CONVERSATIONS.c.id,
    CONVERSATIONS.c.title,
    CONVERSATIONS.c.kind,
    CONVERSATIONS.c.created_at,
    CONVERSATIONS.c.updated_at,
)
_BY_ACTIVITY = (CONVERSATIONS.c.updated_at, CONVERSATIONS.c.id)
# Subqueries instead of joins, so that the planner has nothing to sort or to hash.
_IS_RECORD = (
    sa.select(sa.and_(TURNS.c.status == TurnStatus.FINISHED, TURNS.c.model.is_(None)))
    .where(TURNS.c.id == MESSAGES.c.turn_id)
    .scalar_subquery()
)
IS_SHOWN = (
    sa.select(TURNS.c.status)
    .where(TURNS.c.id == MESSAGES.c.turn_id)
    .scalar_subquery()
    .is_distinct_from(TurnStatus.REPLACED)
)
"""Condition for messages outside of replaced turns."""
_MESSAGE_COLUMNS = (
    MESSAGES.c.id,
    MESSAGES.c.role,
    MESSAGES.c.content,
    MESSAGES.c.tool_calls,
    MESSAGES.c.created_at,
    MESSAGES.c.turn_id,
    sa.func.coalesce(_IS_RECORD, sa.false()).label("is_record"),
    *(
        sa.select(column).where(FEEDBACK.c.message_id == MESSAGES.c.id).scalar_subquery().label(column.name)
        for column in (FEEDBACK.c.rating, FEEDBACK.c.comment)
    ),
)

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A row of `conversations`; times are aware, in UTC."""

    id: int
    title: str | None
    kind: ConversationKind
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """A person's opinion of a reply."""

    rating: Rating
    comment: str | None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A row of `messages`; `tool_calls` is None for a message without any, `feedback` for one that is not rated.

    A message that `is_record` was written about another program's call, not by the person or the model.
    """

    id: int
    role: Role
    content: str
    tool_calls: Sequence[dict[str, Any]] | None
    created_at: datetime
    turn_id: uuid.UUID | None
    is_record: bool
    feedback: FeedbackRecord | None


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """Some records, and the cursor of the next page if there is one."""

    items: Sequence[Record]
    next_cursor: str | None


def list_page(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    limit: int,
    cursor: str | None = None,
    kind: ConversationKind | None = None,
) -> Page[ConversationRecord]:
    """List a person's conversations, or those of one kind, newest activity first.

    A conversation that becomes active during paging moves to the front. It is not repeated, and no other is skipped.

    Raises:
        InvalidRequestError: the cursor does not belong to this list.
    """
    scope = f"conversations of {user_id}" if kind is None else f"conversations of {user_id}: {kind}"
    position = None if cursor is None else decode(cursor, scope)
    rows = connection.execute(by_activity(user_id, kind, position, limit + 1)).all()
    items = [ConversationRecord(*row) for row in rows[:limit]]
    has_more = len(rows) > limit
    return Page(items, encode(Position(items[-1].updated_at, items[-1].id), scope) if has_more else None)


def get(connection: Connection, user_id: uuid.UUID, conversation_id: int) -> ConversationRecord:
    """Return one conversation.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    statement = sa.select(*CONVERSATION_COLUMNS).where(is_own(user_id, conversation_id))
    return one_conversation(connection, statement, conversation_id)


def messages_page(
    connection: Connection,
    user_id: uuid.UUID,
    conversation_id: int,
    *,
    limit: int,
    cursor: str | None = None,
    with_replaced: bool = False,
) -> Page[MessageRecord]:
    """Return messages: newest page first, and oldest message first inside a page.

    Messages that arrive during paging do not move the pages that follow. A page is shorter than `limit` if its messages
    are long. Messages of replaced turns are left out unless `with_replaced` asks for them.

    Raises:
        NotFoundError: the person has no such conversation.
        InvalidRequestError: the cursor does not belong to this conversation.
    """
    scope = f"messages of {conversation_id}"
    # Ids grow in the order of writing, whatever a clock does. As in `list_page`, a range keeps PostgreSQL in the index.
    conversation, order = MESSAGES.c.conversation_id, (MESSAGES.c.conversation_id, MESSAGES.c.id)
    statement = sa.select(*_MESSAGE_COLUMNS).where(
        conversation >= conversation_id, sa.exists().where(is_own(user_id, conversation_id))
    )
    if not with_replaced:
        statement = statement.where(IS_SHOWN)
    if cursor is None:
        statement = statement.where(conversation <= conversation_id)
    else:
        position = decode(cursor, scope)
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(conversation_id, position.id))
    statement = statement.order_by(*(column.desc() for column in order)).limit(limit + 1)
    loaded = load_bounded(connection, statement)
    if not loaded.rows:
        get(connection, user_id, conversation_id)
    # A message that alone is too long comes cut off.
    count = max(1, min(limit, loaded.whole))
    items = [_message(row) for row in reversed(loaded.rows[:count])]
    has_more = len(loaded.rows) > count
    return Page(items, encode(Position(items[0].created_at, items[0].id), scope) if has_more else None)


def is_own(user_id: uuid.UUID, conversation_id: int) -> sa.ColumnElement[bool]:
    """Return the condition that a row of `conversations` is this conversation of this person."""
    return sa.and_(CONVERSATIONS.c.id == conversation_id, CONVERSATIONS.c.user_id == user_id)


def by_activity(
    user_id: uuid.UUID, kind: ConversationKind | None, after: Position | None, limit: int
) -> sa.Select[Any]:
    """Select a person's conversations, newest activity first, from the one after a position."""
    columns: list[sa.Column[Any]] = [CONVERSATIONS.c.user_id]
    values: list[object] = [user_id]
    if kind is not None:
        columns.append(CONVERSATIONS.c.kind)
        values.append(kind)
    # Ranges instead of equality keep PostgreSQL from walking everybody's conversations by time, which takes long for a
    # person without recent ones.
    start, order = sa.tuple_(*columns), (*columns, *_BY_ACTIVITY)
    statement = sa.select(*CONVERSATION_COLUMNS).where(start >= sa.tuple_(*values))
    if after is None:
        statement = statement.where(start <= sa.tuple_(*values))
    else:
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*values, after.moment, after.id))
    return statement.order_by(*(column.desc() for column in order)).limit(limit)


def _message(row: tuple[Any, ...]) -> MessageRecord:
    *columns, rating, comment = row
    feedback = None if rating is None else FeedbackRecord(rating, comment)
    return MessageRecord(*(*columns, feedback))


def one_conversation(connection: Connection, statement: sa.Executable, conversation_id: int) -> ConversationRecord:
    """Run a statement that returns `CONVERSATION_COLUMNS` of the conversation.

    Raises:
        NotFoundError: the statement returned no row, so the person has no such conversation.
    """
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no conversation {conversation_id}.")
    return ConversationRecord(*row)
