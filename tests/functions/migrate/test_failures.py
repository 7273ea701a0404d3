"""Migrations that fail, wait, meet another one, or cannot reach their database."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import make_url

from functions.migrate.errors import MigrateError, MigrationFailedError
from local.postgres import PASSWORD, execute
from migrations.transaction import ADVISORY_LOCK
from tests.functions.migrate.conftest import Migrate, on
from tests.support.revisions import CONVERSATIONS, HEAD, PARENTS, REVISIONS

ROOT = Path(__file__).parents[3]
INVOKE = """
import json, sys
from functions.migrate.app import handler
print(json.dumps(handler(json.loads(sys.argv[1]), None)))
"""
BROKEN_REVISION = f'''
"""A revision that fails after two statements."""

import sqlalchemy as sa
from alembic import op

revision = "aaaaaaaaaaaa"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer()))
    op.execute("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'half')")
    op.execute("ALTER TABLE nowhere ADD COLUMN half INTEGER")


def downgrade() -> None:
    op.drop_table("half")
'''

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """Return a copy of the deployed function's folder, which a test may break."""
    root = tmp_path / "artifact %41"
    for part in ("functions/migrate", "migrations"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts an invocation in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def begin(url: str, *, root: Path = ROOT, event: object = None) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", INVOKE, json.dumps({} if event is None else event)],
            cwd="/",
            env={"DATABASE_URL": url, "PYTHONPATH": str(root), "PATH": os.defpath},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return dict(json.loads(output.splitlines()[-1]))


def test_migrations_are_found_beside_the_function(artifact: Path, start: Start, empty_database_url: str) -> None:
    [newest] = (artifact / "migrations" / "versions").glob(f"{HEAD}_*.py")
    newest.unlink()

    history = answer(start(empty_database_url, root=artifact, event={"action": "history"}))["history"]

    assert history[-1]["revision"] == PARENTS[HEAD]


def test_a_failed_migration_leaves_nothing_behind(
    artifact: Path, start: Start, migrate: Migrate, empty_database_url: str
) -> None:
    """The sound revisions of the same invocation are undone, too."""
    migrate({"revision": CONVERSATIONS})
    (artifact / "migrations" / "versions" / "aaaaaaaaaaaa_broken.py").write_text(BROKEN_REVISION)

    failed = start(empty_database_url, root=artifact)
    output, errors = failed.communicate(timeout=60)

    assert failed.returncode == 1
    assert "nowhere" in errors
    assert "the migration failed" in output
    assert migrate({"action": "current"})["to_revision"] == CONVERSATIONS
    assert migrate()["applied"] == REVISIONS[2:]
    assert migrate({"action": "check"})["differences"] == []


def test_the_second_of_two_upgrades_waits_for_the_first(
    start: Start, invoke: Migrate, empty_postgres_url: str, environment: Callable[..., None]
) -> None:
    environment(DATABASE_URL=empty_postgres_url)
    with closing(psycopg2.connect(empty_postgres_url)) as session, session.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
        both = [start(empty_postgres_url), start(empty_postgres_url)]
        waiting, end = 0, time.monotonic() + 60
        while waiting < len(both) and time.monotonic() < end:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            ((waiting,),) = cursor.fetchall()
        assert waiting == len(both)
        session.rollback()

    applied = sorted(answer(process)["applied"] for process in both)

    assert applied == [[], REVISIONS]
    assert invoke({"action": "verify"})["to_revision"] == HEAD


def test_several_upgrades_at_once_are_safe(start: Start, migrate: Migrate, empty_database_url: str) -> None:
    applied = sorted(answer(process)["applied"] for process in [start(empty_database_url) for _ in range(3)])

    assert applied == [[], [], REVISIONS]
    assert migrate({"action": "check"})["differences"] == []


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize("hold", [f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})", "LOCK TABLE messages"])
def test_a_wait_ends_before_the_invocation_does(migrated: Migrate, database_url: str, hold: str) -> None:
    with closing(psycopg2.connect(database_url)) as session:
        session.cursor().execute(hold)
        started = time.monotonic()
        with pytest.raises(MigrationFailedError, match="canceling statement due to lock timeout"):
            migrated({"action": "downgrade", "revision": "base", "confirm": True}, seconds_left=4)
        assert time.monotonic() - started < 4

    assert migrated({"action": "verify"})["to_revision"] == HEAD


@pytest.fixture(
    params=[
        "postgresql://ann:{password}@127.0.0.1:1/nowhere?sslmode=require",
        "postgres://ann:{password}@{server}/nowhere?sslmode=require",
        "postgresql://ann@{server}/nowhere?sslmode=require&password={password}",
        "postgresql://ann:{password}@{server}/nowhere?sslmode=bogus",
        "postgresql://ann:{password}@{server}/nowhere?{password}=1",
        "postgresql://ann:{raw}@{server}/nowhere",
        "postgresql://ann:{password}@{server}:x/nowhere",
        "mysql://ann:{password}@{server}/nowhere",
        "nonsense-{raw}",
    ]
)
def useless_url(request: pytest.FixtureRequest, postgres_server_url: Any) -> str:
    """Return a URL with a password that cannot be connected to."""
    server = f"{postgres_server_url.host}:{postgres_server_url.port}"
    return str(request.param).format(server=server, password="s%25cret%2Fw%40rd", raw="s%cret/w@rd-cret")


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_URL_UNPOOLED"])
def test_a_failure_to_connect_shows_no_password(
    environment: Callable[..., None],
    invoke: Migrate,
    logs: io.StringIO,
    useless_url: str,
    variable: str,
) -> None:
    environment(**{variable: useless_url})

    with pytest.raises(MigrationFailedError) as failure:
        invoke()

    told = str(failure.value) + logs.getvalue()
    assert "the migration failed" in told
    assert not re.search("cret|w@rd|w%40rd", told)
    assert failure.value.__suppress_context__


def test_a_missing_setting_is_named(invoke: Migrate, environment: Callable[..., None]) -> None:
    environment()

    with pytest.raises(MigrationFailedError, match="set DATABASE_URL or DATABASE_URL_SECRET"):
        invoke()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    "event",
    [
        *({"action": action} for action in ("upgrade", "current", "history", "check", "verify", "sql", "drop")),
        {"action": "stamp", "revision": "base"},
        {"action": "stamp", "revision": "unknown"},
        {"action": "downgrade", "revision": "base", "confirm": True},
    ],
)
def test_no_answer_and_no_log_shows_the_url(
    migrated: Migrate, database_url: str, logs: io.StringIO, event: dict[str, Any]
) -> None:
    try:
        told = json.dumps(migrated(event))
    except MigrateError as error:
        told = str(error)
    told += logs.getvalue()

    port = make_url(database_url).port
    assert "the migration" in told
    for secret in (database_url, PASSWORD, "p%25ss", f":{port}"):
        assert secret not in told


