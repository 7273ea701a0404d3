"""Taking back what a turn changed, exactly and as a whole.

The calls of a turn are inverted in reverse order: created → deleted; deleted → there again with its id; changed → as
before. Each applies only where the record still is as the call left it. `turns.undone_by_turn_id` marks a turn whose
changes are taken back, and is null again after an undo of the undo.

Locks are taken in the order turn, task.
"""

import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import JSONPATH

from taskchat.errors import (
    AlreadyUndoneError,
    ChangedSinceError,
    ConversationDeletedError,
    NotFoundError,
    NothingToUndoError,
    TurnInProgressError,
)
from taskchat.models import IN_FLIGHT, MESSAGES, TURNS, Role, TurnStatus, utc_now
from taskchat.tasks import audit as tasks
from taskchat.tasks import tools as task_tools
from taskchat.toolkit import Change, tools_of

UNDO_TOOL = "undo_last_change"
RETRY_AFTER_SECONDS = 2
_CHANGING_TOOLS = tuple(name for name, tool in tools_of(task_tools).items() if not tool.annotations["readOnlyHint"])
_RESUMABLE = (TurnStatus.INTERRUPTED, TurnStatus.FAILED)


@dataclass(frozen=True, slots=True)
class LockedTurn:
    """A person's turn whose row is locked until COMMIT; `now` is the database's clock."""

    id: uuid.UUID
    user_id: uuid.UUID
    conversation_id: int
    status: TurnStatus
    lease_expires_at: datetime
    undone_by_turn_id: uuid.UUID | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Undone:
    """A call that was taken back, named by its tool, and the inverse changes in the order in which they were made."""

    tool: str
    changes: Sequence[Change]


def lock(connection: Connection, user_id: uuid.UUID, turn_id: uuid.UUID) -> LockedTurn:
    """Return a person's turn and lock its row until COMMIT.

    Raises:
        ConversationDeletedError: its conversation was deleted, and with it the record of its changes.
        NotFoundError: the person has no such turn.
    """
    columns = (
        TURNS.c.id,
        TURNS.c.user_id,
        TURNS.c.conversation_id,
        TURNS.c.status,
        TURNS.c.lease_expires_at,
        TURNS.c.undone_by_turn_id,
        utc_now(),
    )
    statement = sa.select(*columns).where(TURNS.c.id == turn_id, TURNS.c.user_id == user_id).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFoundError(f"There is no turn {turn_id}.")
    if row.conversation_id is None:
        raise ConversationDeletedError("The conversation of this turn was deleted, and with it the record of changes.")
    return LockedTurn(*row)


def require_ended(turn: LockedTurn) -> None:
    """Refuse a turn that is queued or running.

    Raises:
        TurnInProgressError: the turn may still change something.
    """
    if turn.status in IN_FLIGHT:
        left_seconds = math.ceil((turn.lease_expires_at - turn.now).total_seconds())
        is_running = turn.status is TurnStatus.RUNNING
        raise TurnInProgressError(
            "This turn is still being worked on. Wait for its end, or cancel it first.",
            retry_after_seconds=min(left_seconds, 60) if is_running else RETRY_AFTER_SECONDS,
        )


def has_changes(connection: Connection, turn: LockedTurn) -> bool:
    """Tell whether the turn changed something that is not taken back."""
    return turn.undone_by_turn_id is None and any(map(_may_have_changed, _calls(connection, turn.id)))


def take_back(connection: Connection, turn: LockedTurn, *, by: uuid.UUID) -> list[Undone]:
    """Take back all that a turn changed, and mark it as undone by the turn `by`; the last call comes first.

    If it raises, the caller has to roll back to where it began. A turn that could be continued becomes cancelled: its
    model would go on as if the changes were there.

    Raises:
        AlreadyUndoneError: this has been done before.
        ChangedSinceError: a record is no longer as the turn left it.
        NothingToUndoError: the turn changed nothing, or was recorded before undo existed.
    """
    if turn.undone_by_turn_id is not None:
        raise AlreadyUndoneError("The changes of this turn have been taken back already.")
    calls = [call for call in _calls(connection, turn.id) if _may_have_changed(call)]
    if not calls:
        raise NothingToUndoError("This turn changed nothing.")
    if any("before" not in call and "changes" not in call for call in calls):
        raise NothingToUndoError("This turn was recorded before changes could be undone, so its changes stay.")
    undone: list[Undone] = []
    conflicts: dict[int, tasks.Conflict] = {}
    for call in reversed(calls):
        changes: list[Change] = []
        for change in reversed(_changes(call)):
            conflict = tasks.take_back(connection, turn.user_id, change, skip=conflicts)
            if conflict is not None:
                conflicts.setdefault(conflict.id, conflict)
            changes.append({"before": change["after"], "after": change["before"]})
        undone.append(Undone(call["tool"], changes))
    if conflicts:
        names = ", ".join(f"task {task_id}" for task_id in conflicts)
        detail = f"Changed since by something else: {names}. Nothing was taken back."
        raise ChangedSinceError(detail, [asdict(conflict) for conflict in conflicts.values()])
    _mark(connection, turn.id, by)
    if turn.status in _RESUMABLE:
        ended = {"status": TurnStatus.CANCELLED, "finished_at": utc_now(), "provider_state": None}
        connection.execute(sa.update(TURNS).where(TURNS.c.id == turn.id).values(ended))
    return undone


