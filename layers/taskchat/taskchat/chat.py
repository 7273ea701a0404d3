"""One turn from message to reply: the durable turn around the agent's loop."""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, TypeVar

from sqlalchemy import Connection

from taskchat import agent, conversations, turns
from taskchat.database import Database
from taskchat.errors import DatabaseUnavailableError, ModelFailedError, TaskchatError, TurnSupersededError
from taskchat.principal import Principal
from taskchat.tools import call

RESERVED_SECONDS = 2.0
"""Time kept back from the model for recording its answer."""
LEASE_MARGIN_SECONDS = 1.0

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChatRequest:
    """A person's message, trimmed and not empty. The idempotency key names its turn."""

    principal: Principal
    idempotency_key: str
    message: str
    conversation_id: int | None
    time_zone: tzinfo


@dataclass(frozen=True)
class ChatReply:
    """The reply; `tool_calls` are elements of the audit trail, and `replayed` marks a stored reply."""

    conversation_id: int
    message_id: int
    response: str
    tool_calls: Sequence[Mapping[str, Any]]
    replayed: bool = False


@dataclass(frozen=True)
class Chat:
    """Answers messages. `model_timeout_seconds` bounds one model call, the last two fields bound the history window."""

    database: Database
    provider: agent.Provider
    model_timeout_seconds: float
    history_messages: int
    history_tokens: int

    def answer(self, request: ChatRequest, seconds_left: Callable[[], float]) -> ChatReply:
        """Carry the turn to its end, from wherever it stands, within the `seconds_left` of this invocation.

        Raises:
            TaskchatError: the turn could not begin or could not finish. Recorded steps are kept.
        """
        budget = _Budget(self.model_timeout_seconds, seconds_left)
        started = self._begin(request, budget)
        if isinstance(started, turns.FinishedTurn):
            *steps, final = started.replies
            return ChatReply(
                started.conversation_id, final.message_id, final.content, _tool_calls(steps), replayed=True
            )
        turn = _RunningTurn(self.database, request, budget, started.turn.lease, _tool_calls(started.turn.steps))
        with turn.given_back_on_error():
            answer = agent.run(
                self.provider,
                _question(request, started),
                record_step=turn.record_step,
                model_seconds=budget.model_seconds,
            )
            return turn.finish(answer)

    def _begin(self, request: ChatRequest, budget: "_Budget") -> "_Started | turns.FinishedTurn":
        turn_request = turns.TurnRequest(
            principal=request.principal,
            idempotency_key=request.idempotency_key,
            request_hash=_hash(request),
            conversation_id=request.conversation_id,
            message=request.message,
            message_context=agent.time_context(datetime.now(request.time_zone)),
        )
        token = uuid.uuid4()

        def work(connection: Connection) -> _Started | turns.FinishedTurn:
            turn = turns.begin(connection, turn_request, token, budget.lease_seconds())
            if isinstance(turn, turns.FinishedTurn):
                return turn
            if request.conversation_id is None:
                return _Started(turn, history=[])
            history = conversations.load_window(
                connection,
                request.principal.user_id,
                request.conversation_id,
                messages=self.history_messages,
                tokens=self.history_tokens,
                before_turn=turn.lease.turn_id,
            )
            return _Started(turn, history)

        return self.database.transaction(work, seconds_left=budget.seconds_left)


@dataclass(frozen=True)
class _Budget:
    model_timeout_seconds: float
    seconds_left: Callable[[], float]

    def model_seconds(self) -> float:
        return min(self.model_timeout_seconds, self.seconds_left() - RESERVED_SECONDS)

    def lease_seconds(self) -> float:
        """Return the longest time that one model call and the write after it may take."""
        return max(0.0, self.model_seconds()) + RESERVED_SECONDS + LEASE_MARGIN_SECONDS


@dataclass(frozen=True)
class _Started:
    turn: turns.StartedTurn
    history: Sequence[conversations.WindowMessage]


