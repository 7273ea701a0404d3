"""Table 4: what a read costs in a large database, on the first page and on the deepest one."""

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from sqlalchemy import URL

from bench import servers
from bench.figures import Section, median, number, ratio
from bench.subject import API_KEY
from tests.support.lambda_events import LambdaContext, http_event, invoke
from tests.support.statements import indexes, plan, recorded

ACTIVE_CONVERSATIONS = 20_000
MESSAGES = 1_000_000
LONGEST_CONVERSATION = 100_000
QUIET_CONVERSATIONS = 20_000
PAGE = {"conversations": 20, "messages": 50}
WARM_UP_CALLS = 20
CALLS_PER_RUN = 20
SEED = f"""
INSERT INTO users (id, subject)
SELECT ('00000000-0000-0000-0000-' || lpad(number::text, 12, '0'))::uuid, 'person ' || number
FROM generate_series(1, 1000) AS number;
INSERT INTO conversations (user_id, title, created_at, updated_at)
SELECT '{{quiet}}', 'Long ago', moment, moment FROM (
    SELECT '2024-01-01'::timestamptz + number * interval '1 minute' AS moment
    FROM generate_series(1, {QUIET_CONVERSATIONS}) AS number) AS long_ago;
INSERT INTO conversations (user_id, title, created_at, updated_at)
SELECT CASE number WHEN 1 THEN '{{quiet}}'
       ELSE ('00000000-0000-0000-0000-' || lpad((1 + number % 1000)::text, 12, '0')) END::uuid, 'Recent', moment, moment
FROM (SELECT number, '2026-01-01'::timestamptz + number * interval '1 minute' AS moment
      FROM generate_series(1, {ACTIVE_CONVERSATIONS}) AS number) AS recent;
INSERT INTO messages (conversation_id, role, content, created_at)
SELECT {QUIET_CONVERSATIONS + 1}, CASE number % 2 WHEN 1 THEN 'user' ELSE 'assistant' END, repeat('word ', 24),
       '2026-01-01'::timestamptz + number * interval '1 second'
FROM generate_series(1, {LONGEST_CONVERSATION}) AS number;
INSERT INTO messages (conversation_id, role, content, created_at)
SELECT {QUIET_CONVERSATIONS + 2} + number % {ACTIVE_CONVERSATIONS - 1},
       CASE (number / {ACTIVE_CONVERSATIONS - 1}) % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, repeat('word ', 24),
       '2026-01-01'::timestamptz + number * interval '1 second'
FROM generate_series(1, {MESSAGES - LONGEST_CONVERSATION}) AS number;
"""
LONGEST_ID = QUIET_CONVERSATIONS + 1
OLDEST_CONVERSATION = """
SELECT updated_at, id FROM conversations WHERE user_id = '{quiet}' ORDER BY updated_at, id OFFSET {page} LIMIT 1
"""
OLDEST_MESSAGE = """
SELECT created_at, id FROM messages WHERE conversation_id = {longest} ORDER BY created_at, id OFFSET {page} LIMIT 1
"""
NOTES = [
    f"{MESSAGES:,} messages in {ACTIVE_CONVERSATIONS:,} conversations, one of them of {LONGEST_CONVERSATION:,}; the "
    f"person who asks has that one and {QUIET_CONVERSATIONS:,} others, which nobody has touched for two years. Through "
    "the warm handler, from event to response; the deepest page ends at the oldest row.",
    "The query alone is the same SQL by psycopg2 on a kept connection, with its BEGIN and COMMIT. The index is the one "
    "in the plan that EXPLAIN shows for it.",
]


@dataclass(frozen=True)
class Read:
    """One read: how the API is asked, or what part of the package does it."""

    name: str
    run: Callable[[], Any]


def measure(runs: int) -> Sequence[Section]:
    """Seed the database and measure each read, first and deepest pages in turns."""
    with (
        servers.server() as (server, _),
        servers.database(server) as database,
        Path(os.devnull).open("w") as nowhere,
        # What the handlers log.
        redirect_stdout(nowhere),
    ):
        os.environ |= {
            "DATABASE_URL": servers.environment(database, "")["BENCH_DATABASE_URL"],
            "OPENAI_API_KEY": API_KEY,
        }
        quiet = _seed(database)
        pairs = _pairs(database, quiet)
        taken: dict[str, list[float]] = {read.name: [] for pair in pairs for read in pair}
        for pair in pairs:
            for _ in range(WARM_UP_CALLS):
                for read in pair:
                    read.run()
            for _ in range(runs * CALLS_PER_RUN):
                for read in pair:
                    taken[read.name].append(_milliseconds(read.run))
        return [_section(database, pairs, {name: median(values) for name, values in taken.items()}, runs)]


