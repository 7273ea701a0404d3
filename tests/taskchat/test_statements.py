"""Statements that are built once, and writes that are made together."""

import uuid
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Connection, exists, insert, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import ReturningInsert

from taskchat.database import Database
from taskchat.models import Conversation, User
from taskchat.statements import Together, given, values
from tests.support.statements import is_idle

_users = User.metadata.tables["users"]
_conversations = Conversation.metadata.tables["conversations"]
ANN = uuid.UUID(int=1)
BOB = uuid.UUID(int=2)


def sign_up() -> ReturningInsert[tuple[uuid.UUID]]:
    is_known = exists().where(_users.c.id == given(_users.c.id, "user_id"))
    row = select(given(_users.c.id, "user_id"), literal("Ann")).where(~is_known)
    return insert(_users).from_select(["id", "subject"], row, include_defaults=False).returning(_users.c.id)


def begin_the_first_conversation(user_id: ColumnElement[uuid.UUID]) -> ReturningInsert[tuple[int]]:
    row = select(user_id, given(_conversations.c.title)).where(user_id.is_not(None))
    inserted = insert(_conversations).from_select(["user_id", "title"], row, include_defaults=False)
    return inserted.returning(_conversations.c.id)


WELCOME = Together(sign_up, begin_the_first_conversation)


def titles(connection: Connection) -> list[str | None]:
    return list(connection.execute(select(_conversations.c.title)).scalars())


def test_a_write_uses_the_id_of_the_one_before(database: Database) -> None:
    user_id, conversation_id = database.transaction(
        lambda connection: WELCOME.run(connection, values(user_id=ANN, title="Welcome"))
    )
    owner = select(_conversations.c.user_id).where(_conversations.c.id == conversation_id)
    assert user_id == ANN
    assert database.transaction(lambda connection: connection.execute(owner).scalar()) == ANN


def test_a_write_that_leans_on_one_that_met_no_row_writes_nothing(database: Database) -> None:
    database.transaction(lambda connection: WELCOME.run(connection, values(user_id=ANN, title="Welcome")))
    ids = database.transaction(lambda connection: WELCOME.run(connection, values(user_id=ANN, title="Again")))
    assert list(ids) == [None, None]
    assert database.transaction(titles) == ["Welcome"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_statement_that_is_the_whole_transaction_is_committed_with_it(database: Database) -> None:
    def work(connection: Connection) -> bool:
        WELCOME.run(connection, values(user_id=ANN, title="Welcome"), whole_transaction=True)
        return is_idle(connection.connection.dbapi_connection)

    assert database.transaction(work)
    assert database.transaction(titles) == ["Welcome"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_after_the_statement_of_a_whole_transaction_nothing_more_can_be_written(database: Database) -> None:
    def work(connection: Connection) -> None:
        WELCOME.run(connection, values(user_id=ANN, title="Welcome"), whole_transaction=True)
        assert titles(connection) == ["Welcome"]
        WELCOME.run(connection, values(user_id=BOB, title="Welcome too"))

    with pytest.raises(DBAPIError, match="over"):
        database.transaction(work)
    assert database.transaction(titles) == ["Welcome"]


@pytest.mark.parametrize("first", ["SELECT 1", "SAVEPOINT first"])
def test_within_a_transaction_that_has_begun_it_is_a_part_of_that_one(database: Database, first: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text(first))
        WELCOME.run(connection, values(user_id=ANN, title="Welcome"), whole_transaction=True)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(work)
    assert database.transaction(titles) == []


def test_what_goes_with_the_next_statement_is_seen_by_it(database: Database) -> None:
    def work(connection: Connection) -> list[str | None]:
        WELCOME.run_with_next(connection, values(user_id=ANN, title="Welcome"))
        return titles(connection)

    assert database.transaction(work) == ["Welcome"]
    assert database.transaction(titles) == ["Welcome"]


def test_what_goes_with_a_next_statement_that_fails_is_gone_with_it(database: Database) -> None:
    def work(connection: Connection) -> None:
        WELCOME.run_with_next(connection, values(user_id=ANN, title="Welcome"))
        connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(DBAPIError):
        database.transaction(work)
    assert database.transaction(titles) == []


def test_what_goes_with_the_next_statement_is_written_though_there_is_none(database: Database) -> None:
    database.transaction(
        lambda connection: WELCOME.run_with_next(connection, values(user_id=ANN, title="100 % welcome"))
    )
    assert database.transaction(titles) == ["100 % welcome"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_message_that_is_a_transaction_by_itself_gets_no_commit_that_the_server_warns_of(database: Database) -> None:
    def work(connection: Connection) -> Any:
        WELCOME.run_with_next(connection, values(user_id=ANN, title="Welcome"))
        return connection.connection.dbapi_connection

    assert database.transaction(work).notices == []


def test_what_goes_with_the_commit_is_committed_with_what_was_sent_before(database: Database) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        WELCOME.run_with_next(connection, values(user_id=ANN, title="Welcome"))

    database.transaction(work)
    assert database.transaction(titles) == ["Welcome"]


def test_a_commit_raises_what_the_writes_that_go_with_it_raise_and_nothing_is_written(database: Database) -> None:
    def work(connection: Connection) -> None:
        WELCOME.run(connection, values(user_id=BOB, title="Not to stay"))
        WELCOME.run_with_next(connection, values(user_id=ANN, title="x" * 201))

    with pytest.raises(DBAPIError):
        database.transaction(work)
    assert database.transaction(titles) == []


def test_what_went_before_in_a_transaction_that_raises_is_not_written_by_the_next(database: Database) -> None:
    def work(connection: Connection) -> None:
        WELCOME.run_with_next(connection, values(user_id=ANN, title="Welcome"))
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(work)
    assert database.transaction(titles) == []
