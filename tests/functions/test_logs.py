"""No text of a person, no argument of a tool and no secret is logged at INFO or above, on any way through a function.

Every such text carries a mark here. All that a process writes is searched for the mark: the functions' own lines, the
lines of libraries, and standard output and error, which CloudWatch keeps, too.
"""

import base64
import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg2
import pytest

from functions.chat import app as chat_app
from functions.conversations import app as conversations_app
from functions.mcp import app as mcp_app
from functions.migrate import app as migrate_app
from functions.migrate.errors import MigrationFailedError
from functions.tasks import app as tasks_app
from functions.worker import app as worker_app
from local.lambda_events import Answer, LambdaContext, http_event, invoke
from taskchat.database import database
from taskchat.logs import logger
from taskchat.monitoring import note_defect
from taskchat.process import provider
from taskchat.settings import settings
from tests.functions.mcp.conftest import HOST, MODERN
from tests.support.scripted_model import RawAnswer, ScriptedModel, calls, raw, says, status

MARK = "Zq7marked"
KEY = f"sk-{MARK}-of-the-provider"
WORDS = f"Please buy {MARK} milk"
TASK = {"title": f"{MARK} milk", "description": f"{MARK} from the corner shop", "priority": "high"}
CLAIMS = {"email": f"{MARK}@example.com", "name": MARK}


