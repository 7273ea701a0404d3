"""Databases for the tests: SQLite, and a PostgreSQL server of their own or the one in TEST_DATABASE_URL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, make_url

from local.postgres import MEMORY, MEMORY_BYTES, postgres_database, postgres_server
from migrations.transaction import Limits, migration_transaction
from taskchat.database import Database, driver_url
from tests.support.developer_shell import forget_settings

MIGRATIONS = Path(__file__).parents[1] / "migrations"
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(Path(__file__).parents[1] / ".local" / "hypothesis"))
# A machine with other work has no deadline that an example could keep. What was found is kept as an explicit example.
# In CI a change is judged by the same examples as the change before.
hypothesis.settings.register_profile("taskchat", deadline=None, database=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("taskchat")
SQLITE_FILE = "task%chat.sqlite3"
"""The `%` shows whether code keeps it in a URL of SQLite."""


def pytest_configure() -> None:
    """Start from the same environment in every shell; workers inherit it."""
    forget_settings(os.environ)


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[URL]:
    """Return the URL of a server on which this session may create databases."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield make_url(given)
        return
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server_url: URL) -> Iterator[URL]:
    """Return the URL of a migrated database to copy, to which nothing may be connected."""
    with postgres_database(postgres_server_url) as url:
        migrate(url)
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / SQLITE_FILE
    migrate(_sqlite_url(path))
    return path


@pytest.fixture(scope="session")
def sqlite_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder for SQLite files, in memory where there is room: a commit to a disk takes milliseconds."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < MEMORY_BYTES:
        yield tmp_path_factory.mktemp("sqlite")
        return
    with tempfile.TemporaryDirectory(prefix="taskchat-sqlite-", dir=MEMORY) as folder:
        yield Path(folder)


@pytest.fixture
def sqlite_path(sqlite_folder: Path) -> Iterator[Path]:
    """Return the path of an SQLite file for this test alone, which does not exist yet."""
    with tempfile.TemporaryDirectory(dir=sqlite_folder) as folder:
        yield Path(folder) / SQLITE_FILE


@pytest.fixture(params=["sqlite", "postgres"])
def backend(request: pytest.FixtureRequest) -> str:
    """Run the test on each kind of database."""
    return str(request.param)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest) -> str:
    """Return the URL of a migrated database without rows, for this test alone."""
    return str(request.getfixturevalue(f"{backend}_url"))


@pytest.fixture
def sqlite_url(sqlite_template: Path, sqlite_path: Path) -> str:
    """Return the URL of a migrated SQLite database without rows, for this test alone."""
    shutil.copyfile(sqlite_template, sqlite_path)
    return _text(_sqlite_url(sqlite_path))


@pytest.fixture
def empty_database_url(backend: str, request: pytest.FixtureRequest, sqlite_path: Path) -> str:
    """Return the URL of a database without tables, for this test alone."""
    if backend == "postgres":
        return str(request.getfixturevalue("empty_postgres_url"))
    return _text(_sqlite_url(sqlite_path.with_name(f"empty-{SQLITE_FILE}")))


@pytest.fixture
def postgres_url(postgres_server_url: URL, postgres_template: URL) -> Iterator[str]:
    """Return the URL of a migrated PostgreSQL database without rows, for this test alone."""
    with postgres_database(postgres_server_url, postgres_template) as url:
        yield _text(url)


@pytest.fixture
def empty_postgres_url(postgres_server_url: URL) -> Iterator[str]:
    """Return the URL of a PostgreSQL database without tables, for this test alone."""
    with postgres_database(postgres_server_url) as url:
        yield _text(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Return a `Database` on `database_url`."""
    with _disposed(Database(lambda: database_url)) as database:
        yield database


@contextmanager
def _disposed(database: Database) -> Iterator[Database]:
    try:
        yield database
    finally:
        database.dispose()


def _sqlite_url(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def migrate(url: URL) -> None:
    """Upgrade a database to the newest revision."""
    with migration_transaction(driver_url(_text(url)), Limits()) as connection:
        configuration = Config(attributes={"connection": connection})
        configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        command.upgrade(configuration, "head")
