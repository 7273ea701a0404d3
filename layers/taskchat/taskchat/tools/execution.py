"""Running a tool: whatever a model asks for, there is an answer to it and a record that can be stored."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from taskchat.errors import NotFoundError
from taskchat.text import storable
from taskchat.tools.arguments import InvalidArgumentsError, UnreadableArgumentsError, parse, validate
from taskchat.tools.definition import Caller, Tool
from taskchat.tools.registry import TOOLS

_SAVEPOINT = "SAVEPOINT tool"
_ROLLBACK = "ROLLBACK TO SAVEPOINT tool"
_RECEIVED_CHARACTERS = 200
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """What a model asked for; `arguments` is the text as it came, JSON or not."""

    id: str
    tool: str
    arguments: str


class ToolError(TypedDict):
    """Why a tool did nothing. `received` is the beginning of arguments that are no JSON object."""

    code: str
    message: str
    received: NotRequired[str]


class ToolCall(TypedDict):
    """One element of `messages.tool_calls`: what was asked and what came back, either `result` or `error`."""

    id: str
    tool: str
    arguments: dict[str, Any]
    result: NotRequired[dict[str, Any]]
    error: NotRequired[ToolError]
    timestamp: str


def call(connection: Connection, request: ToolRequest, *, user_id: UUID, time_zone: ZoneInfo) -> ToolCall:
    """Run a tool for a person, inside a savepoint, and return the record for the audit trail and the model.

    What the model did wrong is answered by an `error` and has changed nothing. Its codes are `unknown-tool`,
    `invalid-arguments`, `not-found` and `failed` (the database refused it). Times that the model gave without an
    offset, and all times in the result, are in `time_zone`.

    Raises:
        sqlalchemy.exc.DBAPIError: the transaction is lost.
    """
    record: ToolCall = {
        "id": storable(request.id),
        "tool": storable(request.tool),
        "arguments": {},
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    try:
        record["arguments"] = parse(request.arguments)
    except UnreadableArgumentsError as error:
        received = storable(request.arguments[:_RECEIVED_CHARACTERS])
        record["error"] = {"code": "invalid-arguments", "message": str(error), "received": received}
        return record
    if (tool := TOOLS.get(request.tool)) is None:
        message = f"There is no tool of this name; the tools are {', '.join(TOOLS)}."
        record["error"] = {"code": "unknown-tool", "message": message}
        return record
    _run(tool, record, Caller(connection, user_id, time_zone))
    return record


def _run(tool: Tool, record: ToolCall, caller: Caller) -> None:
    try:
        given = validate(tool, record["arguments"], caller.time_zone)
    except InvalidArgumentsError as error:
        record["error"] = {"code": "invalid-arguments", "message": str(error)}
        return
    # Never released: the next one of this name hides it, and the commit ends them all. That saves a round trip.
    caller.connection.exec_driver_sql(_SAVEPOINT)
    try:
        output = tool.run(caller, given)
    except NotFoundError as error:
        caller.connection.exec_driver_sql(_ROLLBACK)
        record["error"] = {"code": "not-found", "message": str(error)}
    except (IntegrityError, DataError) as error:
        if error.connection_invalidated:
            raise
        caller.connection.exec_driver_sql(_ROLLBACK)
        _logger.warning("%s was refused by the database: %s", tool.name, type(error.orig).__name__)
        record["error"] = {"code": "failed", "message": f"{tool.name} could not be done; nothing has changed."}
    else:
        record["result"] = output.model_dump(mode="json", context={"time_zone": caller.time_zone})
