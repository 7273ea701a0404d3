"""The durable turn: its transitions, from top to bottom. Each function does the work of one transaction.

    accept ──▶ QUEUED
                 │ background.take, or begin with the same key
                 ▼
    begin ──▶ RUNNING ──record_step──▶ RUNNING ──finish──▶ FINISHED
               │   ▲
     interrupt │   │ begin with the same key, or background.take (attempt + 1)
               ▼   │
    INTERRUPTED or FAILED      RUNNING, lease expired ──newer message──▶ ABANDONED

    any of them but FINISHED and ABANDONED ──cancel──▶ CANCELLED

`taskchat.turns.background` has the transitions of the worker and of the sweep.

An invocation that works on a turn holds its lease, which is a random token with an expiry time by the database's clock.
Every write names the token and replaces it. A write whose COMMIT was already applied, and a write by an invocation
that another one has overtaken, therefore match no row.

Messages are ordered by their ids, which grow in the order of writing. Locks are taken in the order person, turn,
conversation.
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    String,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from taskchat import conversations, usage
from taskchat.errors import (
    ConversationBusyError,
    ConversationDeletedError,
    IdempotencyKeyReusedError,
    NotFoundError,
    TurnCancelledError,
    TurnFinishedError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.limits import NO_LIMITS, Limits
from taskchat.models import CONVERSATIONS, MESSAGES, SECONDS, TURNS, Role, TurnStatus, utc_in, utc_now
from taskchat.turns.records import (
    LONGEST_LEASE_SECONDS,
    AcceptedTurn,
    FinishedTurn,
    Lease,
    Reply,
    StartedTurn,
    TurnRequest,
    Usage,
)
from taskchat.turns.replacement import lock_replaced, replace_turn
from taskchat.turns.resource import replies_of
from taskchat.turns.writes import Writes

BEGIN_TRIES = 4
"""Tries to begin, when another turn of the conversation starts and ends between our checks."""
SWEEP_AFTER_SECONDS = 60.0
"""Time that a turn waits for the worker before the sweep queues it again."""
MOST_IDLE_ATTEMPTS = 5
"""Attempts in a row that record no step, after which a turn is failed."""
RETRY_AFTER_QUEUED_SECONDS = 2

_HELD = (
    TURNS.c.id == bindparam("turn_id"),
    TURNS.c.status == TurnStatus.RUNNING,
    TURNS.c.attempt == bindparam("held_attempt"),
    TURNS.c.lease_token == bindparam("held_token"),
    # The release before deletes a conversation without cancelling its turn.
    TURNS.c.conversation_id.is_not(None),
)
_LEASE = {
    "lease_token": bindparam("new_token", type_=TURNS.c.lease_token.type),
    "lease_expires_at": utc_in(bindparam("lease_seconds", type_=SECONDS)),
}
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_COST = {
    "model": bindparam("used_model", type_=TURNS.c.model.type),
    **{name: func.coalesce(TURNS.c[name], 0) + bindparam(f"used_{name}", type_=BigInteger) for name in _TOKENS},
}


def _message(turn: CTE, role: Role) -> CTE:
    """Return an INSERT of one message of the turn that `turn` wrote."""
    row: dict[str, ColumnElement[Any]] = {
        "conversation_id": turn.c.conversation_id,
        "turn_id": turn.c.id,
        "role": literal(role, MESSAGES.c.role.type),
    }
    for column in (MESSAGES.c.content, MESSAGES.c.tool_calls, MESSAGES.c.model_context):
        row[column.name] = bindparam(f"message_{column.name}", type_=column.type)
    return (
        insert(MESSAGES)
        .from_select(list(row), select(*row.values()), include_defaults=False)
        .returning(MESSAGES.c.id)
        .cte("message")
    )


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
    conversations.sign_in(connection, request.principal)
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
        _abandon_expired_turn(connection, request)
    raise ConversationBusyError("Other messages of this conversation are being answered.", retry_after_seconds=1)


def accept(connection: Connection, request: TurnRequest, limits: Limits = NO_LIMITS) -> AcceptedTurn | FinishedTurn:
    """Record a turn that the worker will run, or find the one that already has this idempotency key.

    A turn that stopped, for whatever reason, is queued again.

    Raises:
        TaskchatError: as `begin`, apart from TurnInProgressError.
    """
    conversations.sign_in(connection, request.principal)
    if (replaced := lock_replaced(connection, request)) is not None:
        if (turn := _find_by_key(connection, request)) is not None:
            return _accept_again(connection, request, turn)
        request = replace_turn(connection, request, replaced)
    for _ in range(BEGIN_TRIES):
        if (turn := _find_by_key(connection, request)) is not None:
            return _accept_again(connection, request, turn)
        usage.require_room(connection, request.principal.user_id, limits)
        if request.conversation_id is not None:
            _abandon_expired_turn(connection, request)
            _lock_conversation(connection, request.conversation_id)
        if (lease := _insert(connection, request, None, SWEEP_AFTER_SECONDS, limits)) is not None:
            return AcceptedTurn(lease.turn_id)
    raise ConversationBusyError("Other messages of this conversation are being answered.", retry_after_seconds=1)


_stepping = (
    update(TURNS)
    .where(*_HELD)
    .values(
        **_LEASE,
        **_COST,
        provider_state=bindparam("new_provider_state", type_=TURNS.c.provider_state.type),
        idle_attempts=0,
    )
    .returning(TURNS.c.id, TURNS.c.conversation_id)
    .cte("turn")
)
_RECORD_STEP = Writes(_stepping, _message(_stepping, Role.ASSISTANT))


def record_step(
    connection: Connection,
    held: Lease,
    renewed: Lease,
    lease_seconds: float,
    *,
    content: str,
    tool_calls: Sequence[Mapping[str, Any]],
    usage: Usage,
    model_context: Mapping[str, Any] | None = None,
    provider_state: Mapping[str, Any] | None = None,
) -> None:
    """Append a message with tool calls, in the transaction in which the tools ran; the lease is `renewed`.

    `model_context` is stored with the message. `provider_state` replaces the turn's, which is deleted when it ends.

    Raises:
        TurnSupersededError: the lease is lost. The caller must roll back, which also undoes the tools.
    """
    values = {
        **_held(held),
        **_cost(usage),
        **_message_values(content, tool_calls, model_context),
        "new_token": renewed.token,
        "lease_seconds": lease_seconds,
        "new_provider_state": provider_state,
    }
    if _RECORD_STEP.run(connection, values) is None:
        raise _superseded()


_finishing = (
    update(TURNS)
    .where(*_HELD)
    .values(
        **_COST,
        status=TurnStatus.FINISHED,
        finished_at=utc_now(),
        lease_token=_LEASE["lease_token"],
        provider_state=None,
    )
    .returning(TURNS.c.id, TURNS.c.conversation_id)
    .cte("turn")
)
_touching = (
    update(CONVERSATIONS)
    .where(CONVERSATIONS.c.id == _finishing.c.conversation_id)
    .values(updated_at=utc_now())
    .returning(CONVERSATIONS.c.id)
    .cte("conversation")
)
_FINISH = Writes(_finishing, _touching, _message(_finishing, Role.ASSISTANT))


def finish(
    connection: Connection,
    held: Lease,
    renewed: Lease,
    *,
    content: str,
    usage: Usage,
    model_context: Mapping[str, Any] | None = None,
) -> int:
    """Append the final reply, close the turn and return the id of the reply's message.

    Raises:
        TurnSupersededError: the lease is lost.
    """
    values = {
        **_held(held),
        **_cost(usage),
        **_message_values(content, None, model_context),
        "new_token": renewed.token,
    }
    message_id = _FINISH.run(connection, values)
    if message_id is None:
        raise _superseded()
    return message_id


def recorded(connection: Connection, renewed: Lease) -> Sequence[Reply] | None:
    """Return the replies of a turn whose last write left this lease, or None if that write was not committed.

    A transaction is repeated when the answer to its COMMIT was lost. If the COMMIT was applied, the repeated write is
    refused, and this function finds what the first one recorded.

    Raises:
        TurnCancelledError: the person cancelled the turn meanwhile.
    """
    turn = connection.execute(
        select(TURNS.c.status, TURNS.c.lease_token, TURNS.c.conversation_id).where(TURNS.c.id == renewed.turn_id)
    ).one_or_none()
    if turn is not None and turn.status is TurnStatus.CANCELLED and turn.conversation_id is not None:
        raise _cancelled()
    if turn is None or turn.lease_token != renewed.token:
        return None
    return replies_of(connection, renewed.turn_id)


def interrupt(
    connection: Connection, held: Lease, reason: str, *, is_permanent: bool, resume_after_seconds: float = 0.0
) -> bool:
    """Give the lease back before the turn's end. Return False if the lease is lost, which changes nothing.

    `is_permanent` says that the same request will fail again until somebody removes the `reason`. Otherwise the worker
    has `resume_after_seconds`, and some time more, before the sweep sends the turn to it again.
    """
    changes: dict[str, Any] = {"error": reason}
    if is_permanent:
        changes |= {"status": TurnStatus.FAILED, "finished_at": utc_now(), "provider_state": None}
    else:
        waiting = utc_in(literal(resume_after_seconds + SWEEP_AFTER_SECONDS, SECONDS))
        changes |= {"status": TurnStatus.INTERRUPTED, "lease_expires_at": waiting}
    return connection.execute(update(TURNS).where(*_HELD).values(changes), _held(held)).rowcount > 0


def cancel(connection: Connection, user_id: uuid.UUID, turn_id: uuid.UUID) -> None:
    """Cancel a turn, or do nothing if it is cancelled. An invocation that works on it can write nothing any more.

    Raises:
        NotFoundError: the person has no such turn.
        TurnFinishedError: the turn has ended otherwise.
    """
    own_turn = (TURNS.c.id == turn_id, TURNS.c.user_id == user_id)
    if conversations.cancel_turns(connection, *own_turn):
        return
    status = connection.execute(select(TURNS.c.status).where(*own_turn)).scalar_one_or_none()
    if status is None:
        raise NotFoundError(f"There is no turn {turn_id}.")
    if status is not TurnStatus.CANCELLED:
        raise TurnFinishedError("This turn has ended and cannot be cancelled.")


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
        **_LEASE,
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
    return Writes(turn, _message(turn, Role.USER))


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
        **_message_values(request.message, None, request.message_context),
    }
    writes = _ACCEPT if token is None else _BEGIN
    if writes[connection.dialect.name].run(connection, values) is not None:
        return Lease(request.turn_id, conversation_id, attempt, token or request.turn_id)
    if is_new:
        connection.execute(delete(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id))
    return None


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
            "This request is being worked on.", retry_after_seconds=math.ceil(_lease_seconds(turn))
        )
        in_progress.turn_id = turn.id
        raise in_progress
    _refuse_if_superseded(connection, turn)
    return take_over(connection, turn, token, lease_seconds)


def _accept_again(connection: Connection, request: TurnRequest, turn: Row[Any]) -> AcceptedTurn | FinishedTurn:
    """Queue a turn that stopped, or return one that is on its way or finished."""
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
        raise _cancelled()
    if turn.status is TurnStatus.FINISHED:
        return FinishedTurn(turn.id, turn.conversation_id, replies_of(connection, turn.id))
    return None


def _refuse_if_superseded(connection: Connection, turn: Row[Any]) -> None:
    if turn.status in (TurnStatus.ABANDONED, TurnStatus.REPLACED) or has_newer_turn(connection, turn):
        raise TurnSupersededError("A newer message was sent to this conversation; send this one again as a new one.")


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
    """Tell whether the conversation has a newer turn, whose model has read this turn's message already.

    The lock waits for a turn that is being inserted, and keeps others from being inserted until COMMIT.
    """
    _lock_conversation(connection, turn.conversation_id)
    own_message_id = select(func.min(MESSAGES.c.id)).where(MESSAGES.c.turn_id == turn.id).scalar_subquery()
    newer = select(MESSAGES.c.id).where(
        MESSAGES.c.conversation_id == turn.conversation_id,
        MESSAGES.c.role == Role.USER,
        MESSAGES.c.id > own_message_id,
    )
    return connection.execute(newer.limit(1)).one_or_none() is not None


def _lock_conversation(connection: Connection, conversation_id: int) -> None:
    """Wait for turns that are being inserted, and keep others from being inserted until COMMIT."""
    conversation = select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.id == conversation_id)
    connection.execute(conversation.with_for_update()).one_or_none()


def _abandon_expired_turn(connection: Connection, request: TurnRequest) -> None:
    """Abandon the conversation's running turn if its lease has expired.

    Raises:
        ConversationBusyError: a turn is being worked on, or waits for the worker.
        NotFoundError: the person has no such conversation.
    """
    columns = (TURNS.c.id, TURNS.c.lease_expires_at, utc_now().label("now"))
    running = connection.execute(
        select(*columns)
        .where(
            TURNS.c.conversation_id == request.conversation_id,
            TURNS.c.user_id == request.principal.user_id,
            TURNS.c.status == TurnStatus.RUNNING,
        )
        .with_for_update()
    ).one_or_none()
    if running is not None:
        if has_live_lease(running):
            detail = "Another message of this conversation is being answered."
            raise ConversationBusyError(detail, retry_after_seconds=math.ceil(_lease_seconds(running)))
        abandoned = {"status": TurnStatus.ABANDONED, "finished_at": utc_now(), "provider_state": None}
        connection.execute(update(TURNS).where(TURNS.c.id == running.id).values(abandoned))
    elif request.conversation_id is not None:
        conversations.get(connection, request.principal.user_id, request.conversation_id)
        queued = (TURNS.c.conversation_id == request.conversation_id, TURNS.c.status == TurnStatus.QUEUED)
        if connection.execute(select(TURNS.c.id).where(*queued).limit(1)).first() is not None:
            detail = "An earlier message of this conversation waits for its answer."
            raise ConversationBusyError(detail, retry_after_seconds=RETRY_AFTER_QUEUED_SECONDS)


def has_live_lease(turn: Row[Any]) -> bool:
    """Tell whether the lease of a running turn has not expired."""
    return 0 < _lease_seconds(turn) <= LONGEST_LEASE_SECONDS


def _lease_seconds(turn: Row[Any]) -> float:
    return float((turn.lease_expires_at - turn.now).total_seconds())


def _held(lease: Lease) -> dict[str, Any]:
    return {"turn_id": lease.turn_id, "held_attempt": lease.attempt, "held_token": lease.token}


def _cost(usage: Usage) -> dict[str, Any]:
    return {"used_model": usage.model, **{f"used_{name}": getattr(usage, name) for name in _TOKENS}}


def _message_values(
    content: str, tool_calls: Sequence[Mapping[str, Any]] | None, model_context: Mapping[str, Any] | None
) -> dict[str, Any]:
    return {"message_content": content, "message_tool_calls": tool_calls, "message_model_context": model_context}


def _superseded() -> TurnSupersededError:
    return TurnSupersededError("Another attempt has taken this turn over, or its conversation was deleted.")


def _cancelled() -> TurnCancelledError:
    return TurnCancelledError("This request was cancelled; send the message again as a new one.")
