"""Calling tools on a connection whose work is rolled back; a module takes the fixtures up by naming them."""

import json
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, insert

from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, Role, TurnStatus, utc_now
from taskchat.toolkit import Tool, ToolCall, ToolRequest
from taskchat.tools import call
from tests.support.rolled_back import ANN

Use = Callable[..., ToolCall]


@pytest.fixture
def use(connection: Connection) -> Use:
    """Return a function that calls a tool, by default for Ann in Berlin.

    The arguments are given by name, or as the JSON text `written`.
    """

    def use(
        tool: str,
        *,
        written: str | None = None,
        user: uuid.UUID = ANN,
        zone: str = "Europe/Berlin",
        **arguments: Any,
    ) -> ToolCall:
        request = ToolRequest("call_1", tool, json.dumps(arguments) if written is None else written)
        return call(connection, request, user_id=user, time_zone=ZoneInfo(zone), turn_id=uuid.uuid4())

    return use


def record_turn(
    connection: Connection, *recorded: ToolCall, user: uuid.UUID = ANN, status: TurnStatus = TurnStatus.FINISHED
) -> uuid.UUID:
    """Write a turn that made these calls, in a conversation of its own, and return its id."""
    turn_id = uuid.uuid4()
    conversation = insert(CONVERSATIONS).values(user_id=user, title="calls").returning(CONVERSATIONS.c.id)
    conversation_id = connection.execute(conversation).scalar_one()
    connection.execute(
        insert(TURNS).values(
            id=turn_id,
            user_id=user,
            conversation_id=conversation_id,
            idempotency_key=str(turn_id),
            request_hash="",
            status=status,
            attempt=1,
            lease_expires_at=utc_now(),
            model="scripted",
        )
    )
    shared = {"conversation_id": conversation_id, "turn_id": turn_id}
    for role, calls in ((Role.USER, None), (Role.ASSISTANT, list(recorded))):
        connection.execute(insert(MESSAGES).values(**shared, role=role, content="", tool_calls=calls))
    return turn_id


def result(recorded: ToolCall) -> dict[str, Any]:
    """Return the result of a call that succeeded."""
    assert "error" not in recorded, recorded["error"]
    return recorded["result"]


def sample_arguments(tool: Tool, task_id: int) -> dict[str, Any]:
    """Return arguments that any tool accepts, made from its schema: a text that is also a date, and the task's id.

    A cursor is left out, because only a list can give one.
    """
    samples: dict[str, Any] = {}
    for name, schema in tool.input_schema["properties"].items():
        if "enum" in schema:
            samples[name] = schema["enum"][-1]
        elif schema["type"] == "integer":
            samples[name] = min(task_id, schema.get("maximum", task_id))
        elif schema["type"] == "string" and name != "cursor":
            samples[name] = "2026-03-31"
    return samples
