"""The durable turn: its transitions, from top to bottom. Each function is one transaction's work.

    begin ─────────▶ RUNNING ──record_step──▶ RUNNING ──finish──▶ FINISHED
                      │   ▲
            interrupt │   │ resume (attempt + 1)
                      ▼   │
          INTERRUPTED or FAILED          RUNNING, lease run out ──newer message──▶ ABANDONED

Whoever works on a turn holds its lease: the number of the attempt, which is the fencing token, and the instant at
which the lease runs out. Every write names both and moves the instant on, so that a write repeated after an answer
that never arrived, and a write by an invocation that was overtaken, both match no row and leave no trace.
"""

import math
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from taskchat.errors import (
    ConversationBusyError,
    IdempotencyKeyReusedError,
    NotFoundError,
    RetryableError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import TITLE_CHARACTERS, TurnStatus
from taskchat.statements import values
from taskchat.turns import statements
from taskchat.turns.records import (
    AlreadyBegunError,
    FinishedTurn,
    Lease,
    Reply,
    TurnRequest,
    Usage,
)

Message = TypeVar("Message")


def begin(
    connection: Connection,
    request: TurnRequest,
    lease_expires_at: datetime,
    read_history: Callable[[Connection, Lease], Sequence[Message]],
) -> tuple[Lease, Sequence[Message]]:
    """Begin a new turn: its conversation (found, or made), its row, the person's message; and read what came before.

    This is the whole transaction: where it can be, it is one message to the database, and committed at once. A new
    conversation has no history to read.

    Raises:
        AlreadyBegunError: the key was used before, or the conversation has a running turn.
        NotFoundError: the conversation is not this person's.
    """
    try:
        if request.conversation_id is None:
            return _begin_conversation(connection, request, lease_expires_at), ()
        lease = Lease(request.turn_id, request.conversation_id, 1, lease_expires_at)
        known = _first_attempt(request, lease_expires_at)
        statements.BEGIN.run_with_next(connection, values(**known, conversation_id=lease.conversation_id))
        history = read_history(connection, lease)
        # What can be read of the conversation is this person's, and so is the conversation.
        is_begun = bool(history) or _stands(connection, lease)
    except IntegrityError as error:
        raise AlreadyBegunError from error
    if not is_begun:
        raise NotFoundError("There is no such conversation.")
    return lease, history


def _begin_conversation(connection: Connection, request: TurnRequest, lease_expires_at: datetime) -> Lease:
    person = {"subject": request.subject, "email": request.email, "title": _title(request.message)}
    _, conversation_id, *_ = statements.BEGIN_IN_NEW_CONVERSATION.run(
        connection, values(**_first_attempt(request, lease_expires_at), **person), whole_transaction=True
    )
    return Lease(request.turn_id, int(conversation_id), 1, lease_expires_at)


def _first_attempt(request: TurnRequest, lease_expires_at: datetime) -> dict[str, Any]:
    return {
        "turn_id": request.turn_id,
        "user_id": request.user_id,
        "idempotency_key": request.idempotency_key,
        "request_hash": request.request_hash,
        "lease_expires_at": lease_expires_at,
        "content": request.message,
    }


def resume(
    connection: Connection, request: TurnRequest, lease_expires_at: datetime, *, is_repeated: bool = False
) -> tuple[Lease, Sequence[Reply]] | FinishedTurn | None:
    """Find what stands in the way of `begin`: take an interrupted turn over, or return one that is finished.

    A lease comes with the steps that were recorded. None says that the way is free now: begin again. `is_repeated`
    says that this was tried before, with the same `lease_expires_at`, and the answer to its COMMIT may be lost.

    Raises:
        AlreadyBegunError: another turn of the conversation began at this very moment.
        ConversationBusyError: another turn of the conversation is running.
        IdempotencyKeyReusedError: the key belongs to another request.
        TurnInProgressError: another invocation is at this turn.
        TurnSupersededError: the conversation has gone on without this turn.
    """
    turn = _find(connection, request)
    if turn is None:
        _make_way(connection, request)
        return None
    if turn.request_hash != request.request_hash:
        raise IdempotencyKeyReusedError("This idempotency key was used for another request; use a new one.")
    if turn.status is TurnStatus.FINISHED:
        return FinishedTurn(turn.conversation_id, _replies(connection, turn.id))
    if is_repeated and turn.status is TurnStatus.RUNNING and turn.lease_expires_at == lease_expires_at:
        return Lease(turn.id, turn.conversation_id, turn.attempt, lease_expires_at), _replies(connection, turn.id)
    # A first attempt with the id of this request is its own: it was begun, and the answer to the COMMIT was lost.
    is_own = turn.id == request.turn_id and turn.attempt == 1
    if turn.status is TurnStatus.RUNNING and not is_own:
        _refuse_a_live_lease(turn.lease_expires_at, TurnInProgressError, "This request is being worked on.")
    lease = Lease(turn.id, turn.conversation_id, turn.attempt + 1, lease_expires_at)
    _take_over(connection, turn, lease)
    return lease, _replies(connection, turn.id)


def record_step(
    connection: Connection,
    held: Lease,
    extended: Lease,
    *,
    content: str,
    tool_calls: Sequence[Mapping[str, Any]],
    usage: Usage,
) -> None:
    """Append what the model asked for and what came of it; the lease is `extended` from then on.

    The tools ran in the same transaction: where this fails, their effects are gone with it. This is its last
    statement, sent in one message with the COMMIT where it can be: what it raises, the transaction raises.

    Raises:
        sqlalchemy.exc.IntegrityError: nothing is recorded by this; `recorded` finds out why.
    """
    known = _reply(held, extended, content, usage, tool_calls=tool_calls)
    statements.RECORD_STEP.run_with_next(connection, known)


def finish(connection: Connection, held: Lease, extended: Lease, *, content: str, usage: Usage) -> int:
    """Append the final reply, close the turn and return the reply's message id.

    This is the whole transaction: where it can be, it is committed at once.

    Raises:
        sqlalchemy.exc.IntegrityError: nothing is recorded by this; `recorded` finds out why.
    """
    known = _reply(held, extended, content, usage)
    _, message_id, _ = statements.FINISH.run(connection, known, whole_transaction=True)
    return int(message_id)


def recorded(connection: Connection, held: Lease, extended: Lease) -> Sequence[Reply] | None:
    """Find out why a write that would have `extended` the lease was refused.

    Return what stands recorded of the turn, in order, where the same write was committed before; and None where the
    lease is still `held`, so that the write itself is at fault.

    Raises:
        TurnSupersededError: the lease is lost, or the conversation deleted.
    """
    if _stands(connection, extended):
        return _replies(connection, held.turn_id)
    if connection.execute(statements.FIND_HELD, values(**_held(held))).one_or_none() is not None:
        return None
    raise TurnSupersededError("Another attempt has taken this turn over, or its conversation was deleted.")


def interrupt(connection: Connection, held: Lease, reason: str, *, is_permanent: bool) -> None:
    """Give the lease back before the end; where it is lost already, do nothing.

    `is_permanent` says that the same request would meet the same again, until somebody has mended the `reason`.
    """
    status = TurnStatus.FAILED if is_permanent else TurnStatus.INTERRUPTED
    connection.execute(statements.INTERRUPT, values(**_held(held), status=status, error=reason))


def open_conversation(connection: Connection, user_id: uuid.UUID, subject: str, email: str | None, title: str) -> int:
    """Make a conversation, and its owner where this is the person's first; return the conversation's id.

    Raises:
        sqlalchemy.exc.IntegrityError: another invocation made the owner at the same time.
    """
    _, conversation_id = statements.OPEN_CONVERSATION.run(
        connection, values(user_id=user_id, subject=subject, email=email, title=_title(title))
    )
    return int(conversation_id)


def _title(message: str) -> str:
    return " ".join(message.split())[:TITLE_CHARACTERS]


def _find(connection: Connection, request: TurnRequest) -> Row[*tuple[Any, ...]] | None:
    known = values(user_id=request.user_id, idempotency_key=request.idempotency_key)
    return connection.execute(statements.FIND_BY_KEY, known).one_or_none()


def _take_over(connection: Connection, turn: Row[*tuple[Any, ...]], lease: Lease) -> None:
    """Make the lease that of the turn, unless it was abandoned or a newer turn exists."""
    taken = values(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        created_at=turn.created_at,
        attempt=lease.attempt,
        lease_expires_at=lease.expires_at,
    )
    try:
        taken_id = connection.execute(statements.TAKE_OVER, taken).scalar()
    except IntegrityError as error:
        raise AlreadyBegunError from error
    if taken_id is None:
        raise TurnSupersededError("The conversation has gone on since; send the message again as a new one.")


def _make_way(connection: Connection, request: TurnRequest) -> None:
    """Abandon the conversation's stale turn, if that is what took its place."""
    known = values(conversation_id=request.conversation_id, user_id=request.user_id)
    running = connection.execute(statements.FIND_RUNNING, known).one_or_none()
    if running is None:
        return
    _refuse_a_live_lease(
        running.lease_expires_at,
        ConversationBusyError,
        "Another message of this conversation is being answered.",
    )
    connection.execute(statements.ABANDON, values(turn_id=running.id))


def _refuse_a_live_lease(expires_at: datetime, error: type[RetryableError], detail: str) -> None:
    left_seconds = (expires_at - datetime.now(UTC)).total_seconds()
    if left_seconds > 0:
        raise error(detail, retry_after_seconds=math.ceil(left_seconds))


def _replies(connection: Connection, turn_id: uuid.UUID) -> Sequence[Reply]:
    return [Reply(*row) for row in connection.execute(statements.REPLIES, values(turn_id=turn_id))]


def _held(lease: Lease) -> dict[str, Any]:
    return {"turn_id": lease.turn_id, "attempt": lease.attempt, "held_until": lease.expires_at}


def _reply(held: Lease, extended: Lease, content: str, usage: Usage, **columns: object) -> Mapping[str, object]:
    return values(
        **_held(held),
        extended_until=extended.expires_at,
        content=content,
        model=usage.model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        **columns,
    )


def _stands(connection: Connection, lease: Lease) -> bool:
    known = values(turn_id=lease.turn_id, attempt=lease.attempt, lease_expires_at=lease.expires_at)
    return connection.execute(statements.FIND_BY_LEASE, known).one_or_none() is not None
