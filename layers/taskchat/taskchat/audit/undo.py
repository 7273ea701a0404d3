"""Undo of one turn at the person's own request, once for each idempotency key."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from taskchat import conversations, undo
from taskchat.errors import ConversationDeletedError, IdempotencyKeyReusedError
from taskchat.models import MESSAGES, TURNS, Role
from taskchat.principal import Principal


@dataclass(frozen=True)
class UndoneTurn:
    """The record of an undo, which is a turn itself; `tool_calls` hold the inverse changes."""

    turn_id: uuid.UUID
    conversation_id: int
    message_id: int
    tool_calls: Sequence[Mapping[str, Any]]
    replayed: bool = False


def undo_turn(
    transaction: Callable[[Callable[[Connection], UndoneTurn]], UndoneTurn],
    principal: Principal,
    turn_id: uuid.UUID,
    idempotency_key: str,
) -> UndoneTurn:
    """Take back all that a turn changed, in one transaction with the record of it.

    Raises:
        AlreadyUndoneError: the turn has been undone, with another key.
        ChangedSinceError: something else changed a record since; nothing is taken back.
        ConversationDeletedError: the turn's conversation was deleted.
        IdempotencyKeyReusedError: the key belongs to another request.
        NotFoundError: the person has no such turn.
        NothingToUndoError: the turn changed nothing, or was recorded before undo existed.
        TurnInProgressError: the turn is not over.
    """
    own_id = uuid.uuid4()
    request_hash = hashlib.sha256(json.dumps(["undo", str(turn_id)]).encode()).hexdigest()

    def work(connection: Connection) -> UndoneTurn:
        # The lock on the person's row makes simultaneous requests with one key wait for one another.
        conversations.lock_person(connection, principal)
        recorded = _recorded(connection, principal.user_id, idempotency_key, request_hash, own_id)
        if recorded is not None:
            return recorded
        turn = undo.lock(connection, principal.user_id, turn_id)
        undo.require_ended(turn)
        undone = undo.take_back(connection, turn, by=own_id)
        undo.record(
            connection, turn, undone, turn_id=own_id, idempotency_key=idempotency_key, request_hash=request_hash
        )
        return _answer(connection, own_id, turn.conversation_id)

    return transaction(work)


def _recorded(
    connection: Connection, user_id: uuid.UUID, key: str, request_hash: str, own_id: uuid.UUID
) -> UndoneTurn | None:
    """Return what an earlier request with this key recorded, or this one if the answer to its COMMIT was lost."""
    turn = connection.execute(
        select(TURNS.c.id, TURNS.c.conversation_id, TURNS.c.request_hash).where(
            TURNS.c.user_id == user_id, TURNS.c.idempotency_key == key
        )
    ).one_or_none()
    if turn is None:
        return None
    if turn.request_hash != request_hash:
        raise IdempotencyKeyReusedError("This idempotency key was used for another request; use a new one.")
    if turn.conversation_id is None:
        raise ConversationDeletedError("The conversation of this request was deleted.")
    return _answer(connection, turn.id, turn.conversation_id, replayed=turn.id != own_id)


def _answer(connection: Connection, turn_id: uuid.UUID, conversation_id: int, *, replayed: bool = False) -> UndoneTurn:
    """Read the record of an undo, with texts that fit into a response."""
    statement = select(MESSAGES.c.id, MESSAGES.c.content, MESSAGES.c.tool_calls).where(
        MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.ASSISTANT
    )
    ((message_id, _, tool_calls),) = conversations.load_bounded(connection, statement).rows
    return UndoneTurn(turn_id, conversation_id, message_id, tool_calls, replayed)
