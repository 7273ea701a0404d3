"""The chat function over an SQLite database, for the cases of the evals."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL

from taskchat.database import database
from taskchat.process import provider
from taskchat.settings import settings

ChatWith = Callable[[str], AbstractContextManager[None]]
"""Points the chat function to the model server with this base URL for the duration of a block."""


@pytest.fixture(scope="module")
def chat_with(sqlite_template: Path, sqlite_folder: Path) -> ChatWith:
    """Return a function that gives the chat function a database and a model."""
    path = Path(tempfile.mkdtemp(dir=sqlite_folder)) / "taskchat.sqlite3"
    shutil.copyfile(sqlite_template, path)
    variables = {
        "DATABASE_URL": URL.create("sqlite", database=str(path)).render_as_string(),
        "OPENAI_API_KEY": "key",
        "OPENAI_MODEL": "offline",
        "OPENAI_REASONING_EFFORT": "none",
    }

    @contextmanager
    def chat(base_url: str) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**variables, "OPENAI_BASE_URL": base_url}.items():
                patch.setenv(name, value)
            _forget()
            yield
            _forget()

    return chat


def _forget() -> None:
    database().dispose()
    provider.close()
    for kept in (database, settings):
        kept.cache_clear()
