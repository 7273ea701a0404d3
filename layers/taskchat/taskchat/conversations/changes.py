"""Creating, renaming and deleting conversations. Every statement names the user."""

import uuid

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from taskchat.conversations.pages import CONVERSATION_COLUMNS, ConversationRecord, is_own, one_conversation
from taskchat.models import (
    CANCELLABLE,
    CONVERSATIONS,
    TITLE_CHARACTERS,
    TURNS,
    USERS,
    ConversationKind,
    TurnStatus,
    utc_now,
)
from taskchat.principal import Principal

_CREATE = sa.insert(CONVERSATIONS).returning(CONVERSATIONS.c.id)
_LOCK_PERSON = (
    sa.update(USERS)
    .where(USERS.c.id == sa.bindparam("user"))
    .values(email=sa.func.coalesce(sa.bindparam("new_email", type_=USERS.c.email.type), USERS.c.email))
)


def create(
    connection: Connection, user_id: uuid.UUID, title: str, kind: ConversationKind = ConversationKind.CHAT
) -> int:
    """Create a conversation of a person whose row exists (`lock_person`), and return its id.

    The title is shortened to one line of at most 200 characters.
    """
    one_line = " ".join(title.split())[:TITLE_CHARACTERS]
    values = {"user_id": user_id, "title": one_line, "kind": kind}
    return int(connection.execute(_CREATE, values).scalar_one())


def lock_person(connection: Connection, principal: Principal) -> None:
    """Lock the person's row until COMMIT, and insert it if it is missing.

    Without an e-mail address the stored one stays.
    """
    values = {"user": principal.user_id, "new_email": principal.email}
    if connection.execute(_LOCK_PERSON, values).rowcount:
        return
    # Without a target, ON CONFLICT covers both unique indexes, of the id and of the subject.
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(USERS).values(id=principal.user_id, subject=principal.subject, email=principal.email)
    connection.execute(insert.on_conflict_do_nothing())
    connection.execute(_LOCK_PERSON, values)


def rename(connection: Connection, user_id: uuid.UUID, conversation_id: int, title: str) -> ConversationRecord:
    """Give a conversation another title of 1 to 200 characters. Its place in the list stays.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    statement = sa.update(CONVERSATIONS).where(is_own(user_id, conversation_id)).values(title=title)
    return one_conversation(connection, statement.returning(*CONVERSATION_COLUMNS), conversation_id)


def delete(connection: Connection, user_id: uuid.UUID, conversation_id: int) -> None:
    """Delete a conversation with its messages. Its turns stay, so that their keys do nothing again.

    Raises:
        NotFoundError: the person has no such conversation.
    """
    cancel_turns(connection, TURNS.c.user_id == user_id, TURNS.c.conversation_id == conversation_id)
    statement = sa.delete(CONVERSATIONS).where(is_own(user_id, conversation_id))
    one_conversation(connection, statement.returning(*CONVERSATION_COLUMNS), conversation_id)


def delete_all(connection: Connection, user_id: uuid.UUID) -> None:
    """Delete all conversations of a person with their messages. Turns stay, so that their keys do nothing again."""
    cancel_turns(connection, TURNS.c.user_id == user_id)
    connection.execute(sa.delete(CONVERSATIONS).where(CONVERSATIONS.c.user_id == user_id))


def cancel_turns(connection: Connection, *condition: sa.ColumnElement[bool]) -> int:
    """Cancel turns that have not finished, and return how many. An invocation that works on one can write no more."""
    cancelled = (
        sa.update(TURNS)
        .where(*condition, TURNS.c.status.in_(CANCELLABLE))
        .values(status=TurnStatus.CANCELLED, finished_at=utc_now(), error=None, provider_state=None)
    )
    return connection.execute(cancelled).rowcount
