"""One tool call by a client, such as an MCP client.

The effect and its record are one transaction, as in a step of the agent. The record is a finished turn without a model,
in a conversation that bears the client's name. A person therefore sees in their conversations what each client did.
"""

import enum
import hashlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain
from typing import Any

from sqlalchemy import Connection, insert, select, update

from taskchat import conversations, usage
from taskchat.errors import ConversationDeletedError, IdempotencyKeyReusedError
from taskchat.limits import NO_LIMITS, Limits
from taskchat.models import CONVERSATIONS, MESSAGES, TURNS, ConversationKind, Role, TurnStatus, utc_now
from taskchat.principal import Principal
from taskchat.toolkit import ToolCall, ToolRequest
from taskchat.tools import TOOLS, call


class Channel(enum.StrEnum):
    """The way by which a client calls tools. A program on one of them cannot take another's name."""

    MCP = "client"
    REST = "rest"


@dataclass(frozen=True)
class Client:
    """A program that calls tools on behalf of a person; `name` is what the program calls itself."""

    principal: Principal
    name: str
    channel: Channel = Channel.MCP
    limits: Limits = NO_LIMITS

    @property
    def first_key(self) -> str:
        """The idempotency key of the client's first call. It finds the client's conversation after a rename.

        Keys of POST /chat contain no space, so none of them can be equal to it.
        """
        return f"{self.channel} {hashlib.sha256(self.name.encode()).hexdigest()}"

    def turn_id(self, key: str | None) -> uuid.UUID:
        """Return the id of the turn that records the calls with this key. Two people's keys are never the same key."""
        return uuid.uuid4() if key is None else uuid.uuid5(self.principal.user_id, key)


