"""Messages whose texts are bounded in SQL.

Lambda takes a response of 6 MB. The audit trail may hold more than that in one message, and an instance should not load
what no response can carry. So the database cuts texts off, and everything that is shown is read here.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy import Connection

from taskchat.models import MESSAGES
from taskchat.shortening import LEFT_OUT

RESPONSE_CHARACTERS = 700_000
"""Characters of messages in one response.

With six bytes for each, as for a control character, and with the comments of 100 ratings, it is below 5 MB.
"""
_CUT_OFF = "the rest was too long to be kept"


@dataclass(frozen=True, slots=True)
class BoundedRows:
    """Rows with the statement's columns. The first `whole` of them fit, and the others are cut off."""

    rows: Sequence[tuple[Any, ...]]
    whole: int


def load_bounded(connection: Connection, statement: sa.Select[Any]) -> BoundedRows:
    """Load messages, newest first, with all their texts together in `RESPONSE_CHARACTERS`.

    The statement selects `id`, `content`, `tool_calls` and other short columns. A text that does not fit is cut off,
    and tool calls say so in their last result.
    """
    found = connection.execute(_bounded(statement)).all()
    names = [column.name for column in statement.selected_columns]
    place = names.index("tool_calls")
    rows = [(*row[:place], read_calls(row[place]), *row[place + 1 : len(names)]) for row in found]
    return BoundedRows(rows, sum(row.ends_at <= RESPONSE_CHARACTERS for row in found))


def read_calls(text: str | None) -> list[dict[str, Any]] | None:
    """Read tool calls from JSON that may have been cut off."""
    if text is None:
        return None
    try:
        calls: list[dict[str, Any]] | None = json.loads(text)
    except ValueError:
        return cut_off_calls(text) or []
    return calls


def cut_off_calls(text: str) -> list[dict[str, Any]] | None:
    """Return the calls that the beginning of a JSON text has; the last one, cut off, says so in its result."""
    try:
        read = from_json(text, allow_partial=True)
    except ValueError:
        return None
    # Pydantic reads the beginning of an object's first key as an empty array.
    calls = [call for call in read if isinstance(call, dict) and {"id", "tool"} <= call.keys()]
    if not calls:
        return None
    last = calls[-1]
    result = last.get("result")
    last["arguments"] = last.get("arguments") or {}
    if "error" not in last:
        last["result"] = {**(result if isinstance(result, dict) else {}), LEFT_OUT: _CUT_OFF}
    return calls


def _bounded(statement: sa.Select[Any]) -> sa.Select[Any]:
    # By both columns, so that PostgreSQL has nothing to sort after an index scan.
    messages = statement.add_columns(MESSAGES.c.conversation_id.label("in_conversation")).subquery("messages")
    order = (messages.c.in_conversation.desc(), messages.c.id.desc())
    calls = sa.cast(messages.c.tool_calls, sa.Text)
    length = sa.func.length(messages.c.content) + sa.func.coalesce(sa.func.length(calls), 0)
    ends_at = sa.func.sum(length).over(order_by=order)
    sized = sa.select(messages, ends_at.label("ends_at"), (ends_at - length).label("begins_at")).subquery("sized")
    room = RESPONSE_CHARACTERS - sized.c.begins_at
    shown = {
        "content": _beginning(sized.c.content, room),
        "tool_calls": _beginning(sa.cast(sized.c.tool_calls, sa.Text), room - sa.func.length(sized.c.content)),
    }
    columns = [
        shown[column.name].label(column.name) if column.name in shown else sized.c[column.name]
        for column in statement.selected_columns
    ]
    return sa.select(*columns, sized.c.ends_at).order_by(sized.c.in_conversation.desc(), sized.c.id.desc())


def _beginning(text: sa.ColumnElement[Any], characters: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the beginning of a text; PostgreSQL refuses a negative length."""
    cut = sa.case((characters > 0, sa.func.substr(text, 1, sa.cast(characters, sa.Integer))), else_="")
    return sa.case((text.is_not(None), cut))
