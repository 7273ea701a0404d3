"""A turn as its owner reads it."""

import uuid
from collections.abc import Sequence

from sqlalchemy import Connection, select

from taskchat.conversations import load_bounded
from taskchat.errors import NotFoundError
from taskchat.models import MESSAGES, TURNS, Role
from taskchat.turns.records import Reply, TurnRecord, Usage


def get(connection: Connection, user_id: uuid.UUID, turn_id: uuid.UUID) -> TurnRecord:
    """Return a turn of a person, with the steps that are recorded so far.

    Raises:
        NotFoundError: the person has no such turn.
    """
    turn = connection.execute(select(TURNS).where(TURNS.c.id == turn_id, TURNS.c.user_id == user_id)).one_or_none()
    if turn is None:
        raise NotFoundError(f"There is no turn {turn_id}.")
    replies = replies_of(connection, turn_id)
    final = next((reply for reply in replies if reply.tool_calls is None), None)
    usage = None
    if turn.model is not None:
        tokens = (turn.input_tokens, turn.output_tokens, turn.cached_tokens, turn.reasoning_tokens)
        usage = Usage(turn.model, *(count or 0 for count in tokens))
    return TurnRecord(
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        status=turn.status,
        tool_calls=[call for reply in replies for call in reply.tool_calls or ()],
        response=None if final is None else final.content,
        message_id=None if final is None else final.message_id,
        error=turn.error,
        usage=usage,
        created_at=turn.created_at,
        finished_at=turn.finished_at,
    )


def replies_of(connection: Connection, turn_id: uuid.UUID) -> Sequence[Reply]:
    """Return the messages of the assistant in a turn, oldest first, with texts that fit into a response."""
    statement = select(MESSAGES.c.id, MESSAGES.c.content, MESSAGES.c.tool_calls, MESSAGES.c.model_context).where(
        MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.ASSISTANT
    )
    return [Reply(*row) for row in reversed(load_bounded(connection, statement).rows)]
