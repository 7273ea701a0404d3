"""The work of a search: one person's searches must not take the database from others."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import URL, insert, make_url, text

from local.pgbouncer import pooler, program
from taskchat.database import Database
from taskchat.models import User
from taskchat.tasks import queries
from tests.support.owner import as_owner
from tests.taskchat.turns.transitions import ANN, BOB

TASK_COUNT = 20_000
SEARCHES_AT_ONCE = 8
LONGEST_WAIT_SECONDS = 4.0
"""Below the deadline of a statement. It was 38 s for two turns before a search was bounded."""
ALMOST = "ab" * 99 + "aa"
"""A pattern that each description matches apart from its last characters."""
LONG = "ab" * 2_000


@pytest.fixture
def crowded_url(postgres_url: str) -> Iterator[str]:
    """Return the URL of a database in which Ann has 20,000 tasks with the longest descriptions, and Bob has none."""
    fill = (
        "INSERT INTO tasks (user_id, title, description, search_text)"
        " SELECT :user_id, 'x', :long, :long FROM generate_series(1, :number)"
    )
    with ExitStack() as stack:
        database = Database(lambda: postgres_url, deadline_seconds=25)
        stack.callback(database.dispose)
        rows = [{"id": person.user_id, "subject": person.subject} for person in (ANN, BOB)]
        as_owner(database, lambda connection: connection.execute(insert(User), rows))
        values = {"user_id": ANN.user_id, "long": LONG, "number": TASK_COUNT}
        as_owner(database, lambda connection: connection.execute(text(fill), values))
        yield postgres_url


@pytest.mark.skipif(program() is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)")
def test_searches_leave_the_database_to_others(crowded_url: str, postgres_server_url: URL) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(pooler(postgres_server_url, pool_size=4)).to(make_url(crowded_url))

        def connect() -> Database:
            database = Database(lambda: url)
            stack.callback(database.dispose)
            return database

        def search(database: Database) -> None:
            database.transaction(ANN.user_id, lambda connection: queries.find(connection, ANN.user_id, text=ALMOST))
            ended.append(time.monotonic())

        ended: list[float] = []
        threads = [threading.Thread(target=search, args=(connect(),)) for _ in range(SEARCHES_AT_ONCE)]
        bob = connect()
        for thread in threads:
            thread.start()
        waits = []
        while any(thread.is_alive() for thread in threads):
            begin = time.monotonic()
            bob.transaction(BOB.user_id, lambda connection: queries.find(connection, BOB.user_id))
            waits.append(time.monotonic() - begin)
        assert len(ended) == SEARCHES_AT_ONCE
        assert max(waits) < LONGEST_WAIT_SECONDS
