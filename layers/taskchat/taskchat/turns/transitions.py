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
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from sqlalchemy import ColumnElement, Row, Table, exists, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from taskchat.errors import (
    ConversationBusyError,
    IdempotencyKeyReusedError,
    NotFoundError,
    RetryableError,
    TurnInProgressError,
    TurnSupersededError,
)
from taskchat.models import TITLE_CHARACTERS, Conversation, Message, Role, Turn, TurnStatus, User, utc_now
from taskchat.statements import Write, together
from taskchat.turns.records import (
    AlreadyBegunError,
    AlreadyRecordedError,
    FinishedTurn,
    Lease,
    Reply,
    TurnRequest,
    Usage,
)

# The tables and not the classes: a statement of the ORM takes twice as long to make.
_conversations = Conversation.metadata.tables["conversations"]
_messages = Message.metadata.tables["messages"]
_turns = Turn.metadata.tables["turns"]
_users = User.metadata.tables["users"]


def begin(session: Session, request: TurnRequest, lease_expires_at: datetime) -> Lease:
    """Begin a new turn: its conversation (found, or made), its row, the person's message.

    Raises:
        AlreadyBegunError: the key was used before, or the conversation has a running turn.
        NotFoundError: the conversation is not this person's.
    """
    try:
        conversation_id = request.conversation_id or open_conversation(
            session, request.user_id, request.subject, request.email, request.message
        )
        turn_id, _ = together(
            session,
            _insert_owned(_turns, conversation_id, request, _first_attempt(request, lease_expires_at)),
            _insert_owned(_messages, conversation_id, request, _message_of_the_person(request)),
        )
    except IntegrityError as error:
        raise AlreadyBegunError from error
    if turn_id is None:
        raise NotFoundError("There is no such conversation.")
    return Lease(request.turn_id, conversation_id, 1, lease_expires_at)


