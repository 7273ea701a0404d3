"""Table 7: the price of row-level security, per transaction."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, insert

from bench import servers
from bench.checkouts import HERE, Checkout
from bench.figures import medians, number
from bench.report import Section
from local.postgres import execute
from taskchat import conversations
from taskchat.database import Database, identity
from taskchat.database.identity import Identity
from taskchat.models import TASKS
from taskchat.tasks import queries

PEOPLE, ROWS = 200, 200_000
REPEATS = 50
PERSON = uuid.UUID(int=1)
CONVERSATION = PEOPLE
"""One of the person's, with 5,000 messages."""
OWNER = Identity("none")
SEED = f"""
INSERT INTO users (id, subject)
SELECT lpad(to_hex(number), 32, '0')::uuid, number FROM generate_series(1, {PEOPLE}) number;
INSERT INTO tasks (user_id, title, search_text)
SELECT lpad(to_hex(1 + number % {PEOPLE}), 32, '0')::uuid, number, number FROM generate_series(1, {ROWS}) number;
INSERT INTO conversations (user_id)
SELECT lpad(to_hex(1 + number % {PEOPLE}), 32, '0')::uuid FROM generate_series(1, {ROWS // 10}) number;
INSERT INTO messages (conversation_id, role, content)
SELECT CASE WHEN number <= 5000 THEN {CONVERSATION} ELSE 1 + number % {ROWS // 10} END, 'user', 'words'
FROM generate_series(1, {ROWS}) number
"""
WORK: Mapping[str, Callable[[Connection], Any]] = {
    "an empty transaction": lambda _: None,
    "the first page of conversations": lambda connection: conversations.list_page(connection, PERSON, limit=20),
    "50 messages of 5,000": lambda connection: conversations.messages_page(connection, PERSON, CONVERSATION, limit=50),
    "the window of a turn": lambda connection: conversations.load_window(
        connection, PERSON, CONVERSATION, messages=50, tokens=8_000, before_turn=uuid.UUID(int=1)
    ),
    "the first 100 tasks": lambda connection: queries.find(connection, PERSON, limit=100),
    "a task inserted": lambda connection: connection.execute(insert(TASKS).values(user_id=PERSON, title="new")),
}
NOTE = (
    f"Transactions of one connection, BEGIN and COMMIT included, among {ROWS:,} tasks and as many messages of {PEOPLE} "
    f"people; each run is {REPEATS} pairs. Policies do not bind the owner of the tables."
)


def measure(runs: int, _checkouts: Sequence[Checkout]) -> Section:
    """Time the same transactions as the owner of the tables and as the role of the functions."""
    head = ["transaction", "owner, ms", "taskchat_app, ms", "difference, ms"]
    section = Section("7. The price of row-level security", head, notes=[NOTE])
    with servers.server() as (server, _), servers.migrated(server, HERE) as url, _connected(url) as database:
        execute(url, SEED)
        servers.vacuum(url)
        for name, work in WORK.items():
            found = medians(_pair(database, work) for _ in range(runs * REPEATS))
            owner, app = found["owner"], found["app"]
            section.rows.append([name, number(owner), number(app), f"{app - owner:+.3f}"])
    return section


@contextmanager
def _connected(url: URL) -> Iterator[Database]:
    database = Database(lambda: url.render_as_string(hide_password=False))
    try:
        yield database
    finally:
        database.dispose()


def _pair(database: Database, work: Callable[[Connection], Any]) -> dict[str, float]:
    """Return the milliseconds of a transaction of the owner, and of one of the person after it."""
    begin = time.perf_counter()
    with identity.keeping(OWNER), database.engine().begin() as connection:
        work(connection)
    between = time.perf_counter()
    with identity.keeping(Identity(user_id=PERSON)), database.engine().begin() as connection:
        work(connection)
    end = time.perf_counter()
    return {"owner": (between - begin) * 1000, "app": (end - between) * 1000}
