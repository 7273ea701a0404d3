"""Two people, and one of them forges: ids, cursors, idempotency keys and URIs of the other, on every route and tool.

Row-level security is the second wall. So the same attacks run again with every condition on a user removed from the SQL
that is sent, and a third time without row-level security, which shows that the attacks would find a leak.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, false, or_, select, text
from sqlmodel import SQLModel

from functions.mcp.prompts import PROMPTS
from local.gateway.template import METHODS, Route, read_template
from local.lambda_events import Answer, http_event, invoke
from taskchat import principal
from taskchat.database import database
from taskchat.models import CONVERSATIONS, MESSAGES, TASKS, TURNS, USERS
from taskchat.process import provider
from taskchat.settings import settings
from taskchat.tools import TOOLS
from tests.functions.mcp.conftest import HOST, Peer
from tests.support.owner import as_owner
from tests.support.scripted_model import ReceivedRequest, ScriptedModel, calls, says, status

MARK = "xyzzy"
"""A word in everything that the victim stores."""
MESSAGE = "Add it."
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
ROUTES = [route for route in read_template(TEMPLATE).routes if "/mcp" not in route.path]


def user_id_of(user: str) -> uuid.UUID:
    return principal.from_event(http_event("GET", "/", user=user)).user_id


VICTIM, FORGER = sorted(("ann", "bob"), key=user_id_of)
"""The victim's id is the smaller one, so that it comes first in an order of ids."""


@dataclass(frozen=True)
class Stored:
    """Ids and cursors of the victim, to forge."""

    tasks: Sequence[int]
    conversations: Sequence[int]
    messages: Sequence[int]
    turns: Sequence[str]
    cursors: Sequence[str] = ()

    @property
    def ids(self) -> list[str]:
        numbers = {*self.tasks, *self.conversations, *self.messages}
        return [*map(str, sorted(numbers)), *self.turns]


BODIES: Mapping[str, Callable[[Stored], list[Any]]] = {
    "POST /chat": lambda stored: [
        {"message": MESSAGE},
        *({"message": MESSAGE, "conversation_id": number} for number in stored.conversations),
        *(
            {"message": MESSAGE, "conversation_id": number, "replaces_turn_id": turn}
            for number, turn in product(stored.conversations[:1], stored.turns)
        ),
    ],
    "POST /turns/{id}/undo": lambda _: [None],
    "PATCH /conversations/{id}": lambda _: [{"title": "taken"}],
    "PUT /messages/{id}/feedback": lambda _: [{"rating": "down", "comment": "taken"}],
    "POST /tasks": lambda _: [{"title": "mine"}],
    "PATCH /tasks/{id}": lambda _: [{"title": "taken", "completed": True}],
}
"""Bodies by the key of a route. A route that takes a body and is not here fails the tests."""


class Model:
    """Answers as the victim's or as the forger's model, which calls every tool with every id."""

    def __init__(self, scripted: ScriptedModel) -> None:
        self.scripted = scripted
        self.forged: list[tuple[str, dict[str, Any]]] = []
        scripted.script(*[self.answer] * 2_000)

    def answer(self, request: ReceivedRequest) -> Any:
        if request.messages[-1]["role"] == "tool":
            return says(f"{MARK} done" if not self.forged else "done")
        if not self.forged and "fail" in request.messages[-1]["content"]:
            return status(500)
        return calls(*(self.forged or [("create_task", {"title": f"{MARK} task"})]))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Model]:
    """Set the functions' environment, and return their model."""
    with ScriptedModel() as scripted:
        for name, value in {
            "DATABASE_URL": database_url,
            "OPENAI_BASE_URL": scripted.base_url,
            "OPENAI_API_KEY": "key",
            "MCP_HOSTS": HOST,
            "JWT_ISSUER": "https://issuer.example",
        }.items():
            monkeypatch.setenv(name, value)
        yield Model(scripted)
        database().dispose()
        provider.close()
        for kept in (database, settings):
            kept.cache_clear()


def ask(user: str, route: Route, path: str, **more: Any) -> Answer:
    module, _, name = route.function.handler.rpartition(".")
    return invoke(getattr(import_module(module), name), http_event(route.method, path, user=user, **more))


def route_of(key: str) -> Route:
    return next(route for route in ROUTES if route.key == key)