def resume(
    session: Session, request: TurnRequest, lease_expires_at: datetime, *, is_repeated: bool = False
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
    turn = _find(session, request)
    if turn is None:
        _make_way(session, request)
        return None
    if turn.request_hash != request.request_hash:
        raise IdempotencyKeyReusedError("This idempotency key was used for another request; use a new one.")
    if turn.status is TurnStatus.FINISHED:
        return FinishedTurn(turn.conversation_id, _replies(session, turn.id))
    if is_repeated and turn.status is TurnStatus.RUNNING and turn.lease_expires_at == lease_expires_at:
        return Lease(turn.id, turn.conversation_id, turn.attempt, lease_expires_at), _replies(session, turn.id)
    # A first attempt with the id of this request is its own: it was begun, and the answer to the COMMIT was lost.
    is_own = turn.id == request.turn_id and turn.attempt == 1
    if turn.status is TurnStatus.RUNNING and not is_own:
        _refuse_a_live_lease(turn.lease_expires_at, TurnInProgressError, "This request is being worked on.")
    lease = Lease(turn.id, turn.conversation_id, turn.attempt + 1, lease_expires_at)
    _take_over(session, turn, lease)
    return lease, _replies(session, turn.id)


def record_step(
    session: Session,
    held: Lease,
    extended: Lease,
    *,
    content: str,
    tool_calls: Sequence[Mapping[str, Any]],
    usage: Usage,
) -> None:
    """Append what the model asked for and what came of it; the lease is `extended` from then on.

    The tools ran in the same transaction: where this raises, their effects are gone with it.

    Raises:
        AlreadyRecordedError: this step stands already.
        TurnSupersededError: the lease is lost.
    """
    _write(
        session,
        held,
        {"lease_expires_at": extended.expires_at, **_added(usage)},
        {"content": content, "tool_calls": tool_calls},
        extended.expires_at,
    )


def finish(session: Session, held: Lease, extended: Lease, *, content: str, usage: Usage) -> int:
    """Append the final reply, close the turn and return the reply's message id.

    Raises:
        AlreadyRecordedError: the turn was finished by this attempt already.
        TurnSupersededError: the lease is lost.
    """
    closed = {
        "status": TurnStatus.FINISHED,
        "lease_expires_at": extended.expires_at,
        "finished_at": utc_now(),
        **_added(usage),
    }
    touched = (
        update(_conversations)
        .where(_conversations.c.id == held.conversation_id)
        .values(updated_at=utc_now())
        .returning(_conversations.c.id)
    )
    return _write(session, held, closed, {"content": content}, extended.expires_at, touched)


def interrupt(session: Session, held: Lease, reason: str, *, is_permanent: bool) -> None:
    """Give the lease back before the end; where it is lost already, do nothing.

    `is_permanent` says that the same request would meet the same again, until somebody has mended the `reason`.
    """
    status = TurnStatus.FAILED if is_permanent else TurnStatus.INTERRUPTED
    session.execute(update(_turns).where(*_is_held(held)).values(status=status, error=reason))


def recorded(session: Session, lease: Lease) -> Sequence[Reply]:
    """Return what stands recorded of a turn, in order."""
    return _replies(session, lease.turn_id)


def open_conversation(session: Session, user_id: uuid.UUID, subject: str, email: str | None, title: str) -> int:
    """Make a conversation, and its owner where this is the person's first; return the conversation's id.

    Raises:
        sqlalchemy.exc.IntegrityError: another invocation made the owner at the same time.
    """
    owner = select(literal(user_id), literal(subject), literal(email)).where(~exists().where(_users.c.id == user_id))
    _, conversation_id = together(
        session,
        insert(_users).from_select(["id", "subject", "email"], owner).returning(_users.c.id),
        insert(_conversations).values(user_id=user_id, title=_title(title)).returning(_conversations.c.id),
    )
    return int(conversation_id)


def _title(message: str) -> str:
    return " ".join(message.split())[:TITLE_CHARACTERS]


def _insert_owned(
    table: Table, conversation_id: int, request: TurnRequest, values: dict[str, Any]
) -> ReturningInsert[Any]:
    """Insert a row below the person's conversation; below anybody else's, none."""
    values = {"conversation_id": conversation_id, **values}
    row = select(*(literal(value, table.c[name].type) for name, value in values.items())).where(
        exists().where(_conversations.c.id == conversation_id, _conversations.c.user_id == request.user_id)
    )
    return insert(table).from_select(list(values), row, include_defaults=False).returning(table.c.id)


def _first_attempt(request: TurnRequest, lease_expires_at: datetime) -> dict[str, Any]:
    return {
        "id": request.turn_id,
        "user_id": request.user_id,
        "idempotency_key": request.idempotency_key,
        "request_hash": request.request_hash,
        "status": TurnStatus.RUNNING,
        "attempt": 1,
        "lease_expires_at": lease_expires_at,
    }


def _message_of_the_person(request: TurnRequest) -> dict[str, Any]:
    return {"turn_id": request.turn_id, "role": Role.USER, "content": request.message}


def _find(session: Session, request: TurnRequest) -> Row[*tuple[Any, ...]] | None:
    columns = ("id", "conversation_id", "request_hash", "status", "attempt", "lease_expires_at", "created_at")
    return session.execute(
        select(*(_turns.c[name] for name in columns))
        .where(_turns.c.user_id == request.user_id, _turns.c.idempotency_key == request.idempotency_key)
        .with_for_update()
    ).one_or_none()


def _take_over(session: Session, turn: Row[*tuple[Any, ...]], lease: Lease) -> None:
    """Make the lease that of the turn, unless a newer turn exists: its model has read this turn's message already.

    The look for a newer turn is part of the write. One that begins meanwhile meets the index of running turns.
    """
    newer = _turns.alias()
    is_overtaken = exists().where(
        newer.c.conversation_id == turn.conversation_id,
        # SQLite's clock counts milliseconds: of two turns in one of them, neither may go on.
        newer.c.created_at >= turn.created_at,
        newer.c.id != turn.id,
    )
    taken = (
        update(_turns)
        .where(_turns.c.id == turn.id, _turns.c.status != TurnStatus.ABANDONED, ~is_overtaken)
        .values(status=TurnStatus.RUNNING, attempt=lease.attempt, lease_expires_at=lease.expires_at, error=None)
        .returning(_turns.c.id)
    )
    try:
        taken_id = session.execute(taken).scalar()
    except IntegrityError as error:
        raise AlreadyBegunError from error
    if taken_id is None:
        raise TurnSupersededError("The conversation has gone on since; send the message again as a new one.")


def _make_way(session: Session, request: TurnRequest) -> None:
    """Abandon the conversation's stale turn, if that is what took its place."""
    running = session.execute(
        select(_turns.c.id, _turns.c.lease_expires_at)
        .where(
            _turns.c.conversation_id == request.conversation_id,
            _turns.c.user_id == request.user_id,
            _turns.c.status == TurnStatus.RUNNING,
        )
        .with_for_update()
    ).one_or_none()
    if running is None:
        return
    _refuse_a_live_lease(
        running.lease_expires_at,
        ConversationBusyError,
        "Another message of this conversation is being answered.",
    )
    session.execute(
        update(_turns)
        .where(_turns.c.id == running.id, _turns.c.status == TurnStatus.RUNNING)
        .values(status=TurnStatus.ABANDONED)
    )


def _refuse_a_live_lease(expires_at: datetime, error: type[RetryableError], detail: str) -> None:
    left_seconds = (expires_at - datetime.now(UTC)).total_seconds()
    if left_seconds > 0:
        raise error(detail, retry_after_seconds=math.ceil(left_seconds))


def _replies(session: Session, turn_id: uuid.UUID) -> Sequence[Reply]:
    rows = session.execute(
        select(_messages.c.id, _messages.c.content, _messages.c.tool_calls)
        .where(_messages.c.turn_id == turn_id, _messages.c.role == Role.ASSISTANT)
        .order_by(_messages.c.id)
    )
    return [Reply(*row) for row in rows]


def _is_held(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        _turns.c.id == lease.turn_id,
        _turns.c.status == TurnStatus.RUNNING,
        _turns.c.attempt == lease.attempt,
        _turns.c.lease_expires_at == lease.expires_at,
    )


def _added(usage: Usage) -> dict[str, Any]:
    """Add to what earlier calls, and earlier attempts, have cost."""
    added: dict[str, Any] = {
        "input_tokens": func.coalesce(_turns.c.input_tokens, 0) + usage.input_tokens,
        "output_tokens": func.coalesce(_turns.c.output_tokens, 0) + usage.output_tokens,
    }
    return added | ({"model": usage.model} if usage.model else {})


def _write(
    session: Session,
    held: Lease,
    turn: dict[str, Any],
    message: dict[str, Any],
    expires_at: datetime,
    *others: Write,
) -> int:
    """Change the turn, append a message and do the others: all of it, or by raising, none."""
    changed = update(_turns).where(*_is_held(held)).values(**turn).returning(_turns.c.id)
    appended = (
        insert(_messages)
        .values(conversation_id=held.conversation_id, turn_id=held.turn_id, role=Role.ASSISTANT, **message)
        .returning(_messages.c.id)
    )
    try:
        turn_id, message_id, *_ = together(session, changed, appended, *others)
    except IntegrityError as error:
        # The conversation was deleted, and the turn with it: there is nothing left to append to.
        raise TurnSupersededError("The conversation was deleted meanwhile.") from error
    if turn_id is None:
        _say_why_not(session, held, expires_at)
    return int(message_id)


def _say_why_not(session: Session, held: Lease, expires_at: datetime) -> NoReturn:
    written = select(_turns.c.id).where(
        _turns.c.id == held.turn_id,
        _turns.c.attempt == held.attempt,
        _turns.c.lease_expires_at == expires_at,
    )
    if session.execute(written).one_or_none() is not None:
        raise AlreadyRecordedError
    raise TurnSupersededError("Another attempt has taken this turn over.")
