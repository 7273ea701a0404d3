"""The durable turn and its transitions, each the work of one transaction.

    accept ──▶ QUEUED
                 │ background.take, or begin with the same key
                 ▼
    begin ──▶ RUNNING ──record_step──▶ RUNNING ──finish──▶ FINISHED
               │   ▲
     interrupt │   │ begin with the same key, or background.take (attempt + 1)
               ▼   │
    INTERRUPTED or FAILED      RUNNING, lease expired ──newer message──▶ ABANDONED

    QUEUED, RUNNING, INTERRUPTED or FAILED ──cancel──▶ CANCELLED
    the newest turn, unless it is worked on ──replaces_turn_id──▶ REPLACED

This module has the transitions of a turn that is under way. `beginning` has `begin` and `accept`, `background` has the
transitions of the worker and of the sweep, and `replacement` has the one of `replaces_turn_id`.

An invocation that works on a turn holds its lease, which is a random token with an expiry time by the database's clock.
Every write names the token and replaces it. A write whose COMMIT was already applied, and a write by an invocation
that another one has overtaken, therefore match no row.

Messages are ordered by their ids, which grow in the order of writing. Locks are taken in the order person, turn,
conversation.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, func, literal, select, update

from taskchat import conversations
from taskchat.errors import NotFoundError, TurnCancelledError, TurnFinishedError, TurnSupersededError
from taskchat.models import CONVERSATIONS, SECONDS, TURNS, Role, TurnStatus, utc_in, utc_now
from taskchat.turns.records import CANCELLED_DETAIL, SWEEP_AFTER_SECONDS, Lease, Reply, Usage
from taskchat.turns.resource import replies_of
from taskchat.turns.writes import LEASE, Writes, message_of, message_values

_HELD = (
    TURNS.c.id == bindparam("turn_id"),
    TURNS.c.status == TurnStatus.RUNNING,
    TURNS.c.attempt == bindparam("held_attempt"),
    TURNS.c.lease_token == bindparam("held_token"),
    # The release before deletes a conversation without cancelling its turn.
    TURNS.c.conversation_id.is_not(None),
)
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_COST = {
    "model": bindparam("used_model", type_=TURNS.c.model.type),
    **{name: func.coalesce(TURNS.c[name], 0) + bindparam(f"used_{name}", type_=BigInteger) for name in _TOKENS},
}

_stepping = (
    update(TURNS)
    .where(*_HELD)
    .values(
        **LEASE,
        **_COST,
        provider_state=bindparam("new_provider_state", type_=TURNS.c.provider_state.type),
        idle_attempts=0,
    )
    .returning(TURNS.c.id, TURNS.c.conversation_id)
    .cte("turn")
)
_RECORD_STEP = Writes(_stepping, message_of(_stepping, Role.ASSISTANT))


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
        **message_values(content, tool_calls, model_context),
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
        lease_token=LEASE["lease_token"],
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
_FINISH = Writes(_finishing, _touching, message_of(_finishing, Role.ASSISTANT))


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
        **message_values(content, None, model_context),
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
    if turn is None or turn.conversation_id is None:
        return None
    if turn.status is TurnStatus.CANCELLED:
        raise TurnCancelledError(CANCELLED_DETAIL)
    return replies_of(connection, renewed.turn_id) if turn.lease_token == renewed.token else None


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


def _held(lease: Lease) -> dict[str, Any]:
    return {"turn_id": lease.turn_id, "held_attempt": lease.attempt, "held_token": lease.token}


def _cost(usage: Usage) -> dict[str, Any]:
    return {"used_model": usage.model, **{f"used_{name}": getattr(usage, name) for name in _TOKENS}}


def _superseded() -> TurnSupersededError:
    return TurnSupersededError("Another attempt has taken this turn over, or its conversation was deleted.")
