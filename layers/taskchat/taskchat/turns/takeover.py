"""The takeover of a turn that stopped, by a request with its key or by the worker."""

import uuid
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal, select, update

from taskchat.errors import ConversationBusyError
from taskchat.models import CONVERSATIONS, MESSAGES, SECONDS, TURNS, Role, TurnStatus, utc_in, utc_now
from taskchat.turns.records import LONGEST_LEASE_SECONDS, Lease, StartedTurn
from taskchat.turns.resource import replies_of

TURN_COLUMNS: tuple[ColumnElement[Any], ...] = (
    TURNS.c.id,
    TURNS.c.user_id,
    TURNS.c.conversation_id,
    TURNS.c.request_hash,
    TURNS.c.status,
    TURNS.c.attempt,
    TURNS.c.idle_attempts,
    TURNS.c.lease_token,
    TURNS.c.lease_expires_at,
    TURNS.c.provider_state,
    TURNS.c.error,
    TURNS.c.time_zone,
    utc_now().label("now"),
)


def take_over(connection: Connection, turn: Row[Any], token: uuid.UUID, lease_seconds: float) -> StartedTurn:
    """Take the lease of a turn that nobody works on.

    Raises:
        ConversationBusyError: another turn of the conversation is running.
    """
    running = (TURNS.c.conversation_id == turn.conversation_id, TURNS.c.status == TurnStatus.RUNNING)
    if connection.execute(select(TURNS.c.id).where(*running, TURNS.c.id != turn.id)).first() is not None:
        raise ConversationBusyError("Another message of this conversation is being answered.", retry_after_seconds=2)
    # A person who sends the request of a failed turn again asks for five attempts more.
    idle_attempts = 1 if turn.status is TurnStatus.FAILED else turn.idle_attempts + 1
    connection.execute(
        update(TURNS)
        .where(TURNS.c.id == turn.id)
        .values(
            status=TurnStatus.RUNNING,
            attempt=turn.attempt + 1,
            idle_attempts=idle_attempts,
            lease_token=token,
            lease_expires_at=utc_in(literal(lease_seconds, SECONDS)),
            error=None,
            finished_at=None,
        )
    )
    return started(connection, turn, token, turn.attempt + 1, idle_attempts)


def started(connection: Connection, turn: Row[Any], token: uuid.UUID, attempt: int, idle_attempts: int) -> StartedTurn:
    """Return a turn whose lease this invocation has taken, with its steps."""
    asked = select(MESSAGES.c.model_context).where(MESSAGES.c.turn_id == turn.id, MESSAGES.c.role == Role.USER)
    context = connection.execute(asked).scalar_one_or_none()
    lease = Lease(turn.id, turn.conversation_id, attempt, token)
    return StartedTurn(lease, replies_of(connection, turn.id), context, turn.provider_state, idle_attempts)


def has_newer_turn(connection: Connection, turn: Row[Any]) -> bool:
    """Lock the conversation and tell whether it has a newer turn, whose model has read this turn's message already."""
    lock_conversation(connection, turn.conversation_id)
    own_message_id = select(func.min(MESSAGES.c.id)).where(MESSAGES.c.turn_id == turn.id).scalar_subquery()
    newer = select(MESSAGES.c.id).where(
        MESSAGES.c.conversation_id == turn.conversation_id,
        MESSAGES.c.role == Role.USER,
        MESSAGES.c.id > own_message_id,
    )
    return connection.execute(newer.limit(1)).one_or_none() is not None


def lock_conversation(connection: Connection, conversation_id: int) -> None:
    """Wait for turns that are being inserted, and keep others from being inserted until COMMIT."""
    conversation = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id == conversation_id)
    connection.execute(conversation.with_for_update()).one_or_none()


def has_live_lease(turn: Row[Any]) -> bool:
    """Tell whether the lease of a running turn has not expired."""
    return 0 < left_seconds(turn) <= LONGEST_LEASE_SECONDS


def left_seconds(turn: Row[Any]) -> float:
    """Return the time until the lease of a turn expires, negative if it has expired."""
    return float((turn.lease_expires_at - turn.now).total_seconds())
