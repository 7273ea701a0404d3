"""The output of `sam build`, built once, and its functions in Lambda's emulator.

All of it is one xdist group, so that one worker builds and the others go on with their tests.
"""

import platform
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator, built_function, start
from local.model.server import offline_model
from tests.support.built import PYTHON_VERSION, built_once

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("ChatFunction", "ConversationsFunction", "McpFunction", "MigrateFunction")

StartFunction = Callable[..., Emulator]


def parts(build: Path, name: str) -> list[Path]:
    """Return the folders of a function or layer of this name; both stacks have the layers."""
    return sorted(build.glob(f"*/{name}"))


@dataclass(frozen=True)
class Migration:
    """A migrated SQLite file, and what the migrate function answered."""

    path: Path
    answer: Mapping[str, Any]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of this folder on one worker, and off machines that cannot run what Lambda runs."""
    elsewhere = (sys.platform, platform.machine()) != ("linux", "x86_64")
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("lambda_runtime"))
            if elsewhere:
                item.add_marker(pytest.mark.skip("the functions are built for Linux on x86_64"))


@pytest.fixture(scope="session")
def python_version() -> str:
    """Return the version that these tests build for: this interpreter's own, so that no other need be here."""
    return PYTHON_VERSION


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of both stacks' builds."""
    return built_once(tmp_path_factory)


@pytest.fixture(scope="session")
def migration(build: Path, python_version: str, tmp_path_factory: pytest.TempPathFactory) -> Migration:
    """Migrate an SQLite file through the built function, once."""
    path = tmp_path_factory.mktemp("migrated") / "taskchat.sqlite3"
    function = built_function("MigrateFunction", build)
    with start(function, {"DATABASE_URL": f"sqlite:///{path}"}, python_version) as emulator:
        return Migration(path, emulator.invoke({}))


@pytest.fixture(scope="session")
def sqlite_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the SQLite file of all functions here."""
    return tmp_path_factory.mktemp("functions") / "taskchat.sqlite3"


@pytest.fixture
def migrated(migration: Migration, sqlite_path: Path) -> None:
    """Empty the tables, under the functions that run already."""
    restore(migration.path, sqlite_path)


def restore(source_path: Path, target_path: Path) -> None:
    """Give a database the content of another, with whatever is connected to it."""
    with closing(sqlite3.connect(source_path)) as source, closing(sqlite3.connect(target_path)) as target:
        source.backup(target)


@pytest.fixture
def start_function(build: Path, python_version: str, sqlite_path: Path) -> Iterator[StartFunction]:
    """Start a built function of the test's own, with more variables where the test gives them."""
    with ExitStack() as stack:

        def start_it(name: str, environment: Mapping[str, str] | None = None) -> Emulator:
            variables = {"DATABASE_URL": f"sqlite:///{sqlite_path}", **(environment or {})}
            return stack.enter_context(start(built_function(name, build), variables, python_version))

        yield start_it


@pytest.fixture(scope="session")
def function(
    build: Path, python_version: str, sqlite_path: Path, offline_provider: Mapping[str, str]
) -> Iterator[StartFunction]:
    """Return a built function by its name, started for all tests, because a start takes longer than most of them."""
    with ExitStack() as stack:

        @cache
        def started(name: str) -> Emulator:
            variables = {"DATABASE_URL": f"sqlite:///{sqlite_path}", **offline_provider}
            return stack.enter_context(start(built_function(name, build), variables, python_version))

        yield started


@pytest.fixture(scope="session")
def offline_provider() -> Iterator[Mapping[str, str]]:
    """Return the variables that point a function to the offline model."""
    with offline_model() as server:
        yield {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": "offline"}