def _seed(database: URL) -> str:
    from functions.migrate import app as migrate  # noqa: PLC0415 - it reads the environment
    from taskchat import principal  # noqa: PLC0415

    context: Any = LambdaContext(function_name="migrate")
    migrate.handler({}, context)
    person = principal.from_event(http_event("GET", "/conversations"))
    quiet = str(person.user_id)
    connection = psycopg2.connect(database.set(drivername="postgresql").render_as_string(hide_password=False))
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO users (id, subject) VALUES (%s, %s)", (quiet, person.subject))
        cursor.execute(SEED.format(quiet=quiet))
    connection.close()
    servers.vacuum(database)
    return quiet


def _pairs(database: URL, quiet: str) -> Sequence[Sequence[Read]]:
    """Return the reads, each first page with its deepest one."""
    from taskchat.conversations import load_window  # noqa: PLC0415
    from taskchat.conversations.cursors import Position, encode  # noqa: PLC0415
    from taskchat.database import database as process_database  # noqa: PLC0415

    found = {
        "conversations": _row(database, OLDEST_CONVERSATION.format(quiet=quiet, page=PAGE["conversations"])),
        "messages": _row(database, OLDEST_MESSAGE.format(longest=LONGEST_ID, page=PAGE["messages"])),
    }
    of_list = encode(Position(*found["conversations"]), f"conversations of {quiet}")
    of_messages = encode(Position(*found["messages"]), f"messages of {LONGEST_ID}")
    messages = f"/conversations/{LONGEST_ID}/messages"
    window = partial(
        load_window,
        user_id=uuid.UUID(quiet),
        conversation_id=LONGEST_ID,
        messages=50,
        tokens=8_000,
        before_turn=uuid.UUID(int=0),
    )
    return [
        (_get("GET /conversations", "/conversations"), _get("- deepest", "/conversations", cursor=of_list)),
        (_get("GET /conversations/{id}/messages", messages), _get("- deepest ", messages, cursor=of_messages)),
        (_get("GET /conversations/{id}", f"/conversations/{LONGEST_ID}"),),
        (Read("the window of a turn", lambda: process_database().transaction(window)),),
    ]


def _get(name: str, path: str, **query: str) -> Read:
    from functions.conversations import app  # noqa: PLC0415

    route = path if path == "/conversations" else path.replace(str(LONGEST_ID), "{id}")

    def run() -> Any:
        event = http_event("GET", path, query=query) | {"routeKey": f"GET {route}"}
        answer = invoke(app.handler, event)
        assert answer.status == 200, answer.body
        return answer.body

    return Read(name, run)


def _row(database: URL, statement: str) -> Any:
    connection = psycopg2.connect(database.set(drivername="postgresql").render_as_string(hide_password=False))
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    connection.close()
    return row


def _milliseconds(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1000


def _section(database: URL, pairs: Sequence[Sequence[Read]], taken: Mapping[str, float], runs: int) -> Section:
    from taskchat.database import database as process_database  # noqa: PLC0415

    section = Section(
        "4. Reads among a million messages",
        ["read", "ms", "deepest over first", "query alone ms", "beyond the query ms", "index"],
        notes=NOTES,
    )
    engine = process_database().engine()
    for pair in pairs:
        for read in pair:
            with recorded(engine) as statements:
                read.run()
            [_begin, statement, _commit] = statements
            alone = _alone(database, statement, runs)
            with engine.connect() as connection:
                walked = ", ".join(sorted(indexes(plan(connection, statement))))
            section.rows.append(
                [
                    read.name,
                    number(taken[read.name]),
                    "-" if read is pair[0] else ratio(taken[read.name], taken[pair[0].name]),
                    number(alone),
                    number(taken[read.name] - alone),
                    walked,
                ]
            )
    process_database().dispose()
    return section


def _alone(database: URL, statement: str, runs: int) -> float:
    connection = psycopg2.connect(database.set(drivername="postgresql").render_as_string(hide_password=False))

    def run() -> None:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()

    for _ in range(WARM_UP_CALLS):
        run()
    taken = [_milliseconds(run) for _ in range(runs * CALLS_PER_RUN)]
    connection.close()
    return median(taken)
