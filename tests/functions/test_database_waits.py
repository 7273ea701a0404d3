"""No wait for the database outlasts the time of a request: each function answers 503 and says when to repeat."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import make_url

from functions.conversations.app import handler as conversations_handler
from functions.mcp.app import handler as mcp_handler
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.settings import settings
from tests.support.relay import Relay, relay
from tests.support.scripted_model import ScriptedModel, says

LONG_SECONDS, SHORT_SECONDS = 29.0, 2.0
Send = Callable[[float], Answer]
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_tasks"}}
EVENTS = {
    "chat": lambda: http_event("POST", "/chat", body={"message": "Hello"}),
    "conversations": lambda: http_event("GET", "/conversations"),
    "mcp": lambda: http_event(
        "POST", "/mcp", body=CALL, headers={"accept": "application/json", "host": "127.0.0.1:3000"}
    ),
}


@pytest.fixture
def backend() -> str:
    """Use PostgreSQL, which is reached over a network."""
    return "postgres"


@pytest.fixture(params=EVENTS)
def send(request: pytest.FixtureRequest, chat_handler: Handler, scripted_model: ScriptedModel) -> Send:
    """Return a function that sends a request to one of the functions, in an invocation of so many seconds."""
    scripted_model.script(says("Hello."), says("Hello."))
    handlers = {"chat": chat_handler, "conversations": conversations_handler, "mcp": mcp_handler}

    def send(seconds: float) -> Answer:
        end = time.monotonic() + seconds
        remaining_ms = lambda: int((end - time.monotonic()) * 1000)  # noqa: E731
        return invoke(handlers[request.param], EVENTS[request.param](), remaining_ms=remaining_ms)

    return send


@pytest.fixture
def wire(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """Return a relay between the functions and PostgreSQL."""
    url = make_url(database_url)
    with relay(url.port or 5432) as wire:
        relayed = url.set(host="127.0.0.1", port=wire.port)
        monkeypatch.setenv("DATABASE_URL", relayed.render_as_string(hide_password=False))
        yield wire


def assert_unavailable_in_time(send: Send) -> None:
    begin = time.monotonic()
    answer = send(SHORT_SECONDS)
    assert time.monotonic() - begin < SHORT_SECONDS
    if "error" in answer.body:
        problem, seconds = answer.body["error"]["data"], answer.body["error"]["data"]["retryAfterSeconds"]
    else:
        problem, seconds = answer.body, int(answer.headers["retry-after"])
        assert answer.status == 503
    assert (problem["code"], problem["retryable"]) == ("database-unavailable", True)
    assert seconds >= 1


def test_a_connection_that_is_never_made_is_given_up(
    send: Send, monkeypatch: pytest.MonkeyPatch, silent_server: socket.socket
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u@127.0.0.1:{silent_server.getsockname()[1]}/d")
    assert_unavailable_in_time(send)


def test_a_query_that_is_never_answered_is_given_up(send: Send, wire: Relay) -> None:
    assert send(LONG_SECONDS).status == 200
    wire.stall()
    assert_unavailable_in_time(send)


def test_a_database_that_comes_back_in_time_is_waited_for(send: Send, wire: Relay) -> None:
    assert send(LONG_SECONDS).status == 200
    wire.close_for(0.5)
    answer = send(LONG_SECONDS)
    assert (answer.status, "error" in answer.body) == (200, False)


def test_a_database_without_tables_is_unusable(
    send: Send, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_postgres_url)
    answer = send(LONG_SECONDS)
    problem = answer.body["error"]["data"] if "error" in answer.body else answer.body
    assert (problem["code"], problem["retryable"]) == ("database-unusable", False)
    assert "migrated" in str(answer.body)


@pytest.fixture(autouse=True)
def fresh_process(chat_handler: Handler) -> Iterator[None]:  # noqa: ARG001 - its teardown comes after this one
    """Forget the database and the settings after each test."""
    yield
    database().dispose()
    for kept in (database, settings):
        kept.cache_clear()