def require_no_changes(calls: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to undo from a turn whose own calls have changed something. Undoing is no such change.

    Raises:
        NothingToUndoError: one of them has.
    """
    if any(call["tool"] in _CHANGING_TOOLS and _may_have_changed(call) for call in calls):
        raise NothingToUndoError("This request has made changes itself. Reverse them with the other tools.")


def last_changing_turn(connection: Connection, user_id: uuid.UUID) -> uuid.UUID | None:
    """Return the person's turn that made the last change which is not undone, or None if there is no such change.

    Turns that are still running do not count, nor do those that did nothing but undo.
    """
    changed = _changed_on_postgres() if connection.dialect.name == "postgresql" else _changed_on_sqlite()
    statement = (
        sa.select(MESSAGES.c.turn_id)
        .join_from(TURNS, MESSAGES, MESSAGES.c.turn_id == TURNS.c.id)
        .where(
            TURNS.c.user_id == user_id,
            TURNS.c.undone_by_turn_id.is_(None),
            TURNS.c.status.not_in(IN_FLIGHT),
            MESSAGES.c.role == Role.ASSISTANT,
            changed,
        )
        .order_by(MESSAGES.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).scalar_one_or_none()


def _calls(connection: Connection, turn_id: uuid.UUID) -> list[Mapping[str, Any]]:
    statement = (
        sa.select(MESSAGES.c.tool_calls)
        .where(MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.ASSISTANT)
        .order_by(MESSAGES.c.id)
    )
    return [call for calls in connection.execute(statement).scalars() for call in calls or ()]


def _may_have_changed(call: Mapping[str, Any]) -> bool:
    """Tell whether a call changed something, or may have done so before changes were recorded."""
    if "error" in call:
        return False
    return bool(_changes(call)) or (call["tool"] in _CHANGING_TOOLS and "changes" not in call)


def _changes(call: Mapping[str, Any]) -> Sequence[Change]:
    if "before" in call:
        return [{"before": call["before"], "after": call["after"]}]
    changes: Sequence[Change] = call.get("changes", ())
    return changes


def _mark(connection: Connection, turn_id: uuid.UUID, by: uuid.UUID | None) -> None:
    """Mark a turn as undone, or as in effect again. All that it had undone itself changes in the opposite sense."""
    connection.execute(sa.update(TURNS).where(TURNS.c.id == turn_id).values(undone_by_turn_id=by))
    for target in _undone_by(_calls(connection, turn_id)):
        _mark(connection, target, turn_id if by is None else None)


def _undone_by(calls: Iterable[Mapping[str, Any]]) -> list[uuid.UUID]:
    named = (call["result"]["turn_id"] for call in calls if call["tool"] == UNDO_TOOL and "result" in call)
    return [uuid.UUID(turn_id) for turn_id in dict.fromkeys(named) if turn_id is not None]


def _changed_on_postgres() -> sa.ColumnElement[bool]:
    """Tell in SQL whether a message has a call of a changing tool that was not refused and did change something."""
    is_changing = " || ".join(f'@.tool == "{name}"' for name in _CHANGING_TOOLS)
    changed_nothing = "exists(@.changes) && !exists(@.changes[*])"
    path = f"$[*] ? (({is_changing}) && !exists(@.error) && !({changed_nothing}))"
    return sa.func.jsonb_path_exists(MESSAGES.c.tool_calls, sa.cast(path, JSONPATH), type_=sa.Boolean)


def _changed_on_sqlite() -> sa.ColumnElement[bool]:
    """Tell the same as `_changed_on_postgres`."""
    call = sa.func.json_each(MESSAGES.c.tool_calls).table_valued("value")
    return (
        sa.select(sa.literal(1))
        .select_from(call)
        .where(
            sa.func.json_extract(call.c.value, "$.tool").in_(_CHANGING_TOOLS),
            sa.func.json_type(call.c.value, "$.error").is_(None),
            sa.func.coalesce(sa.func.json_array_length(call.c.value, "$.changes"), 1) > 0,
        )
        .correlate(MESSAGES)
        .exists()
    )
