"""The beginning of a turn: a new one, or the one that already has the request's idempotency key.

Locks are taken in the order person, turn, conversation. The INSERT of `begin` is an exception, because it locks the
conversation before a turn. A deadlock with a takeover is therefore possible, and `Database.transaction` repeats the one
that loses.
"""

import math
import uuid
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, String, bindparam, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from taskchat import conversations, usage
from taskchat.errors import (
    ConversationBusyError,
    ConversationDeletedError,
    IdempotencyKeyReusedError,
    TurnCancelledError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.limits import NO_LIMITS, Limits
from taskchat.models import CONVERSATIONS, SECONDS, TURNS, Role, TurnStatus, utc_in, utc_now
from taskchat.turns.records import (
    CANCELLED_DETAIL,
    SWEEP_AFTER_SECONDS,
    AcceptedTurn,
    FinishedTurn,
    Lease,
    StartedTurn,
    TurnRequest,
)
from taskchat.turns.replacement import lock_replaced, replace_turn
from taskchat.turns.resource import replies_of
from taskchat.turns.takeover import (
    TURN_COLUMNS,
    has_live_lease,
    has_newer_turn,
    left_seconds,
    lock_conversation,
    started,
    take_over,
)
from taskchat.turns.writes import LEASE, Writes, message_of, message_values

BEGIN_TRIES = 4
"""Tries to begin, when another turn of the conversation starts and ends between our checks."""
RETRY_AFTER_QUEUED_SECONDS = 2


def begin(
    connection: Connection,
    request: TurnRequest,
    token: uuid.UUID,
    lease_seconds: float,
    limits: Limits = NO_LIMITS,
) -> StartedTurn | FinishedTurn:
    """Begin a turn within the person's limits, or continue or return the one that already has this idempotency key.

    `token` becomes the token of the lease. Pass the same one when the transaction is repeated.

    Raises:
        ConversationBusyError: another turn of the conversation is running.
        ConversationDeletedError: the turn's conversation was deleted.
        IdempotencyKeyReusedError: the key belongs to another request.
        NotFoundError: the person has no such conversation.
        TurnCancelledError: the person cancelled this turn.
        TurnInProgressError: another invocation is working on this turn.
        TurnSupersededError: a newer message has been sent to the conversation.
        UsageLimitReachedError: the person has reached a limit.
        TaskchatError: as `replace_turn`, if the request replaces a turn.
    """
    conversations.lock_person(connection, request.principal)
    if (replaced := lock_replaced(connection, request)) is not None:
        if (turn := _find_by_key(connection, request)) is not None:
            return _continue(connection, request, turn, token, lease_seconds)
        request = replace_turn(connection, request, replaced)
    for _ in range(BEGIN_TRIES):
        if (lease := _insert(connection, request, token, lease_seconds, limits)) is not None:
            return StartedTurn(lease, [], request.message_context)
        if (turn := _find_by_key(connection, request)) is not None:
            return _continue(connection, request, turn, token, lease_seconds)
        usage.require_room(connection, request.principal.user_id, limits)
        if request.conversation_id is not None:
            _abandon_expired_turn(connection, request.principal.user_id, request.conversation_id)
    raise ConversationBusyError("Other messages of this conversation are being answered.", retry_after_seconds=1)


def accept(connection: Connection, request: TurnRequest, limits: Limits = NO_LIMITS) -> AcceptedTurn | FinishedTurn:
    """Record a turn that the worker will run, or find the one that already has this idempotency key.

    A turn that stopped, for whatever reason, is queued again.

    Raises:
        TaskchatError: as `begin`, apart from TurnInProgressError.
    """
    conversations.lock_person(connection, request.principal)
    if (replaced := lock_replaced(connection, request)) is not None:
        if (turn := _find_by_key(connection, request)) is not None:
            return _accept_again(connection, request, turn)
        request = replace_turn(connection, request, replaced)
    for _ in range(BEGIN_TRIES):
        if (turn := _find_by_key(connection, request)) is not None:
            return _accept_again(connection, request, turn)
        usage.require_room(connection, request.principal.user_id, limits)
        if request.conversation_id is not None:
            _abandon_expired_turn(connection, request.principal.user_id, request.conversation_id)
            lock_conversation(connection, request.conversation_id)
        if (lease := _insert(connection, request, None, SWEEP_AFTER_SECONDS, limits)) is not None:
            return AcceptedTurn(lease.turn_id)
    raise ConversationBusyError("Other messages of this conversation are being answered.", retry_after_seconds=1)


def _beginning(dialect: ModuleType, occupied: Sequence[TurnStatus]) -> Writes:
    """Return the INSERT of a turn and its message, for a conversation without a turn in one of the states.

    The unique index keeps out a second running turn, also one that is not committed yet.
    """
    row: dict[str, ColumnElement[Any]] = {
        "id": bindparam("turn_id", type_=TURNS.c.id.type),
        "conversation_id": CONVERSATIONS.c.id,
        "user_id": CONVERSATIONS.c.user_id,
        "idempotency_key": bindparam("new_idempotency_key", type_=String),
        "request_hash": bindparam("new_request_hash", type_=String),
        "status": bindparam("new_status", type_=TURNS.c.status.type),
        "attempt": bindparam("new_attempt", type_=TURNS.c.attempt.type),
        "idle_attempts": bindparam("new_attempt", type_=TURNS.c.attempt.type),
        "time_zone": bindparam("new_time_zone", type_=TURNS.c.time_zone.type),
        "replaces_turn_id": bindparam("new_replaces_turn_id", type_=TURNS.c.replaces_turn_id.type),
        **LEASE,
    }
    occupying = select(TURNS.c.id).where(TURNS.c.conversation_id == CONVERSATIONS.c.id, TURNS.c.status.in_(occupied))
    # The lock makes a conversation that is being deleted count as deleted.
    own_conversation = (
        select(*row.values())
        .where(
            CONVERSATIONS.c.id == bindparam("conversation"),
            CONVERSATIONS.c.user_id == bindparam("user"),
            ~occupying.exists(),
            usage.HAS_ROOM,
        )
        .with_for_update(read=True, key_share=True)
    )
    turn = (
        dialect.insert(TURNS)
        .from_select(list(row), own_conversation, include_defaults=False)
        .on_conflict_do_nothing()
        .returning(TURNS.c.id, TURNS.c.conversation_id)
        .cte("turn")
    )
    return Writes(turn, message_of(turn, Role.USER))


_DIALECTS = {"postgresql": postgresql, "sqlite": sqlite}
_BEGIN = {name: _beginning(dialect, [TurnStatus.QUEUED]) for name, dialect in _DIALECTS.items()}
_ACCEPT = {name: _beginning(dialect, [TurnStatus.QUEUED, TurnStatus.RUNNING]) for name, dialect in _DIALECTS.items()}


def _insert(
    connection: Connection, request: TurnRequest, token: uuid.UUID | None, lease_seconds: float, limits: Limits
) -> Lease | None:
    """Insert the turn and the person's message; None if the key or the conversation is taken, or a limit reached.

    Without a token the turn is queued.
    """
    attempt = 0 if token is None else 1
    is_new = request.conversation_id is None
    conversation_id = request.conversation_id or conversations.create(
        connection, request.principal.user_id, request.message
    )
    values = {
        "turn_id": request.turn_id,
        "conversation": conversation_id,
        "user": request.principal.user_id,
        "new_idempotency_key": request.idempotency_key,
        "new_request_hash": request.request_hash,
        "new_time_zone": request.time_zone,
        "new_replaces_turn_id": request.replaces_turn_id,
        "new_status": TurnStatus.QUEUED if token is None else TurnStatus.RUNNING,
        "new_attempt": attempt,
        "new_token": token,
        "lease_seconds": lease_seconds,
        **usage.limit_values(request.principal.user_id, limits),
        **message_values(request.message, None, request.message_context),
    }
    writes = _ACCEPT if token is None else _BEGIN
    if writes[connection.dialect.name].run(connection, values) is not None:
        return Lease(request.turn_id, conversation_id, attempt, token or request.turn_id)
    if is_new:
        connection.execute(delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))
    return None


