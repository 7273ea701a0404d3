"""The deletion of conversations that nobody has touched for long."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from taskchat.account import forget_untouched
from taskchat.database import Database
from taskchat.models import CONVERSATIONS, MESSAGES, TurnStatus
from tests.support.owner import as_owner
from tests.taskchat.turns.transitions import ANN, BOB, change_turn, finish, interrupt, started, turn_request


def forgotten(database: Database, limit: int = 100) -> int:
    return database.sweep_transaction(lambda connection: forget_untouched(connection, 30, limit))


def age(database: Database, days: float, *conversation_ids: int | None) -> None:
    moment = datetime.now(UTC) - timedelta(days=days)
    statement = update(CONVERSATIONS).where(CONVERSATIONS.c.id.in_(conversation_ids)).values(updated_at=moment)
    as_owner(database, lambda connection: connection.execute(statement))


def kept(database: Database) -> set[int]:
    return as_owner(database, lambda connection: set(connection.execute(select(CONVERSATIONS.c.id)).scalars()))


def test_old_conversations_of_everybody_are_deleted(database: Database) -> None:
    old, bobs, new = (
        started(database, turn_request(key, None, person))
        for key, person in (("old", ANN), ("bobs", BOB), ("new", ANN))
    )
    for lease in (old, bobs, new):
        finish(database, lease)
    age(database, 30.1, old.conversation_id, bobs.conversation_id)
    age(database, 29.9, new.conversation_id)
    assert forgotten(database) == 2
    assert kept(database) == {new.conversation_id}
    messages = select(MESSAGES.c.conversation_id)
    left = as_owner(database, lambda connection: set(connection.execute(messages).scalars()))
    assert left == {new.conversation_id}


def test_one_sweep_deletes_a_bounded_number(database: Database) -> None:
    leases = [started(database, turn_request(str(number))) for number in range(3)]
    for lease in leases:
        finish(database, lease)
    age(database, 31, *(lease.conversation_id for lease in leases))
    assert [forgotten(database, 2) for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("status", [TurnStatus.QUEUED, TurnStatus.RUNNING, TurnStatus.INTERRUPTED])
def test_a_conversation_with_an_unfinished_turn_is_kept(database: Database, status: TurnStatus) -> None:
    lease = started(database)
    if status is TurnStatus.INTERRUPTED:
        interrupt(database, lease)
    else:
        change_turn(database, lease.turn_id, status=status)
    age(database, 31, lease.conversation_id)
    assert forgotten(database) == 0
    assert kept(database) == {lease.conversation_id}