@dataclass
class _RunningTurn:
    """A turn whose lease this invocation holds."""

    database: Database
    request: ChatRequest
    budget: _Budget
    lease: turns.Lease
    tool_calls: list[Mapping[str, Any]] = field(default_factory=list)

    def record_step(self, completion: agent.Completion) -> Sequence[Mapping[str, Any]]:
        """Run the tools that the model asked for and record them, in one transaction."""
        renewed = self.lease.renewed()

        def work(connection: Connection) -> Sequence[Mapping[str, Any]]:
            calls = [
                call(connection, request, user_id=self.request.principal.user_id, time_zone=self.request.time_zone)
                for request in completion.requests
            ]
            turns.record_step(
                connection,
                self.lease,
                renewed,
                self.budget.lease_seconds(),
                content=completion.content,
                tool_calls=calls,
                usage=_usage(completion),
                model_context=completion.model_context,
                provider_state=completion.provider_state,
            )
            return calls

        calls = self._write(work, renewed, lambda recorded: recorded.tool_calls or [])
        self.tool_calls.extend(calls)
        return calls

    def finish(self, completion: agent.Completion) -> ChatReply:
        """Record the final reply and close the turn."""
        renewed = self.lease.renewed()

        def work(connection: Connection) -> int:
            return turns.finish(
                connection,
                self.lease,
                renewed,
                content=completion.content,
                usage=_usage(completion),
                model_context=completion.model_context,
            )

        message_id = self._write(work, renewed, lambda recorded: recorded.message_id)
        return ChatReply(self.lease.conversation_id, message_id, completion.content, self.tool_calls)

    def _write(
        self, work: Callable[[Connection], Result], renewed: turns.Lease, result_of: Callable[[turns.Reply], Result]
    ) -> Result:
        """Run a transaction that renews the lease. If its COMMIT was applied but not answered, read its result."""
        try:
            result = self.database.transaction(work, seconds_left=self.budget.seconds_left)
        except TurnSupersededError:
            recorded = self.database.transaction(
                lambda connection: turns.recorded(connection, renewed), seconds_left=self.budget.seconds_left
            )
            if recorded is None:
                raise
            result = result_of(recorded[-1])
        self.lease = renewed
        return result

    @contextmanager
    def given_back_on_error(self) -> Iterator[None]:
        """Give the lease back if the block fails, so that the same request can continue at once."""
        try:
            yield
        except TurnSupersededError:
            raise
        except BaseException as error:
            reason, is_permanent = _reason(error)
            try:
                self.database.transaction(
                    lambda connection: turns.interrupt(connection, self.lease, reason, is_permanent=is_permanent),
                    seconds_left=self.budget.seconds_left,
                )
            except DatabaseUnavailableError:
                # The error that ended the turn says more to the client. The lease expires by itself.
                _logger.warning("the lease of an interrupted turn could not be given back")
            raise


def _question(request: ChatRequest, started: _Started) -> agent.Question:
    """Return the turn for the model: history, the person's message, the steps so far."""
    turn = started.turn
    return agent.Question(
        message=request.message,
        context=turn.message_context or {},
        history=started.history,
        steps=turn.steps,
        provider_state=turn.provider_state,
        conversation_key=_opaque(f"conversation {turn.lease.conversation_id} of {request.principal.user_id}"),
        user_key=_opaque(f"user {request.principal.user_id}"),
    )


def _opaque(name: str) -> str:
    """Return a name for the model's provider, from which it cannot learn whose it is."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _hash(request: ChatRequest) -> str:
    identity = json.dumps([request.message, request.conversation_id, str(request.time_zone)])
    return hashlib.sha256(identity.encode()).hexdigest()


def _usage(completion: agent.Completion) -> turns.Usage:
    usage = completion.usage
    return turns.Usage(
        completion.model, usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens
    )


def _tool_calls(steps: Sequence[turns.Reply]) -> list[Mapping[str, Any]]:
    return [call for step in steps for call in step.tool_calls or ()]


def _reason(error: BaseException) -> tuple[str, bool]:
    """Return why a turn ends, and whether for good. Only our own errors are quoted, as others may hold anything."""
    if not isinstance(error, TaskchatError):
        return type(error).__name__, True
    return str(error), isinstance(error, ModelFailedError) and error.permanent