def _find_by_key(connection: Connection, request: TurnRequest) -> Row[Any] | None:
    statement = select(*TURN_COLUMNS).where(
        TURNS.c.user_id == request.principal.user_id, TURNS.c.idempotency_key == request.idempotency_key
    )
    return connection.execute(statement.with_for_update()).one_or_none()


def _continue(
    connection: Connection, request: TurnRequest, turn: Row[Any], token: uuid.UUID, lease_seconds: float
) -> StartedTurn | FinishedTurn:
    """Take over a turn that stopped, or return one that is finished."""
    if (finished := _refuse_or_replay(connection, request, turn)) is not None:
        return finished
    if turn.lease_token == token:
        # This invocation took the turn already, and the answer to its COMMIT was lost.
        return started(connection, turn, token, turn.attempt, turn.idle_attempts)
    if turn.status is TurnStatus.RUNNING and has_live_lease(turn):
        in_progress = TurnInProgressError(
            "This request is being worked on.", retry_after_seconds=math.ceil(left_seconds(turn))
        )
        in_progress.turn_id = turn.id
        raise in_progress
    _refuse_if_superseded(connection, turn)
    return take_over(connection, turn, token, lease_seconds)


def _accept_again(connection: Connection, request: TurnRequest, turn: Row[Any]) -> AcceptedTurn | FinishedTurn:
    """Queue a turn that stopped, or return one that is being worked on or finished."""
    if (finished := _refuse_or_replay(connection, request, turn)) is not None:
        return finished
    if turn.status is TurnStatus.RUNNING and has_live_lease(turn):
        return AcceptedTurn(turn.id, is_running=True)
    _refuse_if_superseded(connection, turn)
    connection.execute(
        update(TURNS)
        .where(TURNS.c.id == turn.id)
        .values(
            status=TurnStatus.QUEUED,
            lease_token=None,
            lease_expires_at=utc_in(literal(SWEEP_AFTER_SECONDS, SECONDS)),
            idle_attempts=0 if turn.status is TurnStatus.FAILED else turn.idle_attempts,
            error=None,
            finished_at=None,
        )
    )
    return AcceptedTurn(turn.id)


