"""The record of an undo: a finished turn of its own, by which the undo itself can be undone."""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, Role, TurnStatus, utc_now
from taskchat.toolkit import ToolCall, note, timestamp
from taskchat.undo.reversal import UNDO_TOOL, LockedTurn, Undone
from taskchat.undo.tools import result_of


def as_calls(turn_id: uuid.UUID, undone: Sequence[Undone]) -> list[ToolCall]:
    """Return one element of the audit trail for each call of the turn that was taken back."""
    calls = []
    for number, one in enumerate(undone, start=1):
        call: ToolCall = {
            "id": f"undo_{number}",
            "tool": UNDO_TOOL,
            "arguments": {},
            "timestamp": timestamp(),
            "result": result_of(turn_id, [one]).model_dump(mode="json"),
        }
        note(call, one.changes)
        calls.append(call)
    return calls


def record(
    connection: Connection,
    turn: LockedTurn,
    undone: Sequence[Undone],
    *,
    turn_id: uuid.UUID,
    idempotency_key: str,
    request_hash: str,
    status: TurnStatus = TurnStatus.FINISHED,
) -> None:
    """Append an undo of `turn` to its conversation, as the turn `turn_id`.

    The turn has no message of the person, so it supersedes no turn that waits to be continued.
    """
    connection.execute(
        sa.insert(TURNS).values(
            id=turn_id,
            user_id=turn.user_id,
            conversation_id=turn.conversation_id,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
            status=status,
            attempt=1,
            lease_expires_at=utc_now(),
            finished_at=utc_now(),
        )
    )
    calls = as_calls(turn.id, undone)
    message = sa.insert(MESSAGES).values(
        conversation_id=turn.conversation_id, turn_id=turn_id, role=Role.ASSISTANT, content="", tool_calls=calls
    )
    connection.execute(message)
    touched = sa.update(CONVERSATIONS).where(CONVERSATIONS.c.id == turn.conversation_id).values(updated_at=utc_now())
    connection.execute(touched)
