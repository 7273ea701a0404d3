"""The transitions of a turn, each in a transaction of its own, and the rows that they leave."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlmodel import col

from taskchat import turns
from taskchat.database import Database
from taskchat.models import Conversation, Message, Role, Turn
from taskchat.principal import Principal
from taskchat.turns import FinishedTurn, Lease, StartedTurn, TurnRequest, Usage
from tests.support.owner import as_owner, other_session

ANN = Principal(uuid.UUID(int=1), "issuer ann")
BOB = Principal(uuid.UUID(int=2), "issuer bob")
LEASE_SECONDS = 30.0
CALL = {
    "id": "call_1",
    "tool": "create_task",
    "arguments": {},
    "result": {"id": 1},
    "timestamp": "2025-12-07T10:30:00Z",
}


def turn_request(key: str = "key", conversation_id: int | None = None, person: Principal = ANN) -> TurnRequest:
    return TurnRequest(
        principal=person,
        idempotency_key=key,
        request_hash=f"hash of {conversation_id}",
        conversation_id=conversation_id,
        message="Buy milk",
    )


def begin(
    database: Database, request: TurnRequest, token: uuid.UUID | None = None, lease_seconds: float = LEASE_SECONDS
) -> StartedTurn | FinishedTurn:
    token = token or uuid.uuid4()
    person = request.principal.user_id
    return database.transaction(person, lambda connection: turns.begin(connection, request, token, lease_seconds))


def started(database: Database, request: TurnRequest | None = None, token: uuid.UUID | None = None) -> Lease:
    """Begin or continue a turn that is not finished, and return its lease."""
    turn = begin(database, request or turn_request(), token)
    assert isinstance(turn, StartedTurn)
    return turn.lease


def record_step(database: Database, held: Lease, renewed: Lease | None = None) -> Lease:
    """Record a step and return the renewed lease."""
    after = renewed or held.renewed()
    usage = Usage("scripted", 10, 1)
    database.turn_transaction(
        held.turn_id,
        lambda connection: turns.record_step(
            connection, held, after, LEASE_SECONDS, content="", tool_calls=[CALL], usage=usage
        ),
    )
    return after


def finish(database: Database, held: Lease, renewed: Lease | None = None) -> int:
    """Finish the turn and return the id of the reply's message."""
    usage = Usage("scripted", 20, 2)
    return database.turn_transaction(
        held.turn_id,
        lambda connection: turns.finish(connection, held, renewed or held.renewed(), content="Done.", usage=usage),
    )


def interrupt(database: Database, held: Lease, *, is_permanent: bool = False) -> bool:
    """Give the lease back; return whether it was held."""
    return database.turn_transaction(
        held.turn_id,
        lambda connection: turns.interrupt(connection, held, "the model failed", is_permanent=is_permanent),
    )


def change_turn(database: Database, turn_id: uuid.UUID, **columns: Any) -> None:
    statement = update(Turn).where(col(Turn.id) == turn_id).values(**columns)
    as_owner(database, lambda connection: connection.execute(statement))


def let_the_lease_expire(database: Database, lease: Lease) -> None:
    change_turn(database, lease.turn_id, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))


def stored_turn(database: Database, turn_id: uuid.UUID) -> Any:
    return as_owner(database, lambda connection: connection.execute(select(Turn).where(col(Turn.id) == turn_id)).one())


def stored_messages(database: Database) -> list[tuple[Role, str, Any]]:
    rows = select(col(Message.role), col(Message.content), col(Message.tool_calls)).order_by(col(Message.id))
    return [tuple(row) for row in as_owner(database, lambda connection: connection.execute(rows).all())]


def stored_titles(database: Database) -> Sequence[str | None]:
    return as_owner(database, lambda connection: connection.execute(select(col(Conversation.title))).scalars().all())


@contextmanager
def about_to_finish(database_url: str, held: Lease) -> Iterator[Connection]:
    """Yield the connection of another process that has recorded its reply and has not committed it yet."""
    with other_session(database_url) as connection:
        turns.finish(connection, held, held.renewed(), content="Done.", usage=Usage("scripted", 0, 0))
        yield connection


def last_activity(database: Database) -> datetime:
    updated_at = select(col(Conversation.updated_at))
    return as_owner(database, lambda connection: connection.execute(updated_at).scalar_one())