@pytest.fixture(autouse=True)
def written(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Return all that was logged or written so far, and check at the end that the mark is not in it."""
    lines = io.StringIO()
    every = _Everything(lines)
    root = logging.getLogger()
    usual = root.level
    root.addHandler(every)
    root.setLevel(logging.INFO)
    for function_logger in (logger, migrate_app.logger):
        monkeypatch.setattr(function_logger.registered_handler, "stream", lines)

    def text() -> str:
        captured = capfd.readouterr()
        lines.write(captured.out + captured.err)
        return lines.getvalue()

    yield text
    root.removeHandler(every)
    root.setLevel(usual)
    found = [line for line in text().splitlines() if MARK.lower() in line.lower()]
    assert found == []


class _Everything(logging.StreamHandler[io.StringIO]):
    """Writes every attribute of a record, and its exception."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)}"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, scripted_model: ScriptedModel) -> Iterator[None]:
    """Configure the functions, apart from their database."""
    monkeypatch.setenv("OPENAI_BASE_URL", scripted_model.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MCP_HOSTS", HOST)
    yield
    database().dispose()
    provider.close()
    for kept in (database, settings):
        kept.cache_clear()


@pytest.fixture
def functions(environment: None, monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:  # noqa: ARG001
    """Configure the functions with a database of their own."""
    monkeypatch.setenv("DATABASE_URL", database_url)


def ask(handler: Any, method: str, path: str, remaining_ms: int = 29_000, **event: Any) -> Answer:
    request = http_event(method, path, **event)
    # API Gateway names the route of the template, with the names of its parameters.
    request["routeKey"] = "$default"
    if "authorizer" in request["requestContext"]:
        request["requestContext"]["authorizer"]["jwt"]["claims"] |= CLAIMS
    request["headers"]["authorization"] = f"Bearer {MARK}"
    return invoke(handler, request, remaining_ms=lambda: remaining_ms)


def chat(message: str = WORDS, **more: Any) -> Answer:
    return ask(chat_app.handler, "POST", "/chat", body={"message": message, **more})


def mcp(method: str, params: Mapping[str, Any], name: str = "") -> Answer:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": f"{MARK} editor", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": f"{MARK}-1", "method": method, "params": {**params, "_meta": meta}}
    headers = {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": name}
    return mcp_post(body, {name: value for name, value in headers.items() if value})


def mcp_post(body: object, headers: Mapping[str, str]) -> Answer:
    accepted = {"accept": "application/json, text/event-stream", "host": HOST, **headers}
    return ask(mcp_app.handler, "POST", "/mcp", body=body, headers=accepted)


def work(body: str) -> Any:
    record = {"messageId": "1", "receiptHandle": "1", "body": body, "eventSource": "aws:sqs", "attributes": {}}
    return worker_app.handler({"Records": [record]}, LambdaContext(lambda: 900_000))


@pytest.mark.usefixtures("functions")
def test_every_route_and_tool_is_silent_on_its_data(scripted_model: ScriptedModel, written: Callable[[], str]) -> None:
    scripted_model.script(
        calls(
            ("create_task", TASK),
            ("create_task", {**TASK, "colour": MARK}),
            ("create_task", f'{{"title": "{MARK}'),
            (f"send_{MARK}", {"to": MARK}),
            content=f"{MARK}, let me see.",
        ),
        calls(
            ("update_task", {"task_id": 1, "title": f"{MARK} oat milk", "due_at": MARK}),
            ("update_task", {"task_id": 1, "title": f"{MARK} oat milk"}),
            ("list_tasks", {"text": MARK}),
            ("get_task", {"task_id": 1}),
            ("complete_task", {"task_id": 1}),
            ("reopen_task", {"task_id": 1}),
            ("delete_task", {"task_id": MARK}),
        ),
        says(f"Done with {MARK}."),
    )
    answer = chat()
    assert (answer.status, len(answer.body["tool_calls"])) == (200, 11)
    turn, conversation = (f"/turns/{answer.body['turn_id']}", f"/conversations/{answer.body['conversation_id']}")
    assert ask(chat_app.handler, "POST", f"{turn}/undo").status == 200
    for method, path, body in (
        ("GET", "/conversations", None),
        ("PUT", f"/messages/{answer.body['message_id']}/feedback", {"rating": "up", "comment": f"{MARK}, well done"}),
        ("PATCH", conversation, {"title": f"{MARK} groceries"}),
        ("GET", conversation, None),
        ("GET", f"{conversation}/messages", None),
        ("DELETE", conversation, None),
        ("DELETE", "/conversations", None),
    ):
        assert ask(conversations_app.handler, method, path, body=body).status in (200, 204)
    assert ask(chat_app.handler, "GET", turn).status == 200
    assert ask(chat_app.handler, "DELETE", turn).status == 409

    task = f"/tasks/{ask(tasks_app.handler, 'POST', '/tasks', body=TASK).body['id']}"
    for method, path, body, query in (
        ("GET", "/tasks", None, {"text": MARK}),
        ("GET", task, None, None),
        ("PATCH", task, {"title": f"{MARK} oat milk"}, None),
        ("DELETE", task, None, None),
    ):
        assert ask(tasks_app.handler, method, path, body=body, query=query).status in (200, 204)
    assert work(json.dumps({"turn_id": answer.body["turn_id"]})) == {"batchItemFailures": []}

    created = mcp("tools/call", {"name": "create_task", "arguments": TASK}, "create_task")
    task_id = created.body["result"]["structuredContent"]["id"]
    for method, params, name in (
        ("tools/list", {}, ""),
        ("tools/call", {"name": "update_task", "arguments": {"task_id": task_id, "title": MARK}}, "update_task"),
        ("tools/call", {"name": "list_tasks", "arguments": {"text": MARK}}, "list_tasks"),
        ("resources/read", {"uri": f"task://{task_id}"}, f"task://{task_id}"),
        ("resources/read", {"uri": "tasks://all"}, "tasks://all"),
        ("prompts/get", {"name": "plan_my_day", "arguments": {}}, "plan_my_day"),
    ):
        assert "result" in mcp(method, params, name).body, method
    assert written().count('"message":"answered"') >= 15


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_refused_request_is_not_quoted() -> None:
    bodies = [MARK, f'{{"message": "{MARK}', {"message": {MARK: MARK}}, {MARK: MARK}, [MARK], {"message": MARK * 2_000}]
    bodies += [{"message": "Hi", "timezone": MARK}, {"message": "Hi", "conversation_id": MARK}, MARK * 20_000]
    for body in bodies:
        assert ask(chat_app.handler, "POST", "/chat", body=body).status in (413, 422)
    assert ask(chat_app.handler, "POST", "/chat", body=WORDS, headers={"content-type": f"text/{MARK}"}).status == 422
    assert ask(chat_app.handler, "POST", "/chat", body={}, headers={"Idempotency-Key": f"{MARK} x"}).status == 422
    assert ask(chat_app.handler, "POST", "/chat", body={}, headers={"Prefer": f"wait={MARK}"}).status == 422
    assert ask(chat_app.handler, "POST", "/chat", body={"message": WORDS}, user=None).status == 401
    assert ask(chat_app.handler, "GET", f"/turns/{MARK}").status == 422
    for query in ({"cursor": MARK}, {"limit": MARK}, {MARK: MARK}):
        assert ask(conversations_app.handler, "GET", "/conversations", query=query).status == 422
    assert ask(conversations_app.handler, "GET", f"/conversations/{MARK}").status == 422
    assert ask(conversations_app.handler, "PATCH", "/conversations/1", body={"title": [MARK]}).status == 422
    assert ask(conversations_app.handler, "GET", f"/{MARK}").status == 404
    for body in (MARK, {MARK: MARK}, {"title": [MARK]}, {"title": "Milk", "due_at": MARK}):
        assert ask(tasks_app.handler, "POST", "/tasks", body=body).status == 422
    for query in ({"text": MARK * 100}, {"status": MARK}, {"due_before": MARK}, {"cursor": MARK}):
        assert ask(tasks_app.handler, "GET", "/tasks", query=query).status == 422
    assert work(f'{{"turn_id": "{MARK}"}}')["batchItemFailures"]
    assert work(MARK)["batchItemFailures"]


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_refused_mcp_message_is_not_quoted() -> None:
    for method, params in (
        ("tools/call", {"name": MARK, "arguments": {}}),
        ("tools/call", {"name": "create_task", "arguments": MARK}),
        ("tools/call", {MARK: MARK}),
        ("resources/read", {"uri": f"task://{MARK}"}),
        ("prompts/get", {"name": MARK}),
        ("prompts/get", {"name": "plan_my_day", "arguments": {"timezone": MARK}}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": MARK}, "argument": {"name": MARK, "value": ""}}),
        (f"{MARK}/{MARK}", {}),
        ("tools/list", {"cursor": MARK}),
    ):
        assert "error" in mcp(method, params, str(params.get("name", params.get("uri", "")))).body, (method, params)
    for title in ({MARK: MARK}, MARK * 100):
        refused = mcp("tools/call", {"name": "create_task", "arguments": {"title": title}}, "create_task")
        assert refused.body["result"]["isError"]
    for body in (MARK, f'{{"{MARK}', [MARK], {"jsonrpc": "2.0", "id": {MARK: 1}, "method": MARK}, {MARK: MARK}):
        assert mcp_post(body, {}).status == 400
    tag = base64.urlsafe_b64encode(MARK.encode()).decode()
    assert mcp_post({"jsonrpc": "2.0", "id": 1, "method": MARK}, {"mcp-session-id": tag}).body["error"]
    assert mcp_post({"jsonrpc": "2.0", "id": 1, "method": MARK}, {"mcp-protocol-version": MARK}).status == 400
    for headers in ({"host": f"{MARK}.example"}, {"origin": f"https://{MARK}.example"}):
        assert mcp_post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers).status in (403, 421)


QUOTED = f"Invalid request: {WORDS!r} with key {KEY} and tool arguments {json.dumps(TASK)}"
MILK = calls(("create_task", TASK))


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("api", ["responses", "chat-completions"])
@pytest.mark.parametrize(
    "fault",
    [
        status(400, body={"error": {"message": QUOTED, "param": WORDS, "code": KEY}}),
        status(401, body={"error": {"message": f"Incorrect API key provided: {KEY}"}}),
        status(422, body={"detail": [{"loc": ["body", WORDS], "msg": QUOTED, "input": WORDS}]}),
        status(500, body=QUOTED),
        raw(QUOTED.encode(), 403, "text/plain"),
        raw(f"<html>{QUOTED}</html>".encode()),
        raw(json.dumps({"error": {"message": QUOTED}, "choices": [], "output": []}).encode()),
        raw(json.dumps({"choices": [{"message": {"content": {MARK: MARK}}}], "output": {MARK: MARK}}).encode()),
        status(429, body={"error": {"message": QUOTED}}, headers={"Retry-After": MARK}),
        status(307, headers={"Location": f"/{MARK}"}),
    ],
    ids=lambda fault: f"{fault.status} {fault.body[:20]!r}",
)
def test_a_provider_that_quotes_the_prompt_is_not_quoted(
    scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, api: str, fault: RawAnswer
) -> None:
    monkeypatch.setenv("OPENAI_API", api)
    scripted_model.script(MILK, *[fault] * 12)
    assert chat().status >= 429


def test_a_database_that_is_away_is_not_quoted(
    environment: None,  # noqa: ARG001 - it sets the environment
    monkeypatch: pytest.MonkeyPatch,
    closed_port: int,
    written: Callable[[], str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{MARK}:{MARK}@127.0.0.1:{closed_port}/tasks")
    ask(chat_app.handler, "POST", "/chat", body={"message": WORDS}, remaining_ms=1_500)
    ask(conversations_app.handler, "GET", "/conversations", remaining_ms=1_500)
    with pytest.raises(MigrationFailedError, match="OperationalError"):
        migrate_app.handler({}, None)
    for url in (f"postgresql://u:{MARK}@x@{MARK}/d", f"{MARK}", f"mysql://u:{MARK}@127.0.0.1/d"):
        settings.cache_clear()
        database.cache_clear()
        monkeypatch.setenv("DATABASE_URL", url)
        assert ask(conversations_app.handler, "GET", "/conversations").status == 500
        with pytest.raises(MigrationFailedError):
            migrate_app.handler({}, None)
    assert "database failure" in written()


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_row_that_the_database_refuses_is_not_quoted(scripted_model: ScriptedModel, owner: Any) -> None:
    for table, column in (("tasks", "title"), ("messages", "content"), ("conversations", "title")):
        owner(f"ALTER TABLE {table} ADD CONSTRAINT no_mark_{table} CHECK ({column} NOT LIKE '%{MARK}%') NOT VALID")
    assert chat().status == 500
    scripted_model.script(MILK, says("It failed."))
    assert chat("Add milk").body["tool_calls"][0]["error"]["code"] == "failed"
    scripted_model.script(says(f"{MARK}, done."))
    assert chat("Add milk").status == 500
    assert mcp("tools/call", {"name": "create_task", "arguments": TASK}, "create_task").body["result"]["isError"]


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_a_migration_that_fails_quotes_no_row(owner: Any, written: Callable[[], str]) -> None:
    before_search_text = "a81c5d7e2f46"
    migrate_app.handler({"action": "downgrade", "revision": before_search_text, "confirm": True}, None)
    owner(f"INSERT INTO users (id, subject) VALUES ('{uuid.UUID(int=1)}', '{MARK}')")
    owner(f"INSERT INTO tasks (user_id, title) SELECT id, '{MARK}' FROM users")
    owner("ALTER TABLE tasks ADD CONSTRAINT short CHECK (length(title) < 3) NOT VALID")
    with pytest.raises(MigrationFailedError, match="violates check constraint"):
        migrate_app.handler({}, None)
    assert "the migration failed" in written()


def test_a_defect_shows_where_it_is_and_not_its_text(written: Callable[[], str]) -> None:
    try:
        try:
            int(MARK)
        except ValueError as cause:
            raise KeyError(MARK) from cause
    except KeyError as error:
        note_defect(error)
    assert "KeyError" in written()
    assert "ValueError" in written()
    assert "test_logs.py" in written()


@pytest.fixture
def owner(database_url: str) -> Callable[[str], None]:
    """Return a function that runs a statement as the owner of the tables."""

    def run(statement: str) -> None:
        with psycopg2.connect(database_url) as connection:
            connection.cursor().execute(statement)
        connection.close()

    return run
