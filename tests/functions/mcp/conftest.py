"""The MCP function's handler, and a client of it that speaks JSON-RPC in both generations of the protocol."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from functions.mcp import app as mcp_app
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.settings import settings

MODERN, NEWEST_HANDSHAKE, OLDEST_HANDSHAKE = "2026-07-28", "2025-11-25", "2025-06-18"
HOST = "api.example"


@dataclass
class Peer:
    """Sends messages to the handler as a client of one person does; `headers` are sent with each."""

    version: str = MODERN
    user: str | None = "ann"
    headers: Mapping[str, str] = field(default_factory=dict)
    remaining_ms: Callable[[], int] = lambda: 25_000
    client: str = "Test client"
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def post(self, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a body as it is."""
        accepted = {"accept": "application/json, text/event-stream", "host": HOST, **self.headers, **(headers or {})}
        event = http_event("POST", "/mcp", body=body, headers=accepted, user=self.user)
        event["requestContext"]["domainName"] = HOST
        return invoke(mcp_app.handler, event, remaining_ms=self.remaining_ms)

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        """Send a request in the form of this peer's version."""
        params, headers = dict(params or {}), {"mcp-protocol-version": self.version}
        if self.version == MODERN:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": self.client, "version": "1"},
            }
            headers["mcp-method"] = method
            if name := params.get("name") or params.get("uri"):
                headers["mcp-name"] = str(name)
        return self.post({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}, headers)

    def result(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return its result."""
        answer = self.ask(method, params)
        assert "result" in answer.body, answer
        return answer.body["result"]

    def error(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return its error."""
        answer = self.ask(method, params)
        assert "error" in answer.body, answer
        return answer.body["error"]

    def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool and return what the protocol calls its result, an error of the tool included."""
        return self.result("tools/call", {"name": tool, "arguments": arguments})

    def created(self, title: str) -> int:
        """Create a task and return its id."""
        return int(self.call("create_task", title=title)["structuredContent"]["id"])

    def initialize(self, version: str, name: str = "Old client") -> Answer:
        """Shake hands, as clients before 2026-07-28 do."""
        params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}
        return self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[None]:
    """Give the function a process of its own, as far as its state is concerned."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("MCP_HOSTS", HOST)
    monkeypatch.setenv("USER_TURNS_PER_MINUTE", "1000")
    monkeypatch.setenv("MCP_ORIGINS", "https://app.example")
    monkeypatch.setenv("JWT_ISSUER", "https://issuer.example")
    yield
    database().dispose()
    for kept in (database, settings):
        kept.cache_clear()


@pytest.fixture
def modern(environment: None) -> Peer:  # noqa: ARG001 - it sets the environment
    """Return Ann's client of the newest version."""
    return Peer()


@pytest.fixture(params=[MODERN, NEWEST_HANDSHAKE, OLDEST_HANDSHAKE])
def peer(environment: None, request: pytest.FixtureRequest) -> Peer:  # noqa: ARG001 - it sets the environment
    """Return Ann's client, once for each version that is served."""
    return Peer(version=request.param)
