"""One tool call by a client, such as an MCP client.

The effect and its record are one transaction, as in a step of the agent. The record is a finished turn without a model,
in a conversation that bears the client's name. A person therefore sees in their conversations what each client did.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from sqlalchemy import Connection, insert, select, update

from taskchat import conversations
from taskchat.errors import ConversationDeletedError, IdempotencyKeyReusedError
from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, Role, TurnStatus, utc_now
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall, ToolRequest
from taskchat.tools import TOOLS, call


@dataclass(frozen=True)
class Client:
    """A program that calls tools on behalf of a person; `name` is what the program calls itself."""

    principal: Principal
    name: str

    @property
    def first_key(self) -> str:
        """The idempotency key of the client's first call. It finds the client's conversation after a rename.

        Keys of POST /chat contain no space, so none of them can be equal to it.
        """
        return f"client {hashlib.sha256(self.name.encode()).hexdigest()}"


def run_tool(
    transaction: Callable[[Callable[[Connection], ToolCall]], ToolCall],
    client: Client,
    tool: str,
    arguments: str,
    time_zone: tzinfo,
    *,
    key: str | None = None,
) -> ToolCall:
    """Run a tool once and return its record; `arguments` is JSON as received.

    A change is recorded in the audit trail. A tool that only reads, and one that failed, is not. A recorded call that
    comes again with its `key` does nothing and returns its record. Keys of two people are never the same key.

    Raises:
        ConversationDeletedError: the call was recorded under this key, and its conversation was deleted since.
        DatabaseUnavailableError: its text says whether the change may have been made.
        IdempotencyKeyReusedError: the key belongs to a call with another tool or other arguments.
    """
    turn_id = uuid.uuid4() if key is None else uuid.uuid5(client.principal.user_id, key)
    request = ToolRequest(id=str(turn_id), tool=tool, arguments=arguments)
    user_id = client.principal.user_id

    def read(connection: Connection) -> ToolCall:
        return call(connection, request, user_id=user_id, time_zone=time_zone, turn_id=uuid.UUID(request.id))

    def change(connection: Connection) -> ToolCall:
        # The lock on the person's row makes a client's first calls wait for one another.
        conversations.sign_in(connection, client.principal)
        if (recorded := _recorded(connection, request)) is not None:
            return recorded
        record = call(connection, request, user_id=user_id, time_zone=time_zone, turn_id=uuid.UUID(request.id))
        if "error" not in record:
            _record(connection, client, request, record)
        return record

    known = TOOLS.get(tool)
    return transaction(read if known is None or known.annotations["readOnlyHint"] else change)


def _recorded(connection: Connection, request: ToolRequest) -> ToolCall | None:
    """Return the record of an earlier call with this key, or of an earlier try whose COMMIT was not answered."""
    turn_id = uuid.UUID(request.id)
    columns = (TURNS.c.conversation_id, TURNS.c.request_hash)
    turn = connection.execute(select(*columns).where(TURNS.c.id == turn_id)).one_or_none()
    if turn is None:
        return None
    if turn.request_hash != _hash(request):
        raise IdempotencyKeyReusedError("This idempotency key was used for another call; use a new one.")
    if turn.conversation_id is None:
        raise ConversationDeletedError("This call was made before, and the conversation that records it was deleted.")
    statement = select(MESSAGES.c.tool_calls).where(MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.ASSISTANT)
    recorded: ToolCall = connection.execute(statement).scalar_one()[0]
    return recorded


def _hash(request: ToolRequest) -> str:
    return hashlib.sha256(json.dumps([request.tool, request.arguments]).encode()).hexdigest()


def _record(connection: Connection, client: Client, request: ToolRequest, record: ToolCall) -> None:
    """Append a finished turn with two messages: what the client asked for, and the record of the call."""
    user_id, turn_id = client.principal.user_id, uuid.UUID(request.id)
    first = connection.execute(
        select(TURNS.c.id, TURNS.c.conversation_id).where(
            TURNS.c.user_id == user_id, TURNS.c.idempotency_key == client.first_key
        )
    ).one_or_none()
    if first is not None and first.conversation_id is not None:
        conversation_id, key = first.conversation_id, request.id
    else:
        if first is not None:
            # The person deleted the client's conversation. The next one takes over the key that leads to it.
            connection.execute(update(TURNS).where(TURNS.c.id == first.id).values(idempotency_key=str(first.id)))
        conversation_id, key = conversations.create(connection, client.principal, client.name), client.first_key
    connection.execute(
        insert(TURNS).values(
            id=turn_id,
            user_id=user_id,
            conversation_id=conversation_id,
            idempotency_key=key,
            request_hash=_hash(request),
            status=TurnStatus.FINISHED,
            attempt=1,
            lease_expires_at=utc_now(),
            finished_at=utc_now(),
        )
    )
    shared = {"conversation_id": conversation_id, "turn_id": turn_id}
    messages: list[dict[str, Any]] = [
        {**shared, "role": Role.USER, "content": f"{client.name} called {request.tool}.", "tool_calls": None},
        {**shared, "role": Role.ASSISTANT, "content": "", "tool_calls": [record]},
    ]
    connection.execute(insert(MESSAGES).values(messages))
    connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(updated_at=utc_now()))
