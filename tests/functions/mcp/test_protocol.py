"""The protocol around the tools: versions, names of clients, limits, who may come from where."""

import io
import json
import logging
import socket
from dataclasses import replace

import pytest

from functions.mcp import app as mcp_app
from local.lambda_events import LambdaContext, http_event, invoke
from taskchat.http.app import LARGEST_BODY_BYTES
from tests.functions.mcp.conftest import HOST, MODERN, NEWEST_HANDSHAKE, OLDEST_HANDSHAKE, Peer

METADATA = "/.well-known/oauth-protected-resource"


@pytest.fixture
def backend() -> str:
    """Use SQLite: what is tested here does not depend on the database."""
    return "sqlite"


def titles(peer: Peer) -> list[str]:
    """Return the titles of the person's conversations, as their transcripts show them."""
    ids = peer.result(
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "conversation://{id}"}, "argument": {"name": "id", "value": ""}},
    )["completion"]["values"]
    texts = [
        peer.result("resources/read", {"uri": f"conversation://{number}"})["contents"][0]["text"] for number in ids
    ]
    return [text.splitlines()[0] for text in texts]


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        (NEWEST_HANDSHAKE, NEWEST_HANDSHAKE),
        (OLDEST_HANDSHAKE, OLDEST_HANDSHAKE),
        ("2025-03-26", NEWEST_HANDSHAKE),
        ("1999-01-01", NEWEST_HANDSHAKE),
    ],
)
def test_a_handshake_agrees_on_a_version_without_batches(modern: Peer, asked: str, offered: str) -> None:
    result = modern.initialize(asked).body["result"]

    assert result["protocolVersion"] == offered
    assert result["serverInfo"]["name"] == "taskchat"
    assert set(result["capabilities"]) == {"completions", "prompts", "resources", "tools"}


def test_the_newest_version_needs_no_handshake(modern: Peer) -> None:
    result = modern.result("server/discover")

    assert result["supportedVersions"] == [MODERN]
    assert "offset" in result["instructions"]


@pytest.mark.parametrize("version", ["2031-01-01", "nonsense"])
def test_an_unknown_version_is_refused_with_the_known_ones(modern: Peer, version: str) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    answer = modern.post(message, {"mcp-protocol-version": version, "mcp-method": "tools/list"})

    assert (answer.status, answer.body["error"]["data"]) == (400, {"supported": [MODERN], "requested": version})


def test_calls_of_a_new_client_are_under_its_name(modern: Peer) -> None:
    modern.created("Buy milk")

    assert titles(modern) == ['# Conversation "Test client"']


def test_calls_of_a_client_with_a_handshake_are_under_its_name(modern: Peer) -> None:
    tag = modern.initialize(NEWEST_HANDSHAKE, "Zürich  Editor\n").headers["mcp-session-id"]
    old = replace(modern, version=NEWEST_HANDSHAKE, headers={"mcp-session-id": tag})
    old.created("Buy milk")

    assert titles(old) == ['# Conversation "Zürich Editor"']


@pytest.mark.parametrize("tag", ["", "!!!", "AAAA", "//79"])
def test_an_unreadable_session_id_does_no_harm(modern: Peer, tag: str) -> None:
    old = replace(modern, version=NEWEST_HANDSHAKE, headers={"mcp-session-id": tag})
    old.created("Buy milk")

    assert len(titles(old)) == 1


@pytest.mark.parametrize("version", [MODERN, NEWEST_HANDSHAKE, OLDEST_HANDSHAKE])
def test_a_batch_is_refused_with_the_reason(modern: Peer, version: str) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    answer = modern.post([message, message], {"mcp-protocol-version": version})

    assert (answer.status, answer.body["error"]["code"]) == (400, -32600)
    assert "Batches" in answer.body["error"]["message"]


