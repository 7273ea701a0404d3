"""One turn from message to reply: the durable turn around the agent."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from taskchat import agent, conversations, turns
from taskchat.errors import (
    ConversationBusyError,
    DatabaseUnavailableError,
    ModelFailedError,
    TaskchatError,
    TurnSupersededError,
)

BEGIN_TRIES = 4
"""How often the way to a turn may be found taken, and a moment later free, before it counts as busy."""
RESERVED_SECONDS = 2.0
"""What is kept back from the model for recording its answer and for the answer's way home."""
LEASE_MARGIN_SECONDS = 1.0


@dataclass(frozen=True)
class ChatRequest:
    """A person's message, trimmed and not empty; `idempotency_key` names its turn, whenever it is sent again."""

    user_id: uuid.UUID
    subject: str
    email: str | None
    idempotency_key: str
    message: str
    conversation_id: int | None
    time_zone: ZoneInfo


@dataclass(frozen=True)
class ChatReply:
    """What the person gets; `tool_calls` are elements of the audit trail, `replayed` tells a stored reply."""

    conversation_id: int
    message_id: int
    response: str
    tool_calls: Sequence[Mapping[str, Any]]
    replayed: bool = False


@dataclass(frozen=True)
class Chat:
    """Answers messages; `model_timeout_seconds` bounds one call of the model, the history's two limits its window."""

    transaction: turns.Transaction
    model: agent.Model
    model_timeout_seconds: float
    history_messages: int
    history_tokens: int

    def answer(self, request: ChatRequest, seconds_left: Callable[[], float]) -> ChatReply:
        """Carry the turn to its end, from wherever it stands, within the `seconds_left` of this invocation.

        Raises:
            TaskchatError: the turn could not be begun or not be finished; nothing that was recorded is lost.
        """
        budget = _Budget(self.model_timeout_seconds, seconds_left)
        begun = self._begin(_turn_request(request), budget)
        if isinstance(begun, turns.FinishedTurn):
            return _reply(begun.conversation_id, begun.replies, replayed=True)
        with _RunningTurn(self, request, begun, budget) as turn:
            answer = agent.run(
                self.model,
                turn.messages(),
                steps_taken=len(begun.steps),
                record_step=turn.record_step,
                model_seconds=budget.model_seconds,
            )
            return turn.finish(answer)

    def _begin(self, request: turns.TurnRequest, budget: "_Budget") -> "_Begun | turns.FinishedTurn":
        for _ in range(BEGIN_TRIES):
            lease_expires_at = turns.lease_end(budget.lease_seconds())
            try:
                return self._begin_new(request, lease_expires_at)
            except turns.AlreadyBegunError:
                pass
            try:
                resumed = self._resume(request, lease_expires_at)
            except turns.AlreadyBegunError:
                continue
            if resumed is not None:
                return resumed
        raise ConversationBusyError("Other messages of this conversation are being answered.", retry_after_seconds=1)

    def _begin_new(self, request: turns.TurnRequest, lease_expires_at: datetime) -> "_Begun":
        read_history = partial(self._history, user_id=request.user_id)

        def work(connection: Connection) -> _Begun:
            lease, history = turns.begin(connection, request, lease_expires_at, read_history)
            return _Begun(lease, history, [])

        return self.transaction(work)

    def _resume(self, request: turns.TurnRequest, lease_expires_at: datetime) -> "_Begun | turns.FinishedTurn | None":
        tries = 0

        def work(connection: Connection) -> _Begun | turns.FinishedTurn | None:
            nonlocal tries
            tries += 1
            found = turns.resume(connection, request, lease_expires_at, is_repeated=tries > 1)
            if found is None or isinstance(found, turns.FinishedTurn):
                return found
            lease, steps = found
            return _Begun(lease, self._history(connection, lease, user_id=request.user_id), steps)

        return self.transaction(work)

    def _history(
        self, connection: Connection, lease: turns.Lease, *, user_id: uuid.UUID
    ) -> Sequence[conversations.WindowMessage]:
        return conversations.load_window(
            connection,
            user_id,
            lease.conversation_id,
            messages=self.history_messages,
            tokens=self.history_tokens,
            before_turn=lease.turn_id,
        )


@dataclass(frozen=True)
class _Budget:
    model_timeout_seconds: float
    seconds_left: Callable[[], float]

    def model_seconds(self) -> float:
        return min(self.model_timeout_seconds, self.seconds_left() - RESERVED_SECONDS)

    def lease_seconds(self) -> float:
        """Return what one call of the model and the write after it may take at most."""
        return max(0.0, self.model_seconds()) + RESERVED_SECONDS + LEASE_MARGIN_SECONDS


