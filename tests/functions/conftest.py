"""The functions as Lambda runs them: handlers over an environment, fresh for each test as for a new process."""

import io
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from functions.chat import app as chat_app
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.logs import logger
from taskchat.process import provider
from taskchat.settings import settings
from tests.support.scripted_model import ScriptedModel

Post = Callable[..., Answer]


@pytest.fixture
def scripted_model() -> Iterator[ScriptedModel]:
    """Return a provider that answers what the test scripts."""
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def chat_handler(
    monkeypatch: pytest.MonkeyPatch, database_url: str, scripted_model: ScriptedModel
) -> Iterator[Callable[[dict[str, Any], Any], dict[str, Any]]]:
    """Return the chat function's handler in a process of its own, as far as its state is concerned."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("OPENAI_BASE_URL", scripted_model.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "key")

    yield chat_app.handler
    database().dispose()
    provider.close()
    for kept in (database, settings):
        kept.cache_clear()


@pytest.fixture
def post_chat(chat_handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> Post:
    """Return a client of POST /chat."""

    def post(body: object, remaining_ms: Callable[[], int] = lambda: 29_000, **event: Any) -> Answer:
        return invoke(chat_handler, http_event("POST", "/chat", body=body, **event), remaining_ms=remaining_ms)

    return post


@pytest.fixture
def closed_port() -> int:
    """Return a port on loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Return a server on loopback that answers nobody; whoever waits for it is there to be accepted."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what the functions log: one JSON document a line."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream
