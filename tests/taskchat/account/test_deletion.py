"""The deletion of everything that is stored about a person."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlmodel import SQLModel

from taskchat import turns
from taskchat.account import delete_account
from taskchat.database import Database
from taskchat.errors import TurnSupersededError
from taskchat.models import TASKS
from tests.support.owner import as_owner, other_session, wait_for_lock
from tests.taskchat.turns.transitions import ANN, BOB, begin, finish, record_step, started, turn_request


def delete(database: Database) -> None:
    database.transaction(ANN.user_id, lambda connection: delete_account(connection, ANN.user_id))


def fill(database: Database) -> None:
    for person in (ANN, BOB):
        finish(database, record_step(database, started(database, turn_request("key", None, person))))
    rows = [{"user_id": person.user_id, "title": person.subject} for person in (ANN, BOB)]
    as_owner(database, lambda connection: connection.execute(sa.insert(TASKS), rows))


def counts(database: Database) -> dict[str, int]:
    def count(connection: Connection) -> dict[str, int]:
        return {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }

    return as_owner(database, count)


def test_nothing_of_a_person_is_left(database: Database) -> None:
    fill(database)
    both = counts(database)
    delete(database)
    delete(database)
    assert counts(database) == {name: number // 2 for name, number in both.items()}


def test_a_turn_under_way_can_write_nothing_any_more(database: Database) -> None:
    lease = started(database)
    delete(database)
    for act in (record_step, finish):
        with pytest.raises(TurnSupersededError):
            act(database, lease)
    assert set(counts(database).values()) == {0}


def test_a_person_who_signs_in_again_starts_fresh(database: Database) -> None:
    finish(database, started(database))
    delete(database)
    assert started(database, turn_request()).attempt == 1
    assert counts(database)["messages"] == 1


def test_a_crash_before_the_commit_deletes_nothing(database: Database) -> None:
    fill(database)
    before = counts(database)

    def crash(connection: Connection) -> None:
        delete_account(connection, ANN.user_id)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.transaction(ANN.user_id, crash)
    assert counts(database) == before


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_deletion_waits_for_a_turn_that_begins(database: Database, database_url: str) -> None:
    finish(database, started(database))
    with other_session(database_url) as connection, ThreadPoolExecutor() as pool:
        turns.begin(connection, turn_request("second"), uuid.uuid4(), 30)
        waiting = pool.submit(delete, database)
        wait_for_lock(connection, waiting)
        connection.commit()
        waiting.result()
    assert set(counts(database).values()) == {0}


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_turn_that_waited_for_a_deletion_starts_fresh(database: Database, database_url: str) -> None:
    finish(database, started(database))
    with other_session(database_url) as connection, ThreadPoolExecutor() as pool:
        delete_account(connection, ANN.user_id)
        waiting = pool.submit(begin, database, turn_request("second"))
        wait_for_lock(connection, waiting)
        connection.commit()
        waiting.result()
    left = {name: number for name, number in counts(database).items() if number}
    assert left == {"users": 1, "conversations": 1, "turns": 1, "messages": 1}
