"""The transitions of a turn, each in a transaction of its own, and what stands in the database afterwards."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from taskchat import turns
from taskchat.database import Database
from taskchat.models import Conversation, Message, Role, Turn
from taskchat.turns import Lease, TurnRequest, Usage

ANN = uuid.UUID(int=1)
BOB = uuid.UUID(int=2)
CALL = {
    "id": "call_1",
    "tool": "create_task",
    "arguments": {},
    "result": {"id": 1},
    "timestamp": "2025-12-07T10:30:00Z",
}


def turn_request(key: str = "key", conversation_id: int | None = None, user_id: uuid.UUID = ANN) -> TurnRequest:
    return TurnRequest(
        turn_id=uuid.uuid4(),
        user_id=user_id,
        subject=str(user_id),
        email=None,
        idempotency_key=key,
        request_hash=f"hash of {conversation_id}",
        conversation_id=conversation_id,
        message="Buy milk",
    )


def read_nothing(connection: Connection, _lease: Lease) -> list[str]:
    connection.execute(text("SELECT 1"))
    return []


def read_contents(connection: Connection, _lease: Lease) -> Sequence[str]:
    return connection.execute(select(col(Message.content)).order_by(col(Message.id))).scalars().all()


def begin(database: Database, request: TurnRequest, lease_seconds: float = 30) -> Lease:
    lease, _ = database.transaction(
        lambda connection: turns.begin(connection, request, turns.lease_end(lease_seconds), read_nothing)
    )
    return lease


def resume(database: Database, request: TurnRequest) -> Any:
    return database.transaction(lambda connection: turns.resume(connection, request, turns.lease_end(30)))


def record_step(database: Database, held: Lease, extended: Lease) -> Any:
    return recorded_once(
        database,
        held,
        extended,
        lambda connection: turns.record_step(
            connection, held, extended, content="", tool_calls=[CALL], usage=Usage("scripted", 10, 1)
        ),
    )


def finish(database: Database, held: Lease, extended: Lease) -> Any:
    return recorded_once(
        database,
        held,
        extended,
        lambda connection: turns.finish(connection, held, extended, content="Done.", usage=Usage("scripted", 20, 2)),
    )


def recorded_once(database: Database, held: Lease, extended: Lease, write: Callable[[Connection], Any]) -> Any:
    """Write, and return what the write does; of one that recorded nothing, what stands recorded already."""
    try:
        return database.transaction(write)
    except IntegrityError:
        return database.transaction(lambda connection: turns.recorded(connection, held, extended))


def interrupt(database: Database, held: Lease, *, is_permanent: bool = False) -> None:
    database.transaction(
        lambda connection: turns.interrupt(connection, held, "the model failed", is_permanent=is_permanent)
    )


def let_the_lease_run_out(database: Database, lease: Lease) -> Lease:
    """Return the lease as the invocation that holds it would still know it, had the time passed."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    database.transaction(
        lambda connection: connection.execute(
            update(Turn).where(col(Turn.id) == lease.turn_id).values(lease_expires_at=past)
        )
    )
    return replace(lease, expires_at=past)


def stored_turn(database: Database, turn_id: uuid.UUID) -> Any:
    return database.transaction(
        lambda connection: connection.execute(select(Turn).where(col(Turn.id) == turn_id)).one()
    )


def stored_messages(database: Database) -> list[tuple[Role, str, Any]]:
    rows = select(col(Message.role), col(Message.content), col(Message.tool_calls)).order_by(col(Message.id))
    return [tuple(row) for row in database.transaction(lambda connection: connection.execute(rows).all())]


@contextmanager
def about_to_finish(database_url: str, held: Lease) -> Iterator[Connection]:
    """Yield the connection of another process that has recorded its reply, and has not committed it yet."""
    another = Database(lambda: database_url)
    with another.engine().connect() as connection:
        connection.execute(text("SELECT 'so that the transaction goes on after the reply'"))
        turns.finish(connection, held, held.extended(30), content="Done.", usage=Usage())
        yield connection
    another.dispose()


def last_activity(database: Database) -> datetime:
    updated_at = select(col(Conversation.updated_at))
    return database.transaction(lambda connection: connection.execute(updated_at).scalar_one())