@dataclass(frozen=True)
class _Begun:
    lease: turns.Lease
    history: Sequence[conversations.WindowMessage]
    steps: Sequence[turns.Reply]


class _RunningTurn:
    """A turn whose lease this invocation holds; leaving it by an error gives the lease back."""

    def __init__(self, chat: Chat, request: ChatRequest, begun: _Begun, budget: _Budget) -> None:
        self._chat = chat
        self._request = request
        self._begun = begun
        self._budget = budget
        self._lease = begun.lease
        self._tool_calls = [call for step in begun.steps for call in step.tool_calls or ()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        # Without the lease there is nothing to give back, and without the database no way to.
        if error is not None and not isinstance(error, TurnSupersededError | DatabaseUnavailableError):
            reason, is_permanent = _end_of(error)
            self._chat.transaction(
                lambda connection: turns.interrupt(connection, self._lease, reason, is_permanent=is_permanent)
            )

    def messages(self) -> list[agent.ChatMessage]:
        """Return what the model is given: instructions, history, the person's message, the steps so far."""
        now = datetime.now(self._request.time_zone)
        return [
            {"role": "system", "content": agent.system_prompt(now)},
            *agent.transcript(self._begun.history),
            {"role": "user", "content": self._request.message},
            *(message for step in self._begun.steps for message in agent.step(step.content, step.tool_calls or [])),
        ]

    def record_step(self, completion: agent.Completion) -> Sequence[Mapping[str, Any]]:
        """Run the tools that the model asked for and record them, in one transaction."""
        extended = self._lease.extended(self._budget.lease_seconds())

        def work(connection: Connection) -> Sequence[Mapping[str, Any]]:
            calls = [
                agent.call_tool(connection, request, user_id=self._request.user_id, time_zone=self._request.time_zone)
                for request in completion.requests
            ]
            turns.record_step(
                connection,
                self._lease,
                extended,
                content=completion.content,
                tool_calls=calls,
                usage=_usage(completion),
            )
            return calls

        try:
            calls = self._chat.transaction(work)
        except IntegrityError:
            if (reply := self._last_recorded(extended)) is None:
                raise
            calls = reply.tool_calls or []
        self._lease = extended
        self._tool_calls.extend(calls)
        return calls

    def finish(self, completion: agent.Completion) -> ChatReply:
        """Record the final reply and close the turn."""
        extended = self._lease.extended(self._budget.lease_seconds())
        try:
            message_id = self._chat.transaction(
                lambda connection: turns.finish(
                    connection, self._lease, extended, content=completion.content, usage=_usage(completion)
                )
            )
        except IntegrityError:
            if (reply := self._last_recorded(extended)) is None:
                raise
            message_id = reply.message_id
        return ChatReply(self._lease.conversation_id, message_id, completion.content, self._tool_calls)

    def _last_recorded(self, extended: turns.Lease) -> turns.Reply | None:
        """Return what a COMMIT whose answer was lost has recorded, and None where a write was refused for itself."""
        replies = self._chat.transaction(lambda connection: turns.recorded(connection, self._lease, extended))
        return replies[-1] if replies else None


def _turn_request(request: ChatRequest) -> turns.TurnRequest:
    identity = json.dumps([request.message, request.conversation_id, request.time_zone.key])
    return turns.TurnRequest(
        turn_id=uuid.uuid4(),
        user_id=request.user_id,
        subject=request.subject,
        email=request.email,
        idempotency_key=request.idempotency_key,
        request_hash=hashlib.sha256(identity.encode()).hexdigest(),
        conversation_id=request.conversation_id,
        message=request.message,
    )


def _usage(completion: agent.Completion) -> turns.Usage:
    return turns.Usage(completion.model, completion.input_tokens, completion.output_tokens)


def _end_of(error: BaseException) -> tuple[str, bool]:
    """Tell why a turn ends, and whether for good; of a foreign error only the name, its text may hold anything."""
    if not isinstance(error, TaskchatError):
        return type(error).__name__, True
    return str(error), isinstance(error, ModelFailedError) and error.permanent


def _reply(conversation_id: int, replies: Sequence[turns.Reply], *, replayed: bool) -> ChatReply:
    *steps, final = replies
    tool_calls = [call for step in steps for call in step.tool_calls or ()]
    return ChatReply(conversation_id, final.message_id, final.content, tool_calls, replayed)
