"""Execution of a tool call. Every call gets an answer for the model and a record for the audit trail."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, NotRequired, TypedDict
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from taskchat.errors import ChangedSinceError, NotFoundError, NothingToUndoError, TooManyTasksError
from taskchat.text import storable
from taskchat.toolkit.arguments import InvalidArgumentsError, UnreadableArgumentsError, parse, validate
from taskchat.toolkit.definition import Change, Tool, ToolContext
from taskchat.toolkit.schemas import is_blank

_SAVEPOINT = "SAVEPOINT tool"
_ROLLBACK = "ROLLBACK TO SAVEPOINT tool"
_RECEIVED_CHARACTERS = 200
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that a model or a client asked for; `arguments` is the text as received, valid JSON or not."""

    id: str
    tool: str
    arguments: str


class ToolError(TypedDict):
    """The reason why a call changed nothing. `received` is the start of arguments that could not be read."""

    code: str
    message: str
    received: NotRequired[str]


class ToolCall(TypedDict):
    """One element of `messages.tool_calls`: the request, and either `result` or `error`.

    A call that changed one record has that record in `before` and `after`. A call that changed none or several has a
    list of such pairs in `changes`. A tool that only reads has none of the three. The model sees none of them.
    """

    id: str
    tool: str
    arguments: dict[str, Any]
    result: NotRequired[dict[str, Any]]
    error: NotRequired[ToolError]
    before: NotRequired[Mapping[str, Any] | None]
    after: NotRequired[Mapping[str, Any] | None]
    changes: NotRequired[Sequence[Change]]
    timestamp: str


def note(record: ToolCall, changes: Sequence[Change]) -> None:
    """Write into a record what the call changed."""
    if len(changes) == 1:
        record["before"], record["after"] = changes[0]["before"], changes[0]["after"]
    else:
        record["changes"] = changes


def timestamp() -> str:
    """Return the current time as a record holds it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def execute(
    tools: Mapping[str, Tool],
    connection: Connection,
    request: ToolRequest,
    *,
    user_id: UUID,
    time_zone: tzinfo,
    turn_id: UUID,
    earlier_calls: Sequence[Mapping[str, Any]] = (),
) -> ToolCall:
    """Run one of the `tools` for a person, inside a savepoint, and return its record.

    A call that fails has changed nothing. Its error has one of the codes `unknown-tool`, `invalid-arguments`,
    `not-found`, `changed-since`, `nothing-to-undo`, `too-many-tasks` and `failed` (the database refused the change).
    Times without an offset, and all times in the result, are in `time_zone`. `turn_id` names the turn in which the
    record will stand, and `earlier_calls` are the records that it has already.

    Raises:
        sqlalchemy.exc.DBAPIError: the transaction is lost.
    """
    record: ToolCall = {
        "id": storable(request.id),
        "tool": storable(request.tool),
        "arguments": {},
        "timestamp": timestamp(),
    }
    try:
        record["arguments"] = parse(request.arguments)
    except UnreadableArgumentsError as error:
        received = storable(request.arguments[:_RECEIVED_CHARACTERS])
        record["error"] = {"code": "invalid-arguments", "message": str(error), "received": received}
        return record
    if (tool := tools.get(request.tool)) is None:
        message = f"There is no tool of this name; the tools are {', '.join(tools)}."
        record["error"] = {"code": "unknown-tool", "message": message}
        return record
    blank = tuple(name for name, value in record["arguments"].items() if is_blank(value))
    _run(tool, record, ToolContext(connection, user_id, time_zone, turn_id, blank, earlier_calls))
    return record


def refuse(request: ToolRequest, code: str, message: str) -> ToolCall:
    """Return the record of a call that is not run, without its arguments, which may be long."""
    return {
        "id": storable(request.id[:_RECEIVED_CHARACTERS]),
        "tool": storable(request.tool[:_RECEIVED_CHARACTERS]),
        "arguments": {},
        "error": {"code": code, "message": message},
        "timestamp": timestamp(),
    }


def _run(tool: Tool, record: ToolCall, context: ToolContext) -> None:
    try:
        arguments = validate(tool, record["arguments"], context.time_zone)
    except InvalidArgumentsError as error:
        record["error"] = _invalid(tool, error)
        return
    # ROLLBACK TO uses the newest savepoint of this name, so a RELEASE would cost a round trip for nothing.
    context.connection.exec_driver_sql(_SAVEPOINT)
    try:
        output = tool.run(context, arguments)
    except InvalidArgumentsError as error:
        record["error"] = _invalid(tool, error)
    except (NotFoundError, ChangedSinceError, NothingToUndoError, TooManyTasksError) as error:
        record["error"] = {"code": error.code, "message": str(error)}
    except (IntegrityError, DataError) as error:
        if error.connection_invalidated:
            raise
        _logger.warning("%s was refused by the database: %s", tool.name, type(error.orig).__name__)
        record["error"] = {"code": "failed", "message": f"{tool.name} could not be done; nothing has changed."}
    else:
        record["result"] = output.model_dump(mode="json", context={"time_zone": context.time_zone})
        if not tool.annotations["readOnlyHint"]:
            note(record, context.changes)
        return
    context.connection.exec_driver_sql(_ROLLBACK)


def _invalid(tool: Tool, error: InvalidArgumentsError) -> ToolError:
    return {"code": "invalid-arguments", "message": f"{tool.name} cannot take these arguments. {error}"}
