"""A tool that a program of the person's calls by itself, without the agent.

The effect and its record are one transaction, as in a step of the agent. The record is a finished turn without a
model, in a conversation of that client's own: so one look at the person's conversations shows what each client did.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from taskchat import turns
from taskchat.errors import ConversationBusyError
from taskchat.models import Conversation, Message, Role, Turn, TurnStatus, utc_now
from taskchat.tools import TOOLS, Tool, ToolCall, ToolRequest, call

RECORD_TRIES = 3
"""How often another first call of the same client may come in between."""


@dataclass(frozen=True)
class Client:
    """The program that calls, on behalf of a person; its conversation bears the `name` that it gives itself."""

    user_id: uuid.UUID
    subject: str
    email: str | None
    name: str


class _NothingChangedError(Exception):
    """Raised to undo a transaction whose tool did nothing."""

    def __init__(self, record: ToolCall) -> None:
        super().__init__()
        self.record = record


def run(transaction: turns.Transaction, client: Client, tool: str, arguments: str, time_zone: ZoneInfo) -> ToolCall:
    """Run a tool once and return its record; what changed something is in the audit trail from then on.

    `arguments` is JSON as it came. A tool that only reads, and one that failed, leaves nothing behind.

    Raises:
        TaskchatError: nothing was done.
    """
    request = ToolRequest(id=str(uuid.uuid4()), tool=tool, arguments=arguments)
    known = TOOLS.get(tool)
    if known is None or known.annotations["readOnlyHint"]:
        return transaction(lambda connection: call(connection, request, user_id=client.user_id, time_zone=time_zone))
    change = _Change(client, known, request, time_zone)
    for _ in range(RECORD_TRIES):
        try:
            return transaction(change.make)
        except _NothingChangedError as nothing:
            return nothing.record
        except IntegrityError:
            # Another call of this client made its conversation, or the person's account, a moment earlier.
            continue
    raise ConversationBusyError("Too many first calls at once; try again.", retry_after_seconds=1)


@dataclass(frozen=True)
class _Change:
    client: Client
    tool: Tool
    request: ToolRequest
    time_zone: ZoneInfo

    def make(self, connection: Connection) -> ToolCall:
        """Do the transaction's work; done again after a commit whose answer got lost, it finds what it recorded."""
        turn_id = uuid.UUID(self.request.id)
        found = connection.execute(
            select(col(Turn.id), col(Turn.conversation_id)).where(
                col(Turn.user_id) == self.client.user_id,
                col(Turn.idempotency_key).in_([self._first_key, self.request.id]),
            )
        ).all()
        if turn_id in {row.id for row in found}:
            return self._recorded(connection, turn_id)
        if found:
            conversation_id, key = int(found[0].conversation_id), self.request.id
        else:
            client = self.client
            conversation_id = turns.open_conversation(
                connection, client.user_id, client.subject, client.email, client.name
            )
            key = self._first_key
        self._insert_turn(connection, turn_id, conversation_id, key)
        record = call(connection, self.request, user_id=self.client.user_id, time_zone=self.time_zone)
        if "error" in record:
            raise _NothingChangedError(record)
        self._insert_messages(connection, turn_id, conversation_id, record)
        return record

    @property
    def _first_key(self) -> str:
        """The key of a client's first call, which leads to its conversation, whatever the person has renamed it to.

        The space keeps it apart from the keys of POST /chat, which have none.
        """
        return f"client {hashlib.sha256(self.client.name.encode()).hexdigest()}"

    def _insert_turn(self, connection: Connection, turn_id: uuid.UUID, conversation_id: int, key: str) -> None:
        identity = json.dumps([self.request.tool, self.request.arguments])
        now = datetime.now(UTC)
        connection.execute(
            insert(Turn).values(
                id=turn_id,
                user_id=self.client.user_id,
                conversation_id=conversation_id,
                idempotency_key=key,
                request_hash=hashlib.sha256(identity.encode()).hexdigest(),
                status=TurnStatus.FINISHED,
                attempt=1,
                lease_expires_at=now,
                finished_at=utc_now(),
            )
        )

    def _insert_messages(
        self, connection: Connection, turn_id: uuid.UUID, conversation_id: int, record: ToolCall
    ) -> None:
        shared = {"conversation_id": conversation_id, "turn_id": turn_id}
        asked = f"{self.client.name} called {self.tool.name}."
        messages: list[dict[str, Any]] = [
            {**shared, "role": Role.USER, "content": asked, "tool_calls": None},
            {**shared, "role": Role.ASSISTANT, "content": "", "tool_calls": [record]},
        ]
        connection.execute(insert(Message).values(messages))
        connection.execute(
            update(Conversation).where(col(Conversation.id) == conversation_id).values(updated_at=utc_now())
        )

    def _recorded(self, connection: Connection, turn_id: uuid.UUID) -> ToolCall:
        calls = connection.execute(
            select(col(Message.tool_calls)).where(col(Message.turn_id) == turn_id, col(Message.role) == Role.ASSISTANT)
        ).scalar_one()
        record: ToolCall = calls[0]
        return record
