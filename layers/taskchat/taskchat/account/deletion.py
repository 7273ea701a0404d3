"""Delete everything that is stored about a person."""

import uuid

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.models import CONVERSATIONS, USERS


def delete_account(connection: Connection, user_id: uuid.UUID) -> None:
    """Delete a person's row, and with it every row that belongs to the person. Nothing happens if there is none.

    The turns go, too, so an invocation that works on one of them can write nothing any more. A person who signs in
    again starts without any row.
    """
    # A transaction that inserts a row of this person holds a share lock on the person's row. The exclusive lock waits
    # for it, so that no row appears between the two deletions.
    connection.execute(sa.select(USERS.c.id).where(USERS.c.id == user_id).with_for_update())
    connection.execute(sa.delete(CONVERSATIONS).where(CONVERSATIONS.c.user_id == user_id))
    connection.execute(sa.delete(USERS).where(USERS.c.id == user_id))
