"""A connection whose work is rolled back after each test: those tests share one database, and are fast.

A module or a conftest takes the fixtures up by naming both.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import URL, Connection, insert

from local.postgres import postgres_database
from taskchat.database import Database
from taskchat.models import User
from tests.support.owner import owned

ANN = uuid.UUID(int=1)
BOB = uuid.UUID(int=2)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Return a migrated database, first of the one kind and then of the other, in which nothing is committed."""
    with ExitStack() as stack:
        if request.param == "postgres":
            server, template = map(request.getfixturevalue, ("postgres_server_url", "postgres_template"))
            url = stack.enter_context(postgres_database(server, template))
        else:
            path = tmp_path_factory.mktemp("shared") / "taskchat.sqlite3"
            shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            url = URL.create("sqlite", database=str(path))
        database = Database(lambda: url.render_as_string(hide_password=False))
        stack.callback(database.dispose)
        yield database


@pytest.fixture
def connection(shared_database: Database) -> Iterator[Connection]:
    """Return a connection in which Ann and Bob are signed up."""
    with owned(shared_database) as connection:
        sign_up(connection)
        yield connection


def sign_up(connection: Connection) -> None:
    """Make Ann and Bob known."""
    connection.execute(insert(User), [{"id": user, "subject": str(user)} for user in (ANN, BOB)])