def test_a_body_that_is_too_large_is_refused(modern: Peer) -> None:
    answer = modern.post(" " * (LARGEST_BODY_BYTES + 1))

    assert (answer.status, answer.body["code"]) == (413, "too-large")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("{", -32700),
        ("", -32700),
        ("\ud800", -32700),
        ('{"jsonrpc": "2.0", "id": "\ud800", "method": "ping"}', -32700),
        ('{"a": ' + "[" * 50_000, -32700),
        ("7", -32600),
        ('"text"', -32600),
        ("null", -32600),
        ("{}", -32600),
        ('{"jsonrpc": "2.0"}', -32600),
        ('{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        ('{"id": 1, "method": "ping"}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
        ('{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32600),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_invalid_message_is_a_protocol_error(peer: Peer, body: str, code: int) -> None:
    answer = peer.post(body, {"mcp-protocol-version": peer.version})

    assert (answer.status, answer.body["error"]["code"]) == (400, code)


@pytest.mark.parametrize("version", [None, MODERN, NEWEST_HANDSHAKE, OLDEST_HANDSHAKE])
@pytest.mark.parametrize("id_", ["null", "1.5", "1.0", "1e2", "true", "false", "[]", "[1]", "{}"])
def test_a_request_with_an_invalid_id_is_refused(modern: Peer, version: str | None, id_: str) -> None:
    headers = {"mcp-protocol-version": version} if version else {}
    call = '"method": "tools/call", "params": {"name": "create_task", "arguments": {"title": "x"}}'
    answer = modern.post(f'{{"jsonrpc": "2.0", "id": {id_}, {call}}}', headers)

    assert (answer.status, answer.body["error"]["code"], answer.body["id"]) == (400, -32600, None)
    assert modern.call("list_tasks")["structuredContent"]["tasks"] == []


@pytest.mark.parametrize("id_", [0, -1, 2**70, "", "é", "7"])
def test_a_valid_id_comes_back(peer: Peer, id_: object) -> None:
    handshake = {"protocolVersion": NEWEST_HANDSHAKE, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    answer = peer.post({"jsonrpc": "2.0", "id": id_, "method": "initialize", "params": handshake})

    assert (answer.status, answer.body["id"]) == (200, id_)


@pytest.mark.parametrize("method", ["tasks/paint", "subscriptions/listen", "resources/subscribe", "logging/setLevel"])
def test_an_unsupported_method_is_a_protocol_error(peer: Peer, method: str) -> None:
    parameters = {"uri": "tasks://all", "level": "info", "notifications": {"toolsListChanged": True}}

    assert peer.error(method, parameters)["code"] == -32601


def test_a_notification_is_acknowledged_without_a_body(peer: Peer) -> None:
    answer = peer.post(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}},
        {"mcp-protocol-version": peer.version},
    )

    assert (answer.status, answer.body) == (202, None)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_streams_and_sessions_are_answered_405(method: str) -> None:
    answer = invoke(mcp_app.handler, http_event(method, "/mcp", headers={"accept": "text/event-stream"}))

    assert (answer.status, answer.headers["allow"]) == (405, "POST")


def ping_status(api_id: str = "", **headers: str) -> int:
    """Return the status of a ping."""
    accepted = {"host": HOST, "accept": "application/json", **headers}
    event = http_event("POST", "/mcp", body={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=accepted)
    event["requestContext"]["apiId"] = api_id
    return int(mcp_app.handler(event, LambdaContext())["statusCode"])


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("host", "status"),
    [
        (HOST, 200),
        (HOST.upper(), 200),
        (f"{HOST}:443", 200),
        (f"{HOST}.:443", 200),
        (f"{HOST}:3000", 421),
        (f"{HOST},{HOST}", 421),
        (f"x{HOST}", 421),
        (f"{HOST}.rebound.example", 421),
        ("rebound.example", 421),
        ("127.0.0.1", 421),
        ("", 421),
        ("*", 421),
        ("[::1]", 421),
        ("\x1b[31m", 421),
    ],
)
def test_only_a_known_host_is_served(host: str, status: int) -> None:
    assert ping_status(host=host) == status


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(("api_id", "status"), [("abc123", 200), ("another", 421)])
def test_the_apis_own_id_is_filled_into_the_host(monkeypatch: pytest.MonkeyPatch, api_id: str, status: int) -> None:
    monkeypatch.setenv("MCP_HOSTS", "{apiId}.execute-api.example,")

    assert ping_status(api_id, host="abc123.execute-api.example") == status


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 200),
        ("HTTPS://App.example:443", 200),
        ("", 200),
        ("https://app.example:444", 403),
        ("http://app.example", 403),
        ("https://app.example.evil.example", 403),
        ("https://evil.example", 403),
        ("http://evil\x1b[31m", 403),
        ("null", 403),
        ("*", 403),
    ],
)
def test_only_an_allowed_origin_may_call(origin: str, status: int) -> None:
    assert ping_status(origin=origin) == status


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("pattern", "origin", "status"),
    [
        ("*", "https://any.example", 200),
        ("*", "null", 200),
        ("*", "chrome-extension://abc", 200),
        ("https://*", "https://any.example:8443", 200),
        ("https://*", "http://any.example", 403),
        ("http://*", "http://any.example", 200),
        ("http://localhost:*", "http://localhost", 200),
        ("http://localhost:*", "http://localhost:3000", 200),
        ("http://localhost:*", "http://localhost.evil.example:3000", 403),
        ("https://app.example/", "https://app.example", 200),
        ("https://App.Example:443", "https://app.example", 200),
        ("", "https://app.example", 403),
    ],
)
def test_origin_patterns_are_those_of_api_gateway(
    monkeypatch: pytest.MonkeyPatch, pattern: str, origin: str, status: int
) -> None:
    monkeypatch.setenv("MCP_ORIGINS", f"https://first.example,{pattern}")

    assert ping_status(origin=origin) == status


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:3000", "localhost:80"])
def test_a_host_pattern_may_leave_the_port_open(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("MCP_HOSTS", "localhost:*")

    assert ping_status(host=host) == 200


def test_a_refused_host_or_origin_is_a_protocol_error(modern: Peer, caplog: pytest.LogCaptureFixture) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for header, name in [({"host": "evil\x1b[31m"}, "MCP_HOSTS"), ({"origin": "http://evil\x1b[31m"}, "MCP_ORIGINS")]:
        error = modern.post(ping, header).body["error"]
        assert (error["code"], name in error["message"]) == (-32600, True)
    assert "\x1b" not in caplog.text


def test_a_401_says_where_to_sign_in(modern: Peer) -> None:
    answer = replace(modern, user=None).ask("tools/list")

    assert (answer.status, answer.body["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == (
        f'Bearer resource_metadata="https://{HOST}/.well-known/oauth-protected-resource/mcp"'
    )


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", ["", "/mcp"])
def test_the_issuer_is_named_to_everybody(path: str, prefix: str) -> None:
    headers = {"host": "elsewhere.example"}
    event = http_event("GET", f"{METADATA}{path}", user=None, headers=headers, prefix=prefix)
    event["requestContext"]["domainName"] = HOST
    answer = invoke(mcp_app.handler, event)

    assert answer.status == 200
    assert answer.body["resource"] == f"https://{HOST}{prefix}/mcp"
    assert answer.body["authorization_servers"] == ["https://issuer.example"]


@pytest.mark.usefixtures("environment")
def test_without_an_issuer_there_is_nowhere_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_ISSUER")
    answer = invoke(mcp_app.handler, http_event("GET", METADATA, user=None))

    assert (answer.status, answer.body["code"]) == (404, "not-found")


def test_a_call_without_enough_time_left_changes_nothing(modern: Peer) -> None:
    hurried = replace(modern, remaining_ms=lambda: 1_000)
    error = hurried.error("tools/call", {"name": "create_task", "arguments": {"title": "Late"}})

    assert (error["code"], error["data"]["code"]) == (-32603, "database-unavailable")
    assert modern.call("list_tasks")["structuredContent"]["tasks"] == []
    assert titles(modern) == []


def test_a_call_without_time_left_does_not_connect(
    modern: Peer, monkeypatch: pytest.MonkeyPatch, silent_server: socket.socket
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u@127.0.0.1:{silent_server.getsockname()[1]}/d")
    hurried = replace(modern, remaining_ms=lambda: 1_000)
    error = hurried.error("tools/call", {"name": "list_tasks", "arguments": {}})

    assert error["data"]["code"] == "database-unavailable"
    with pytest.raises(BlockingIOError):
        silent_server.accept()


def test_an_unreachable_database_is_named_as_the_cause(
    modern: Peer, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:secret@127.0.0.1:{closed_port}/d")
    hurried = replace(modern, remaining_ms=lambda: 1_500)
    error = hurried.error("tools/call", {"name": "list_tasks", "arguments": {}})

    assert error["data"]["code"] == "database-unavailable"
    assert "secret" not in json.dumps(error)


def test_a_defect_is_logged_and_its_cause_not_shown(
    modern: Peer, log: io.StringIO, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    error = modern.error("tools/call", {"name": "list_tasks", "arguments": {}})

    assert (error["code"], error["data"]) == (-32603, {"code": "internal", "retryable": False})
    assert "DATABASE_URL" not in json.dumps(error)
    assert "set DATABASE_URL" in log.getvalue()
    assert json.loads(capsys.readouterr().out)["code"] == "internal"


def test_the_sdk_does_not_log_every_message(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        peer.created("A secret wish")

    assert [record.name for record in caplog.records if record.name.startswith("mcp")] == []
    assert "secret wish" not in caplog.text