def test_a_failure_shows_no_row(
    artifact: Path, start: Start, migrate: Migrate, empty_postgres_url: str, environment: Callable[..., None]
) -> None:
    environment(DATABASE_URL=empty_postgres_url)
    migrate()
    insert = "INSERT INTO users (id, subject, email) VALUES (gen_random_uuid(), '{}', 'ann@secret.example')"
    on(empty_postgres_url, insert.format("ann"), insert.format("bob"))
    broken = BROKEN_REVISION.replace("INSERT INTO users", "CREATE UNIQUE INDEX one ON users (email); INSERT INTO users")
    (artifact / "migrations" / "versions" / "aaaaaaaaaaaa_broken.py").write_text(broken)

    output, errors = start(empty_postgres_url, root=artifact).communicate(timeout=60)

    assert 'could not create unique index \\"one\\" (SQLSTATE 23505)' in output
    assert "secret.example" not in output + errors


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("REVOKE CREATE ON SCHEMA public FROM pg_database_owner", "SQLSTATE 42501.* Grant the role CREATE"),
        ("ALTER DATABASE DATABASE_NAME SET default_transaction_read_only = on", "25006.* refuses changes"),
        ("ALTER DATABASE DATABASE_NAME SET search_path = nowhere", "3F000.* Create one, or set the search_path"),
    ],
)
def test_a_refusal_comes_with_advice(
    environment: Callable[..., None], invoke: Migrate, empty_postgres_url: str, statement: str, hint: str
) -> None:
    environment(DATABASE_URL=empty_postgres_url)
    name = str(make_url(empty_postgres_url).database)
    execute(make_url(empty_postgres_url), statement.replace("DATABASE_NAME", name))

    with pytest.raises(MigrationFailedError, match=f"(?s){hint}"):
        invoke()


@pytest.mark.parametrize("setting", ["client_encoding = LATIN1", "default_transaction_isolation = serializable"])
def test_a_misconfigured_database_can_be_migrated(
    environment: Callable[..., None], invoke: Migrate, empty_postgres_url: str, setting: str
) -> None:
    environment(DATABASE_URL=empty_postgres_url)
    name = make_url(empty_postgres_url).database
    execute(make_url(empty_postgres_url), f"ALTER DATABASE {name} SET {setting}")

    assert invoke()["to_revision"] == HEAD
