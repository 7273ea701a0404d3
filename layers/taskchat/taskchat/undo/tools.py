"""The tool that takes back the person's last change."""

import enum
import uuid
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from taskchat.errors import AlreadyUndoneError, ConversationDeletedError, NothingToUndoError, TurnInProgressError
from taskchat.toolkit import Change, ToolContext, ToolOutput, tool
from taskchat.toolkit.fields import names_of
from taskchat.undo import reversal
from taskchat.undo.reversal import Undone


class Effect(enum.StrEnum):
    """The effect of an undo on one task."""

    DELETED = "deleted"
    RESTORED = "restored"
    CHANGED_BACK = "changed back"


class UndoneTask(ToolOutput):
    """A task to which one change was taken back."""

    id: int
    title: str
    undone: str = Field(description="The tool whose call was taken back.")
    now: Annotated[Effect, names_of(Effect)] = Field(
        description="Whether the task is deleted, there again, or changed back."
    )


class UndoneChanges(ToolOutput):
    """Changes that were taken back, the last one first."""

    turn_id: str | None = Field(description="The turn whose changes were taken back; null if there was none.")
    tasks: list[UndoneTask]


@tool(title="Undo the last change", destructive=True)
def undo_last_change(context: ToolContext) -> UndoneChanges:
    """Take back all that the person's last request changed, so that the tasks are exactly as before it.

    Called again, it takes back the request before that one. The list of tasks in the result is empty if there is
    nothing to take back.
    """
    connection, user_id = context.connection, context.user_id
    reversal.require_no_changes(context.earlier_calls)
    turn_id = reversal.last_changing_turn(connection, user_id)
    if turn_id is None:
        return UndoneChanges(turn_id=None, tasks=[])
    try:
        turn = reversal.lock(connection, user_id, turn_id)
        reversal.require_ended(turn)
        undone = reversal.take_back(connection, turn, by=context.turn_id)
    except (AlreadyUndoneError, ConversationDeletedError, TurnInProgressError):
        raise NothingToUndoError("That request has changed in the meantime. Call undo_last_change again.") from None
    for one in undone:
        context.changes.extend(one.changes)
    return result_of(turn_id, undone)


def result_of(turn_id: uuid.UUID, undone: Sequence[Undone]) -> UndoneChanges:
    """Return what a model and a client are told of an undo."""
    tasks = [_task(one.tool, change) for one in undone for change in one.changes]
    return UndoneChanges(turn_id=str(turn_id), tasks=tasks)


def _task(tool_name: str, change: Change) -> UndoneTask:
    before, after = change["before"], change["after"]
    row = after or before or {}
    effect = Effect.DELETED if after is None else Effect.RESTORED if before is None else Effect.CHANGED_BACK
    return UndoneTask(id=row["id"], title=row["title"], undone=tool_name, now=effect)
