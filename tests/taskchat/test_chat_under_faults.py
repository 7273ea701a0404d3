"""Turns of two people while the pooler and the server restart, sessions are killed, the database is read-only, and the
network holds answers back and drops them.

Each turn is asked for once, so a client would not have noticed anything but a delay.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import URL, Connection, select
from sqlmodel import col

from local.pgbouncer import Pooler, pooler, program
from local.postgres import Server, execute, postgres_database, restartable_server
from taskchat.chat import Chat, ChatReply
from taskchat.database import Database
from taskchat.models import CONVERSATIONS, MESSAGES, TASKS, TURNS, Message, Task, Turn, TurnStatus
from taskchat.principal import Principal
from tests.conftest import migrate
from tests.support.owner import as_owner
from tests.support.progress import Progress
from tests.support.relay import Relay, relay
from tests.support.scripted_model import Answer, ReceivedRequest, ScriptedModel, calls, says
from tests.taskchat.conftest import ANN, request_of

pytestmark = pytest.mark.skipif(program() is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)")

WORKERS = 4
POOL_SIZE = 2
PEOPLE = [ANN, Principal(uuid.UUID(int=2), "https://issuer.example bob")]
FAULTS = 3
READ_ONLY_SECONDS = 0.3


@dataclass(frozen=True)
class Installation:
    """A migrated database on a server of its own, behind a pooler, and a relay before that."""

    server: Server
    pooler: Pooler
    wire: Relay
    database: URL

    def url(self) -> str:
        """Return the URL that the functions have."""
        return self.database.set(port=self.wire.port).render_as_string(hide_password=False)

    def administer(self, statement: str) -> None:
        """Run a statement as a superuser in another database, past the pooler."""
        execute(self.server.superuser, statement.replace("DATABASE_NAME", str(self.database.database)))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server that may be restarted."""
    with restartable_server() as server:
        yield server


@pytest.fixture
def installation(server: Server) -> Iterator[Installation]:
    """Return an installation with an empty database."""
    with (
        postgres_database(server.url) as url,
        pooler(server.url, pool_size=POOL_SIZE) as running,
        relay(running.port) as wire,
    ):
        migrate(url)
        yield Installation(server, running, wire, url)


def restart_the_pooler(installation: Installation) -> None:
    installation.pooler.restart(away_seconds=0.1).join()


def restart_the_server(installation: Installation) -> None:
    installation.server.restart()


def kill_all_sessions(installation: Installation) -> None:
    installation.administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'DATABASE_NAME'")


def make_read_only_for_a_moment(installation: Installation) -> None:
    installation.administer("ALTER SYSTEM SET default_transaction_read_only = on")
    installation.administer("SELECT pg_reload_conf()")
    time.sleep(READ_ONLY_SECONDS)
    installation.administer("ALTER SYSTEM RESET default_transaction_read_only")
    installation.administer("SELECT pg_reload_conf()")


def drop_answers(installation: Installation) -> None:
    installation.wire.stall()
    time.sleep(0.2)
    installation.wire.close_for(0.1)


def add_milk(request: ReceivedRequest) -> Answer:
    has_result = request.messages[-1]["role"] == "tool"
    return says("Added.") if has_result else calls(("create_task", {"title": "Milk"}))


@pytest.mark.parametrize(
    "fault", [restart_the_pooler, restart_the_server, kill_all_sessions, make_read_only_for_a_moment, drop_answers]
)
def test_turns_outlive_the_fault(
    installation: Installation,
    chat_over: Callable[[Database], Chat],
    scripted_model: ScriptedModel,
    fault: Callable[[Installation], None],
) -> None:
    scripted_model.script(*[add_milk] * 10_000)
    is_over = threading.Event()
    replies: list[ChatReply] = []
    failures: list[Exception] = []
    progress = Progress()

    def keep_asking(worker: int) -> None:
        database = Database(installation.url)
        chat = chat_over(database)
        number = 0
        try:
            while not is_over.is_set():
                request = replace(request_of(f"{worker} {number}"), principal=PEOPLE[worker % len(PEOPLE)])
                replies.append(chat.answer(request, lambda: 25.0))
                progress.add()
                number += 1
        except Exception as error:  # noqa: BLE001 - the main thread shows it
            failures.append(error)
        finally:
            database.dispose()

    workers = [threading.Thread(target=keep_asking, args=(worker,)) for worker in range(WORKERS)]
    for thread in workers:
        thread.start()
    try:
        for _ in range(FAULTS):
            progress.wait_for_more(WORKERS)
            fault(installation)
        progress.wait_for_more(WORKERS)
    finally:
        is_over.set()
        for thread in workers:
            thread.join()
        if failures:
            raise failures[0]

    with ExitStack() as stack:
        database = Database(lambda: installation.database.render_as_string(hide_password=False))
        stack.callback(database.dispose)
        as_owner(database, lambda connection: assert_each_turn_happened_once(connection, len(replies)))


def assert_each_turn_happened_once(connection: Connection, turns: int) -> None:
    statuses = Counter(connection.execute(select(col(Turn.status))).scalars())
    titles = Counter(connection.execute(select(col(Task.title))).scalars())
    replies = Counter(connection.execute(select(col(Message.content))).scalars())
    assert statuses == {TurnStatus.FINISHED: turns}
    assert titles == {"Milk": turns}
    assert replies == {"Add milk": turns, "": turns, "Added.": turns}
    by_person = {
        column.table.name: Counter(connection.execute(select(column)).scalars())
        for column in (TASKS.c.user_id, TURNS.c.user_id, CONVERSATIONS.c.user_id)
    }
    assert by_person["tasks"] == by_person["turns"] == by_person["conversations"]
    owners = (
        select(TURNS.c.user_id, CONVERSATIONS.c.user_id)
        .join_from(MESSAGES, TURNS)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
    )
    assert all(turn_owner == owner for turn_owner, owner in connection.execute(owners))
