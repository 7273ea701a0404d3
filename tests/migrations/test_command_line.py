"""The `alembic` command of developers."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.revisions import HEAD

ROOT = Path(__file__).parents[2]

Alembic = Callable[..., str]


@pytest.fixture
def alembic(empty_database_url: str) -> Alembic:
    """Return the command on a database without tables; it returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_URL")}

    def run(*arguments: str, variable: str = "DATABASE_URL") -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "alembic", *arguments],
            cwd=ROOT,
            env=environment | {variable: empty_database_url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_URL_UNPOOLED"])
def test_the_environment_names_the_database(alembic: Alembic, variable: str) -> None:
    alembic("upgrade", "head", variable=variable)

    assert f"{HEAD} (head)" in alembic("current", variable=variable)
    assert "No new upgrade operations detected." in alembic("check", variable=variable)


def test_statements_are_shown_without_running(alembic: Alembic) -> None:
    assert "CREATE TABLE turns" in alembic("upgrade", "head", "--sql")

    assert alembic("current").strip() == ""
