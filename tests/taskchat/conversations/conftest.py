"""Conversations and messages, put into the tables as they are needed."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from sqlmodel import col

from taskchat.models import Conversation, Message, Role
from tests.support import rolled_back
from tests.support.rolled_back import ANN

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)

connection = rolled_back.connection
shared_database = rolled_back.shared_database


@pytest.fixture
def converse(connection: Connection) -> Callable[..., int]:
    """Return a function that begins a conversation, Ann's unless told otherwise, and returns its id."""

    def converse(title: str | None = None, *, user: uuid.UUID = ANN, after_microseconds: int = 0) -> int:
        moment = NOON + timedelta(microseconds=after_microseconds)
        statement = insert(Conversation).values(user_id=user, title=title, created_at=NOON, updated_at=moment)
        return connection.execute(statement.returning(col(Conversation.id))).scalar_one()

    return converse


@pytest.fixture
def say(connection: Connection) -> Callable[..., int]:
    """Return a function that adds a message to a conversation, and returns its id."""

    def say(
        conversation_id: int,
        content: str,
        *,
        role: Role = Role.USER,
        after_microseconds: int = 0,
        tool_calls: Sequence[dict[str, Any]] | None = None,
        turn_id: uuid.UUID | None = None,
    ) -> int:
        statement = insert(Message).values(
            conversation_id=conversation_id,
            role=role,
            content=content,
            tool_calls=tool_calls,
            turn_id=turn_id,
            created_at=NOON + timedelta(microseconds=after_microseconds),
        )
        return connection.execute(statement.returning(col(Message.id))).scalar_one()

    return say