def store(user: str, mark: str) -> Stored:
    """Let a person chat, rename, and use a client, and return what is stored then."""
    chat = route_of("POST /chat")
    begun = ask(user, chat, "/chat", body={"message": MESSAGE}, headers={"Idempotency-Key": user})
    conversation_id = begun.body["conversation_id"]
    ask(user, chat, "/chat", body={"message": f"{mark} fail", "conversation_id": conversation_id})
    ask(user, chat, "/chat", body={"message": f"{mark} again"})
    path = f"/conversations/{conversation_id}"
    assert ask(user, route_of("PATCH /conversations/{id}"), path, body={"title": f"{mark} talk"}).status == 200
    Peer(user=user, client=user).created(f"{mark} by client")
    pages = [
        ask(user, route_of(key), path, query={"limit": 1})
        for key, path in (
            ("GET /conversations", "/conversations"),
            ("GET /conversations/{id}/messages", f"{path}/messages"),
        )
    ]
    return as_owner(database(), partial(stored_of, user, tuple(page.body["next_cursor"] for page in pages)))


def stored_of(user: str, cursors: tuple[str, ...], connection: Connection) -> Stored:
    conversations = list(
        connection.execute(select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.user_id == user_id_of(user))).scalars()
    )
    return Stored(
        tasks=list(connection.execute(select(TASKS.c.id).where(TASKS.c.user_id == user_id_of(user))).scalars()),
        conversations=conversations,
        messages=list(
            connection.execute(select(MESSAGES.c.id).where(MESSAGES.c.conversation_id.in_(conversations))).scalars()
        ),
        turns=[
            str(turn)
            for turn in connection.execute(select(TURNS.c.id).where(TURNS.c.user_id == user_id_of(user))).scalars()
        ],
        cursors=cursors,
    )


def rows_of(user: str, conversations: Sequence[int], connection: Connection) -> list[str]:
    """Return all rows of a person, and all in the person's conversations, whoever wrote them."""
    own = user_id_of(user)
    tables = SQLModel.metadata.sorted_tables
    of_person = {table.name: table.c.user_id == own for table in tables if "user_id" in table.c}
    in_conversations = {
        "messages": MESSAGES.c.conversation_id.in_(conversations),
        "turns": TURNS.c.conversation_id.in_(conversations),
    }
    statements = [
        select(table)
        .where(or_(of_person.get(table.name, false()), in_conversations.get(table.name, false())))
        .order_by(*table.primary_key.columns)
        for table in tables
        if table is not USERS
    ]
    statements.append(select(USERS).where(USERS.c.id == own))
    return [str(tuple(row)) for statement in statements for row in connection.execute(statement)]


def forged_calls(stored: Stored) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield calls of all tools, with each id and cursor in each argument that may hold one."""
    for name, tool in TOOLS.items():
        properties, required = tool.input_schema["properties"], tool.input_schema.get("required", ())
        texts = {argument: "taken" for argument in required if not argument.endswith("_id")}
        numbers = [argument for argument in properties if argument.endswith("_id")]
        change = {"title": "taken"} if "title" in properties else {}
        for values in product(stored.tasks, repeat=len(numbers)):
            yield name, texts | change | dict(zip(numbers, values, strict=True))
        if "cursor" in properties:
            yield from ((name, {"cursor": cursor}) for cursor in stored.cursors)


def attacks(stored: Stored, own_cursors: Sequence[str]) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield the kind of each attack, a name, and a function that runs it and returns the body of the answer.

    Attacks that only read come first, so that they find everything, and attacks that delete everything come last.
    """
    by_method = {method: [route for route in ROUTES if route.method == method] for method in METHODS}
    for route in by_method["GET"]:
        yield from attacks_on(route, stored, own_cursors)
    for kind, known_id in product(("task", "conversation"), stored.ids):
        yield f"resource {kind}", known_id, ask_mcp("resources/read", {"uri": f"{kind}://{known_id}"})
    for uri in ("tasks://all", "tasks://pending"):
        yield f"resource {uri}", "", ask_mcp("resources/read", {"uri": uri})
    for kind in ("task", "conversation"):
        reference = {"type": "ref/resource", "uri": f"{kind}://{{id}}"}
        argument = {"name": "id", "value": ""}
        yield f"completion {kind}", "", ask_mcp("completion/complete", {"ref": reference, "argument": argument})
    for prompt in PROMPTS:
        yield f"prompt {prompt}", "", ask_mcp("prompts/get", {"name": prompt})
    tool_calls = [
        (name, f"{arguments} as {client}", ask_mcp("tools/call", {"name": name, "arguments": arguments}, client))
        for (name, arguments), client in product(forged_calls(stored), (FORGER, VICTIM))
    ]
    for name, described, call in tool_calls:
        if TOOLS[name].annotations["readOnlyHint"]:
            yield f"tool {name}", described, call
    for route in (*by_method["PATCH"], *by_method["PUT"]):
        yield from attacks_on(route, stored, own_cursors)
    for name, described, call in tool_calls:
        if not TOOLS[name].annotations["readOnlyHint"]:
            yield f"tool {name}", described, call
    for route in (*by_method["POST"], *sorted(by_method["DELETE"], key=lambda route: "{" not in route.path)):
        yield from attacks_on(route, stored, own_cursors)


