"""A person's ratings of replies. Messages are never changed, so ratings have a table of their own."""

import uuid

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from taskchat.errors import NotFoundError
from taskchat.models import CONVERSATIONS, FEEDBACK, MESSAGES, Rating, Role, utc_now


def rate(
    connection: Connection, user_id: uuid.UUID, message_id: int, rating: Rating, comment: str | None = None
) -> None:
    """Rate a reply, in place of an earlier rating.

    Raises:
        NotFoundError: the person has no such reply.
    """
    _require_reply(connection, user_id, message_id)
    values = {"rating": rating, "comment": comment}
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(FEEDBACK).values(message_id=message_id, user_id=user_id, **values)
    connection.execute(
        insert.on_conflict_do_update(index_elements=[FEEDBACK.c.message_id], set_={**values, "updated_at": utc_now()})
    )


def unrate(connection: Connection, user_id: uuid.UUID, message_id: int) -> None:
    """Remove the rating of a reply, if it has one.

    Raises:
        NotFoundError: the person has no such reply.
    """
    _require_reply(connection, user_id, message_id)
    own = sa.and_(FEEDBACK.c.message_id == message_id, FEEDBACK.c.user_id == user_id)
    connection.execute(sa.delete(FEEDBACK).where(own))


def _require_reply(connection: Connection, user_id: uuid.UUID, message_id: int) -> None:
    """Lock the conversation of a reply against deletion until COMMIT."""
    found = connection.execute(
        sa.select(MESSAGES.c.id)
        .join_from(MESSAGES, CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(MESSAGES.c.id == message_id, MESSAGES.c.role == Role.ASSISTANT, CONVERSATIONS.c.user_id == user_id)
        .with_for_update(read=True, key_share=True, of=CONVERSATIONS)
    ).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no reply {message_id}.")
