"""The transitions of a turn that goes on without its client: the worker takes it, and the sweep finds it again."""

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, case, delete, literal, or_, select, update

from taskchat.models import MESSAGES, SECONDS, TURNS, UNDER_WAY, USERS, Role, TurnStatus, utc_in, utc_now
from taskchat.principal import Principal
from taskchat.turns.records import LONGEST_LEASE_SECONDS, SWEEP_AFTER_SECONDS, TakenTurn
from taskchat.turns.takeover import TURN_COLUMNS, has_live_lease, has_newer_turn, started, take_over

MOST_IDLE_ATTEMPTS = 5
"""Attempts in a row that record no step, after which a turn is failed."""
LONGEST_WAIT_SECONDS = 900.0
"""The longest delay of a message in SQS. A turn that seems to wait longer means that a clock was changed."""
KEY_LIFETIME_SECONDS = 30 * 24 * 3600.0
"""How long a key is kept whose conversation was deleted."""
_LEFT_ALONE = "The invocation that worked on this turn ended before it was done."


def take(connection: Connection, turn_id: uuid.UUID, token: uuid.UUID, lease_seconds: float) -> TakenTurn | None:
    """Take the lease of a turn by its id, or return None if there is nothing to do.

    There is nothing to do for a turn that is over, is unknown, or is held by another invocation. A turn that a newer
    message has superseded becomes abandoned. A turn becomes failed after five attempts without a recorded step.

    Pass the same `token` when the transaction is repeated.

    Raises:
        ConversationBusyError: another turn of the conversation is running.
    """
    turn = connection.execute(select(*TURN_COLUMNS).where(TURNS.c.id == turn_id).with_for_update()).one_or_none()
    if turn is None or turn.status not in UNDER_WAY:
        return None
    if turn.conversation_id is None:
        # The release before deletes a conversation without cancelling its turn.
        _end(connection, turn_id, TurnStatus.CANCELLED)
        return None
    if turn.lease_token == token:
        # This invocation took the turn already, and the answer to its COMMIT was lost.
        taken = started(connection, turn, token, turn.attempt, turn.idle_attempts)
    elif turn.status is TurnStatus.RUNNING and has_live_lease(turn):
        return None
    elif has_newer_turn(connection, turn):
        _end(connection, turn_id, TurnStatus.ABANDONED)
        return None
    elif turn.idle_attempts >= MOST_IDLE_ATTEMPTS:
        _end(connection, turn_id, TurnStatus.FAILED, turn.error or _LEFT_ALONE)
        return None
    else:
        taken = take_over(connection, turn, token, lease_seconds)
    asked = (
        select(USERS.c.subject, USERS.c.email, MESSAGES.c.content)
        .join_from(MESSAGES, USERS, USERS.c.id == turn.user_id)
        .where(MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.USER)
    )
    person = connection.execute(asked).one()
    principal = Principal(turn.user_id, person.subject, person.email)
    return TakenTurn(taken, principal, person.content, turn.time_zone)


def unfinished(connection: Connection, limit: int) -> Sequence[uuid.UUID]:
    """Return unfinished turns without a live invocation, oldest first.

    Their lease expired, or their queue message was lost or is late. A turn whose lease expired becomes interrupted.
    None of them is returned again within `SWEEP_AFTER_SECONDS`.
    """
    is_running = TURNS.c.status == TurnStatus.RUNNING
    is_waiting = TURNS.c.status.in_([TurnStatus.QUEUED, TurnStatus.INTERRUPTED])
    forgotten = (
        select(TURNS.c.id)
        .where(
            or_(
                and_(is_running, _is_out_of_date(LONGEST_LEASE_SECONDS)),
                and_(is_waiting, _is_out_of_date(LONGEST_WAIT_SECONDS + SWEEP_AFTER_SECONDS)),
            )
        )
        .order_by(TURNS.c.lease_expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(
        update(TURNS)
        .where(TURNS.c.id.in_(forgotten))
        .values(
            status=case((is_running, literal(TurnStatus.INTERRUPTED, TURNS.c.status.type)), else_=TURNS.c.status),
            error=case((is_running, _LEFT_ALONE), else_=TURNS.c.error),
            lease_expires_at=utc_in(literal(SWEEP_AFTER_SECONDS, SECONDS)),
        )
        .returning(TURNS.c.id)
    )
    return list(found.scalars())


def forget_old_keys(connection: Connection, limit: int) -> int:
    """Delete turns of deleted conversations whose keys have been kept for 30 days; return how many."""
    old = (
        select(TURNS.c.id)
        .where(TURNS.c.conversation_id.is_(None), TURNS.c.created_at < utc_in(literal(-KEY_LIFETIME_SECONDS, SECONDS)))
        .limit(limit)
    )
    return connection.execute(delete(TURNS).where(TURNS.c.id.in_(old))).rowcount


def _is_out_of_date(longest_seconds: float) -> ColumnElement[bool]:
    """Tell whether a turn's time has passed, or is implausibly far in the future."""
    latest = utc_in(literal(longest_seconds, SECONDS))
    return or_(TURNS.c.lease_expires_at < utc_now(), TURNS.c.lease_expires_at > latest)


def _end(connection: Connection, turn_id: uuid.UUID, status: TurnStatus, error: str | None = None) -> None:
    values = {"status": status, "error": error, "finished_at": utc_now(), "provider_state": None}
    connection.execute(update(TURNS).where(TURNS.c.id == turn_id).values(values))