def attacks_on(
    route: Route, stored: Stored, own_cursors: Sequence[str]
) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    bodies = BODIES[route.key](stored) if route.method in ("POST", "PUT", "PATCH") else [None]
    queries: list[dict[str, Any]] = [{}]
    if route.method == "GET":
        cursors = (*stored.cursors, *own_cursors)
        queries += [{"limit": 100}, {"text": MARK[1:4]}, *({"cursor": cursor} for cursor in cursors)]
    keys = [{"Idempotency-Key": VICTIM}, {}] if bodies != [None] or route.method == "POST" else [{}]
    ids = stored.ids if "{" in route.path else [""]
    for known_id, body, query, key in product(ids, bodies, queries, keys):
        path = re.sub(r"\{\w+\}", known_id, route.path)
        headers = {"Confirm": "delete everything", **key}
        request = partial(ask, FORGER, route, path, body=body, query=query, headers=headers)
        yield route.key, f"{known_id} {body} {query} {key}", lambda request=request: request().body  # type: ignore[misc]


def ask_mcp(method: str, params: dict[str, Any], client: str = FORGER) -> Callable[[], Any]:
    return lambda: Peer(user=FORGER, client=client).ask(method, params).body


def leaks(model: Model, around: Callable[[], AbstractContextManager[object]] = nullcontext) -> dict[str, list[str]]:
    """Run each attack within `around`. Return those that showed or changed something of the victim, by their kind."""
    stored = store(VICTIM, MARK)
    model.forged = [("list_tasks", {})]
    own = store(FORGER, "own")
    model.forged = list(forged_calls(stored))
    look = partial(rows_of, VICTIM, stored.conversations)
    before = as_owner(database(), look)
    assert sum(MARK in row for row in before) >= 8
    ids = {"completion task": stored.tasks, "completion conversation": stored.conversations}
    found: dict[str, list[str]] = {}
    for kind, name, attack in attacks(stored, own.cursors):
        asked = len(model.scripted.requests)
        with around():
            body = attack() or {}
        told = [request.body for request in model.scripted.requests[asked:]]
        after = as_owner(database(), look)
        shown = body.get("result", {}).get("completion", {}).get("values", ())
        if MARK in json.dumps([body, told]) or after != before or {*map(str, ids.get(kind, ()))} & {*shown}:
            found.setdefault(kind, []).append(name)
        before = after
    return found


LEAKING = {
    *(
        f"GET {path}"
        for path in ("/conversations", "/conversations/{id}", "/conversations/{id}/messages", "/turns/{id}")
    ),
    *(f"resource {name}" for name in ("task", "conversation", "tasks://all", "tasks://pending")),
    *("completion task", "completion conversation", "prompt plan_my_day", "prompt weekly_review"),
    *("PATCH /conversations/{id}", "POST /chat", "POST /turns/{id}/undo"),
    *("DELETE /turns/{id}", "DELETE /conversations/{id}"),
    *(f"tool {name}" for name in TOOLS),
}
_CONDITION = re.compile(r"(?:\b(?:\w+\.)?user_id|\busers\.id) (?:=|>=|<=) %\(\w+\)s(?:::UUID)?")
_RANGE = re.compile(
    r"\((?:\w+\.)?user_id(?:, [\w.]+)*\) (?:>=|<=) \(%\(\w+\)s(?:::UUID)?(?:, %\(\w+\)s(?:::[\w ()]+)?)*\)"
)
_LEFT_OVER = re.compile(r"\buser_id\s*(?:=|<|>|IN\b|BETWEEN\b)|\busers\.id\s*(?:=|IN\b)")


@contextmanager
def without_user_conditions() -> Iterator[None]:
    """Remove each comparison with a user's id from each statement that is sent, apart from the one that opens."""

    def remove(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        if statement.startswith("BEGIN"):
            return statement, parameters
        rewritten = _CONDITION.sub("true", _RANGE.sub("true", statement))
        assert not _LEFT_OVER.search(rewritten), rewritten
        return rewritten, parameters

    event.listen(Engine, "before_cursor_execute", remove, retval=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", remove)


def test_no_attack_reaches_anything(model: Model) -> None:
    assert leaks(model) == {}


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_no_attack_reaches_anything_without_conditions(model: Model) -> None:
    assert leaks(model, without_user_conditions) == {}


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
def test_the_attacks_leak_without_both_walls(model: Model) -> None:
    off = "; ".join(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in SQLModel.metadata.tables)
    as_owner(database(), lambda connection: connection.execute(text(off)))

    assert set(leaks(model, without_user_conditions)) >= LEAKING
