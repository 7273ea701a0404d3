"""Export everything that is stored about a person, page by page.

The export has one section for each table, and a page has items of one section. Sections are read from the newest row to
the oldest one. The first page records the newest row of each section in the cursor, so later rows never appear. A row
that changes while the export runs is shown as it is when its page is read, and a deleted row is left out.
"""

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json
from sqlalchemy import Connection
from sqlmodel import SQLModel

from taskchat.conversations import load_bounded
from taskchat.errors import InvalidField, InvalidRequestError
from taskchat.models import CONVERSATIONS, LARGEST_ID, MESSAGES, TURNS, USERS

ROWS = 100
"""Rows of a page at most."""
PAGE_BYTES = 4_000_000
"""Bytes of a page's items as JSON. Lambda takes a response of 6 MB."""
CONVERSATIONS_AT_ONCE = 100
_CONTEXT_CHARACTERS = 10_000
_OMITTED = {"search_text", "lease_token", "lease_expires_at", "request_hash", "provider_state"}
"""Columns for our own use: derived text, leases, a checksum, and opaque data of the model's provider."""


@dataclass(frozen=True, slots=True)
class ExportItem:
    """A row: the name of its table, and its columns."""

    table: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Items of one table, and the cursor of the next page; None on the last page. A page may be empty."""

    items: Sequence[ExportItem]
    next_cursor: str | None


class _Position(BaseModel):
    """The section of the next page, the key of the last item before it, and the newest row of each section."""

    model_config = ConfigDict(strict=True, extra="forbid")

    section: int = Field(ge=0)
    after: list[int | str] | None = Field(default=None, max_length=2)
    newest: dict[str, int]
    at: str


_Rows = tuple[list[tuple[list[int | str], dict[str, Any]]], list[int | str] | None]
"""Rows with their keys, newest first; and the key after which the section goes on, None at its end."""


def export_page(connection: Connection, user_id: uuid.UUID, cursor: str | None) -> ExportPage:
    """Return a page of everything that is stored about a person.

    Raises:
        InvalidRequestError: the cursor was not made here.
    """
    position = _begin(connection, user_id) if cursor is None else _read(cursor)
    names = list(_SECTIONS)
    if position.section >= len(names):
        raise _invalid()
    name = names[position.section]
    try:
        rows, after = _SECTIONS[name](connection, user_id, position)
    except (ValueError, TypeError):
        raise _invalid() from None
    items: list[ExportItem] = []
    size = 0
    for key, data in rows:
        size += len(to_json(data))
        if items and size > PAGE_BYTES:
            break
        items.append(ExportItem(name, data))
        last = key
    if len(items) < len(rows):
        after = last
    section = position.section + (after is None)
    if section == len(names):
        return ExportPage(items, None)
    return ExportPage(items, _write(position.model_copy(update={"section": section, "after": after})))


def _begin(connection: Connection, user_id: uuid.UUID) -> _Position:
    newest = {
        table.name: connection.execute(
            sa.select(sa.func.coalesce(sa.func.max(key), 0)).where(table.c.user_id == user_id)
        ).scalar_one()
        for table, key in _NUMBERED
    }
    own = sa.select(CONVERSATIONS.c.id).where(CONVERSATIONS.c.user_id == user_id)
    message = sa.select(sa.func.coalesce(sa.func.max(MESSAGES.c.id), 0)).where(MESSAGES.c.conversation_id.in_(own))
    newest["messages"] = connection.execute(message).scalar_one()
    turn = sa.select(sa.func.max(TURNS.c.created_at)).where(TURNS.c.user_id == user_id)
    at = connection.execute(turn).scalar_one() or datetime(1970, 1, 1, tzinfo=UTC)
    return _Position(section=0, newest=newest, at=at.isoformat())


def _data(row: Any) -> dict[str, Any]:
    return dict(row._mapping)


def _columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if column.name not in _OMITTED]


def _person(connection: Connection, user_id: uuid.UUID, _position: _Position) -> _Rows:
    found = connection.execute(sa.select(*_columns(USERS)).where(USERS.c.id == user_id)).all()
    return [([], _data(row)) for row in found], None


def _numbered(table: sa.Table, key: sa.Column[Any]) -> Callable[[Connection, uuid.UUID, _Position], _Rows]:
    def read(connection: Connection, user_id: uuid.UUID, position: _Position) -> _Rows:
        conditions = [table.c.user_id == user_id, key <= _number(position.newest[table.name])]
        if position.after is not None:
            conditions.append(key < _number(position.after[0]))
        found = connection.execute(
            sa.select(*_columns(table)).where(*conditions).order_by(key.desc()).limit(ROWS)
        ).all()
        rows: list[tuple[list[int | str], dict[str, Any]]] = [([_data(row)[key.name]], _data(row)) for row in found]
        return rows, rows[-1][0] if len(rows) == ROWS else None

    return read


def _turns(connection: Connection, user_id: uuid.UUID, position: _Position) -> _Rows:
    conditions = [TURNS.c.user_id == user_id, TURNS.c.created_at <= datetime.fromisoformat(position.at)]
    if position.after is not None:
        moment, turn_id = (str(part) for part in position.after)
        before = sa.tuple_(
            sa.literal(datetime.fromisoformat(moment), TURNS.c.created_at.type),
            sa.literal(uuid.UUID(turn_id), TURNS.c.id.type),
        )
        conditions.append(sa.tuple_(TURNS.c.created_at, TURNS.c.id) < before)
    order = (TURNS.c.created_at.desc(), TURNS.c.id.desc())
    found = connection.execute(sa.select(*_columns(TURNS)).where(*conditions).order_by(*order).limit(ROWS)).all()
    rows: list[tuple[list[int | str], dict[str, Any]]] = [
        ([row.created_at.isoformat(), str(row.id)], _data(row)) for row in found
    ]
    return rows, rows[-1][0] if len(rows) == ROWS else None


def _messages(connection: Connection, user_id: uuid.UUID, position: _Position) -> _Rows:
    """Read messages of the newest conversations first. A text beyond the bound of a response is cut off and says so."""
    conversation, message = (
        (LARGEST_ID, LARGEST_ID) if position.after is None else (_number(part) for part in position.after)
    )
    owned = (
        sa.select(CONVERSATIONS.c.id)
        .where(CONVERSATIONS.c.user_id == user_id, CONVERSATIONS.c.id <= conversation)
        .order_by(CONVERSATIONS.c.id.desc())
        .limit(CONVERSATIONS_AT_ONCE)
    )
    ids = list(connection.execute(owned).scalars())
    if not ids:
        return [], None
    context = sa.case(
        (sa.func.length(sa.cast(MESSAGES.c.model_context, sa.Text)) <= _CONTEXT_CHARACTERS, MESSAGES.c.model_context)
    )
    columns = [column for column in MESSAGES.columns if column.name != "model_context"]
    statement = (
        sa.select(*columns, sa.type_coerce(context, MESSAGES.c.model_context.type).label("model_context"))
        .where(
            MESSAGES.c.conversation_id.in_(ids),
            MESSAGES.c.id <= _number(position.newest["messages"]),
            sa.or_(MESSAGES.c.conversation_id < conversation, MESSAGES.c.id < message),
        )
        .order_by(MESSAGES.c.conversation_id.desc(), MESSAGES.c.id.desc())
        .limit(ROWS)
    )
    bounded = load_bounded(connection, statement)
    names = [column.name for column in statement.selected_columns]
    # A message that does not fit begins the next page, where it is cut off if it does not fit alone.
    shown = bounded.rows[: max(1, bounded.whole)]
    rows: list[tuple[list[int | str], dict[str, Any]]] = []
    for row in shown:
        data = dict(zip(names, row, strict=True))
        rows.append(([data["conversation_id"], data["id"]], data))
    if len(shown) < len(bounded.rows) or len(bounded.rows) == ROWS:
        return rows, rows[-1][0]
    return rows, [ids[-1], 0] if len(ids) == CONVERSATIONS_AT_ONCE else None


_NUMBERED = tuple(
    (table, next(iter(table.primary_key.columns)))
    for table in SQLModel.metadata.sorted_tables
    if "user_id" in table.columns and table is not TURNS
)
"""Tables with a user and a number as their key."""
_SECTIONS: Mapping[str, Callable[[Connection, uuid.UUID, _Position], _Rows]] = {
    "users": _person,
    **{table.name: _numbered(table, key) for table, key in _NUMBERED},
    "messages": _messages,
    "turns": _turns,
}


def _number(value: int | str) -> int:
    if not isinstance(value, int) or not 0 <= value <= LARGEST_ID:
        raise ValueError("not an id")
    return value


def _write(position: _Position) -> str:
    return base64.urlsafe_b64encode(position.model_dump_json().encode()).decode().rstrip("=")


def _read(cursor: str) -> _Position:
    try:
        position = _Position.model_validate_json(base64.b64decode(cursor + "==", altchars=b"-_"))
    except (binascii.Error, ValidationError, ValueError):
        raise _invalid() from None
    if position.newest.keys() != {"messages", *(table.name for table, _ in _NUMBERED)}:
        raise _invalid()
    return position


def _invalid() -> InvalidRequestError:
    # Every statement names the person, so an edited cursor reaches nothing of anybody else's.
    field = InvalidField("cursor", "Give the next_cursor of the export's last page as it came, or none.")
    return InvalidRequestError("The cursor does not belong to an export.", [field])
