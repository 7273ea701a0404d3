"""Edit and regenerate: a new turn replaces the newest turn of a conversation."""

import math
import uuid
from dataclasses import replace

from sqlalchemy import Connection, func, select, update

from taskchat import undo
from taskchat.errors import ConversationBusyError, NotFoundError, TurnSupersededError
from taskchat.models import MESSAGES, TURNS, Role, TurnStatus, utc_now
from taskchat.turns.records import LONGEST_LEASE_SECONDS, TurnRequest
from taskchat.turns.takeover import lock_conversation


def lock_replaced(connection: Connection, request: TurnRequest) -> undo.LockedTurn | None:
    """Lock the turn that the request replaces, so that two requests with one key wait for one another.

    Raises:
        ConversationDeletedError: its conversation was deleted.
        NotFoundError: the person has no such turn, or it belongs to another conversation.
    """
    if request.replaces_turn_id is None:
        return None
    turn = undo.lock(connection, request.principal.user_id, request.replaces_turn_id)
    if request.conversation_id not in (None, turn.conversation_id):
        raise NotFoundError(f"There is no turn {turn.id} in this conversation.")
    return turn


def replace_turn(connection: Connection, request: TurnRequest, turn: undo.LockedTurn) -> TurnRequest:
    """Take back what the newest turn of a conversation did and hide it; return the request, in its conversation.

    Raises:
        ChangedSinceError: something else changed a record since.
        ConversationBusyError: the turn is being worked on.
        NothingToUndoError: the turn was recorded before undo existed, so that its changes cannot be taken back.
        TurnSupersededError: the turn is not the newest one.
    """
    lock_conversation(connection, turn.conversation_id)
    if turn.status is TurnStatus.REPLACED or _newest(connection, turn.conversation_id) != turn.id:
        raise TurnSupersededError("Only the newest message of a conversation can be replaced.")
    left_seconds = (turn.lease_expires_at - turn.now).total_seconds()
    if turn.status is TurnStatus.RUNNING and 0 < left_seconds <= LONGEST_LEASE_SECONDS:
        detail = "This message is being answered. Cancel its turn first, or wait."
        raise ConversationBusyError(detail, retry_after_seconds=math.ceil(left_seconds))
    if undo.has_changes(connection, turn):
        _take_back(connection, turn)
    elif turn.undone_by_turn_id is not None:
        # The record of the undo is of no use without the message. A turn with a model is not such a record.
        is_record = (TURNS.c.conversation_id == turn.conversation_id, TURNS.c.model.is_(None))
        hidden = update(TURNS).where(TURNS.c.id == turn.undone_by_turn_id, *is_record)
        connection.execute(hidden.values(status=TurnStatus.REPLACED))
    finished_at = func.coalesce(TURNS.c.finished_at, utc_now())
    replaced = {"status": TurnStatus.REPLACED, "finished_at": finished_at, "provider_state": None}
    connection.execute(update(TURNS).where(TURNS.c.id == turn.id).values(replaced))
    return replace(request, conversation_id=turn.conversation_id)


def _take_back(connection: Connection, turn: undo.LockedTurn) -> None:
    """Take back the turn's changes, with a record that is hidden as the turn is."""
    by = uuid.uuid4()
    undone = undo.take_back(connection, turn, by=by)
    # Keys of requests contain no space.
    key = f"undo {by}"
    undo.record(connection, turn, undone, turn_id=by, idempotency_key=key, request_hash="", status=TurnStatus.REPLACED)


def _newest(connection: Connection, conversation_id: int) -> uuid.UUID | None:
    """Return the turn of the newest message of the person that is not replaced."""
    statement = (
        select(MESSAGES.c.turn_id)
        .join_from(MESSAGES, TURNS, TURNS.c.id == MESSAGES.c.turn_id)
        .where(
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.role == Role.USER,
            TURNS.c.status != TurnStatus.REPLACED,
        )
        .order_by(MESSAGES.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none()