def _refuse_or_replay(connection: Connection, request: TurnRequest, turn: Row[Any]) -> FinishedTurn | None:
    """Return a turn that is finished, and refuse the request if its turn cannot go on."""
    if turn.request_hash != request.request_hash:
        raise IdempotencyKeyReusedError("This idempotency key was used for another request; use a new one.")
    if turn.conversation_id is None:
        raise ConversationDeletedError("The conversation of this request was deleted.")
    if turn.status is TurnStatus.CANCELLED:
        raise TurnCancelledError(CANCELLED_DETAIL)
    if turn.status is TurnStatus.FINISHED:
        return FinishedTurn(turn.id, turn.conversation_id, replies_of(connection, turn.id))
    return None


def _refuse_if_superseded(connection: Connection, turn: Row[Any]) -> None:
    if turn.status in (TurnStatus.ABANDONED, TurnStatus.REPLACED) or has_newer_turn(connection, turn):
        raise TurnSupersededError("A newer message was sent to this conversation; send this one again as a new one.")


def _abandon_expired_turn(connection: Connection, user_id: uuid.UUID, conversation_id: int) -> None:
    """Abandon the conversation's running turn if its lease has expired.

    Raises:
        ConversationBusyError: a turn is being worked on, or waits for the worker.
        NotFoundError: the person has no such conversation.
    """
    columns = (TURNS.c.id, TURNS.c.lease_expires_at, utc_now().label("now"))
    running = connection.execute(
        select(*columns)
        .where(
            TURNS.c.conversation_id == conversation_id,
            TURNS.c.user_id == user_id,
            TURNS.c.status == TurnStatus.RUNNING,
        )
        .with_for_update()
    ).one_or_none()
    if running is not None:
        if has_live_lease(running):
            detail = "Another message of this conversation is being answered."
            raise ConversationBusyError(detail, retry_after_seconds=math.ceil(left_seconds(running)))
        abandoned = {"status": TurnStatus.ABANDONED, "finished_at": utc_now(), "provider_state": None}
        connection.execute(update(TURNS).where(TURNS.c.id == running.id).values(abandoned))
    else:
        conversations.get(connection, user_id, conversation_id)
        queued = (TURNS.c.conversation_id == conversation_id, TURNS.c.status == TurnStatus.QUEUED)
        if connection.execute(select(TURNS.c.id).where(*queued).limit(1)).first() is not None:
            detail = "An earlier message of this conversation waits for its answer."
            raise ConversationBusyError(detail, retry_after_seconds=RETRY_AFTER_QUEUED_SECONDS)
