"""Delete conversations that nobody has touched for as long as the operator keeps them."""

import sqlalchemy as sa
from sqlalchemy import Connection, literal

from taskchat.models import CONVERSATIONS, SECONDS, TURNS, UNDER_WAY, utc_in

RETAINED_AT_ONCE = 100
"""Conversations that one transaction deletes at most."""
_DAY_SECONDS = 24 * 3600.0


def forget_untouched(connection: Connection, days: int, limit: int = RETAINED_AT_ONCE) -> int:
    """Delete conversations without activity for `days` and without an unfinished turn; return how many.

    Their turns stay without text until their keys are old, as after a deletion by the person.
    """
    is_old = CONVERSATIONS.c.updated_at < utc_in(literal(-days * _DAY_SECONDS, SECONDS))
    unfinished = (
        sa.select(TURNS.c.id).where(TURNS.c.conversation_id == CONVERSATIONS.c.id, TURNS.c.status.in_(UNDER_WAY))
    ).exists()
    # A turn that begins locks its conversation. The rows are locked here first, and looked at again in a second
    # statement, which sees every turn that was committed before the lock.
    locked = connection.execute(
        sa.select(CONVERSATIONS.c.id)
        .where(is_old, ~unfinished)
        .order_by(CONVERSATIONS.c.updated_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=CONVERSATIONS)
    )
    ids = list(locked.scalars())
    if not ids:
        return 0
    statement = sa.delete(CONVERSATIONS).where(CONVERSATIONS.c.id.in_(ids), is_old, ~unfinished)
    return connection.execute(statement).rowcount