@dataclass(frozen=True)
class RecordedCalls:
    """Calls that have their effect and their record; `replayed` if an earlier request with the same key made them."""

    calls: Sequence[ToolCall]
    replayed: bool = False


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
    comes again with its `key` does nothing and returns its record.

    Raises:
        ConversationDeletedError: the call was recorded under this key, and its conversation was deleted since.
        DatabaseUnavailableError: its text says whether the change may have been made.
        IdempotencyKeyReusedError: the key belongs to a call with another tool or other arguments.
        UsageLimitReachedError: the person has reached the limit of turns a minute.
    """
    turn_id = client.turn_id(key)

    def read(connection: Connection) -> ToolCall:
        return _call(connection, client, turn_id, 0, (tool, arguments), time_zone)

    def change(connection: Connection) -> ToolCall:
        return run_calls(connection, client, turn_id, [(tool, arguments)], time_zone).calls[0]

    return transaction(read if _only_reads(tool) else change)


def run_calls(
    connection: Connection,
    client: Client,
    turn_id: uuid.UUID,
    requests: Sequence[tuple[str, str]],
    time_zone: tzinfo,
    *,
    precondition: Callable[[Connection], None] = lambda _connection: None,
) -> RecordedCalls:
    """Run tools, each with JSON arguments, in the caller's transaction, and record the calls as the turn `turn_id`.

    Calls that only read are not recorded. If one call failed, none is recorded, and the caller rolls back the effects
    of the others. `precondition` runs before the first call of a new request, and raises to refuse all calls.

    Raises:
        ConversationDeletedError: the turn was recorded before, and its conversation was deleted since.
        IdempotencyKeyReusedError: the turn was recorded before, with other calls.
        UsageLimitReachedError: the person has reached the limit of turns a minute.
    """
    # The lock on the person's row makes a client's first calls wait for one another.
    conversations.lock_person(connection, client.principal)
    if (recorded := _recorded(connection, client, turn_id, requests)) is not None:
        return RecordedCalls(recorded, replayed=True)
    usage.require_room(connection, client.principal.user_id, client.limits.for_clients)
    precondition(connection)
    calls: list[ToolCall] = []
    for number, request in enumerate(requests):
        calls.append(_call(connection, client, turn_id, number, request, time_zone))
        if "error" in calls[-1]:
            return RecordedCalls(calls)
    if not all(_only_reads(tool) for tool, _arguments in requests):
        _record(connection, client, turn_id, requests, calls)
    return RecordedCalls(calls)


def _call(
    connection: Connection,
    client: Client,
    turn_id: uuid.UUID,
    number: int,
    request: tuple[str, str],
    time_zone: tzinfo,
) -> ToolCall:
    """Run one of the calls of a turn."""
    tool, arguments = request
    named = ToolRequest(id=f"{turn_id} {number}" if number else str(turn_id), tool=tool, arguments=arguments)
    return call(connection, named, user_id=client.principal.user_id, time_zone=time_zone, turn_id=turn_id)


def _only_reads(tool: str) -> bool:
    """Tell whether a tool changes nothing, as one that does not exist."""
    known = TOOLS.get(tool)
    return known is None or known.annotations["readOnlyHint"]


def _recorded(
    connection: Connection, client: Client, turn_id: uuid.UUID, requests: Sequence[tuple[str, str]]
) -> Sequence[ToolCall] | None:
    """Return the records of an earlier request with this key, or of an earlier try whose COMMIT was not answered."""
    columns = (TURNS.c.conversation_id, TURNS.c.request_hash)
    is_own = TURNS.c.user_id == client.principal.user_id
    turn = connection.execute(select(*columns).where(TURNS.c.id == turn_id, is_own)).one_or_none()
    if turn is None:
        return None
    if turn.request_hash != _hash(requests):
        raise IdempotencyKeyReusedError("This idempotency key was used for another call; use a new one.")
    if turn.conversation_id is None:
        raise ConversationDeletedError("This call was made before, and the conversation that records it was deleted.")
    statement = select(MESSAGES.c.tool_calls).where(MESSAGES.c.turn_id == turn_id, MESSAGES.c.role == Role.ASSISTANT)
    recorded: Sequence[ToolCall] = connection.execute(statement).scalar_one()
    return recorded


def _hash(requests: Sequence[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps([*chain(*requests)]).encode()).hexdigest()


def _record(
    connection: Connection,
    client: Client,
    turn_id: uuid.UUID,
    requests: Sequence[tuple[str, str]],
    calls: Sequence[ToolCall],
) -> None:
    """Append a finished turn with two messages: what the client asked for, and the records of the calls."""
    user_id = client.principal.user_id
    tools = " and ".join(tool for tool, _arguments in requests)
    first = connection.execute(
        select(TURNS.c.id, TURNS.c.conversation_id).where(
            TURNS.c.user_id == user_id, TURNS.c.idempotency_key == client.first_key
        )
    ).one_or_none()
    if first is not None and first.conversation_id is not None:
        conversation_id, key = first.conversation_id, str(turn_id)
    else:
        if first is not None:
            # The person deleted the client's conversation. The new conversation takes over its key.
            connection.execute(update(TURNS).where(TURNS.c.id == first.id).values(idempotency_key=str(first.id)))
        key = client.first_key
        conversation_id = conversations.create(connection, user_id, client.name, ConversationKind.CLIENT)
    connection.execute(
        insert(TURNS).values(
            id=turn_id,
            user_id=user_id,
            conversation_id=conversation_id,
            idempotency_key=key,
            request_hash=_hash(requests),
            status=TurnStatus.FINISHED,
            attempt=1,
            lease_expires_at=utc_now(),
            finished_at=utc_now(),
        )
    )
    shared = {"conversation_id": conversation_id, "turn_id": turn_id}
    messages: list[dict[str, Any]] = [
        {**shared, "role": Role.USER, "content": f"{client.name} called {tools}.", "tool_calls": None},
        {**shared, "role": Role.ASSISTANT, "content": "", "tool_calls": calls},
    ]
    connection.execute(insert(MESSAGES).values(messages))
    # The release before creates such conversations as chats.
    touched = {"updated_at": utc_now(), "kind": ConversationKind.CLIENT}
    connection.execute(update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation_id).values(touched))
