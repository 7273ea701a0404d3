"""One turn from message to reply: the durable turn around the agent's loop.

`Chat.answer` serves the person's request, and `Chat.resume` the worker. Both begin in their own way and then share
`Chat._carry_on`. A turn that stops before its end is queued for the worker, after the transaction that gives it back.
If the process dies in between, the sweep (`Chat.sweep`) queues it.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

from taskchat import agent, conversations, time_zones, turns
from taskchat.database import Database
from taskchat.errors import (
    ConversationBusyError,
    DatabaseUnavailableError,
    ModelFailedError,
    ModelRateLimitedError,
    TaskchatError,
    TurnCancelledError,
    TurnInterruptedError,
    TurnSupersededError,
)
from taskchat.json_values import compact_json
from taskchat.limits import NO_LIMITS, Limits
from taskchat.principal import Principal
from taskchat.queue import LONGEST_DELAY_SECONDS, Queue
from taskchat.toolkit import ToolRequest, refuse
from taskchat.tools import call

RESERVED_SECONDS = 2.0
"""Time kept back from the model for recording its answer."""
SHORTEST_ANSWER_SECONDS = agent.SHORTEST_MODEL_CALL_SECONDS + RESERVED_SECONDS
"""With no more time than this, `Chat.answer` makes no call of the model, because beginning takes time, too."""
LEASE_MARGIN_SECONDS = 1.0
FIRST_BACK_OFF_SECONDS = 5.0
"""The worker's pause after a first attempt that recorded no step. It grows fourfold: 5, 20, 80, 320 s."""
SWEPT_AT_ONCE = 100
RECORDED_CHARACTERS = 400_000
"""Characters of a turn's tool calls with their results, after which further calls are refused."""
_TOO_MUCH = (
    "Nothing was done: the results of this turn are too long together. Answer with what is known, and tell the person "
    "what is left to do."
)

Result = TypeVar("Result")
History: TypeAlias = Sequence[conversations.WindowMessage]
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChatRequest:
    """A person's message, trimmed and not empty. The idempotency key names its turn."""

    principal: Principal
    idempotency_key: str
    message: str
    conversation_id: int | None
    time_zone: tzinfo
    replaces_turn_id: uuid.UUID | None = None


@dataclass(frozen=True)
class ChatReply:
    """The reply; `tool_calls` are elements of the audit trail, and `replayed` marks a stored reply."""

    turn_id: uuid.UUID
    conversation_id: int
    message_id: int
    response: str
    tool_calls: Sequence[Mapping[str, Any]]
    replayed: bool = False


@dataclass(frozen=True)
class Chat:
    """Answers messages. `model_timeout_seconds` bounds one model call, the two fields after it the history window.

    Without a `queue`, a turn that stops before its end waits for its client to send the request again.
    """

    database: Database
    provider: agent.Provider
    model_timeout_seconds: float
    history_messages: int
    history_tokens: int
    queue: Queue | None = None
    limits: Limits = NO_LIMITS

    def answer(self, request: ChatRequest, seconds_left: Callable[[], float]) -> ChatReply:
        """Run the turn to its end, starting after its last recorded step, within `seconds_left`.

        Raises:
            TaskchatError: the turn could not begin or could not finish. Recorded steps are kept.
        """
        budget = _Budget(self.model_timeout_seconds, seconds_left)
        turn_request = _turn_request(request)
        token = uuid.uuid4()

        def begin(connection: Connection) -> tuple[turns.StartedTurn, History] | turns.FinishedTurn:
            turn = turns.begin(connection, turn_request, token, budget.lease_seconds(), self.limits)
            if isinstance(turn, turns.FinishedTurn):
                return turn
            if request.conversation_id is None and request.replaces_turn_id is None:
                return turn, ()
            return turn, self._history(connection, request.principal.user_id, turn.lease)

        begun = self.database.transaction(request.principal.user_id, begin, seconds_left=seconds_left)
        if isinstance(begun, turns.FinishedTurn):
            return _replayed(begun)
        started, history = begun
        assignment = _Assignment(started, request.principal, request.message, request.time_zone)
        return self._carry_on(assignment, budget, lambda: history)

    def accept(self, request: ChatRequest, seconds_left: Callable[[], float]) -> uuid.UUID | ChatReply:
        """Record the message and leave its turn to the worker; return the turn's id, or the reply that it has already.

        Raises:
            TaskchatError: the turn cannot begin.
        """
        turn_request = _turn_request(request)
        accepted = self.database.transaction(
            request.principal.user_id,
            lambda connection: turns.accept(connection, turn_request, self.limits),
            seconds_left=seconds_left,
        )
        if isinstance(accepted, turns.FinishedTurn):
            return _replayed(accepted)
        if not accepted.is_running:
            self._send(accepted.turn_id)
        return accepted.turn_id

    def resume(self, turn_id: uuid.UUID, seconds_left: Callable[[], float]) -> ChatReply | None:
        """Carry a turn to its end without its client. Return None if it is over, unknown or held by somebody.

        Raises:
            TaskchatError: the turn could not finish. It is failed, or queued for another attempt.
        """
        budget = _Budget(self.model_timeout_seconds, seconds_left)
        token = uuid.uuid4()

        try:
            taken = self.database.turn_transaction(
                turn_id,
                lambda connection: turns.take(connection, turn_id, token, budget.lease_seconds()),
                seconds_left=seconds_left,
            )
        except ConversationBusyError as busy:
            self._send(turn_id, busy.retry_after_seconds)
            raise
        if taken is None:
            return None

        def load_history(connection: Connection) -> History:
            return self._history(connection, taken.principal.user_id, taken.started.lease)

        assignment = _Assignment(taken.started, taken.principal, taken.message, _time_zone(taken.time_zone))
        # In a transaction of its own: a history that cannot be read is a fault of the turn, and counts as an attempt.
        return self._carry_on(
            assignment,
            budget,
            lambda: self.database.transaction(taken.principal.user_id, load_history, seconds_left=seconds_left),
        )

    def sweep(self, seconds_left: Callable[[], float]) -> int:
        """Queue unfinished turns without a worker, delete old keys, and return the number of queued turns."""
        found = self.database.sweep_transaction(
            lambda connection: turns.unfinished(connection, SWEPT_AT_ONCE), seconds_left=seconds_left
        )
        for turn_id in found:
            self._send(turn_id)
        self.database.sweep_transaction(
            lambda connection: turns.forget_old_keys(connection, SWEPT_AT_ONCE), seconds_left=seconds_left
        )
        return len(found)

    def turn(self, user_id: uuid.UUID, turn_id: uuid.UUID, seconds_left: Callable[[], float]) -> turns.TurnRecord:
        """Return a turn of a person.

        Raises:
            NotFoundError: the person has no such turn.
        """
        return self.database.transaction(
            user_id, lambda connection: turns.get(connection, user_id, turn_id), seconds_left=seconds_left
        )

    def cancel(self, user_id: uuid.UUID, turn_id: uuid.UUID, seconds_left: Callable[[], float]) -> None:
        """Cancel a turn of a person; see `turns.cancel`."""
        self.database.transaction(
            user_id, lambda connection: turns.cancel(connection, user_id, turn_id), seconds_left=seconds_left
        )

    def _history(self, connection: Connection, user_id: uuid.UUID, lease: turns.Lease) -> History:
        return conversations.load_window(
            connection,
            user_id,
            lease.conversation_id,
            messages=self.history_messages,
            tokens=self.history_tokens,
            before_turn=lease.turn_id,
        )

    def _carry_on(self, assignment: "_Assignment", budget: "_Budget", history: Callable[[], History]) -> ChatReply:
        """Let the agent work on a turn whose lease this invocation holds. `history` is called once."""
        started = assignment.started
        turn = _RunningTurn(
            self.database,
            assignment,
            budget,
            self._send,
            started.lease,
            started.idle_attempts,
            _tool_calls(started.steps),
        )
        with turn.given_back_on_error():
            answer = agent.run(
                self.provider,
                _question(assignment, history()),
                record_step=turn.record_step,
                model_seconds=budget.model_seconds,
            )
            return turn.finish(answer)

    def _send(self, turn_id: uuid.UUID, delay_seconds: float = 0.0) -> None:
        if self.queue is not None:
            self.queue.send(turn_id, delay_seconds)


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
class _Assignment:
    """A turn to work on, with its person, message and time zone."""

    started: turns.StartedTurn
    principal: Principal
    message: str
    time_zone: tzinfo


@dataclass
class _RunningTurn:
    """A turn whose lease this invocation holds. `send` queues it for the worker, in so many seconds."""

    database: Database
    assignment: _Assignment
    budget: _Budget
    send: Callable[[uuid.UUID, float], None]
    lease: turns.Lease
    idle_attempts: int
    tool_calls: list[Mapping[str, Any]] = field(default_factory=list)

    def record_step(self, completion: agent.Completion) -> Sequence[Mapping[str, Any]]:
        """Run the tools that the model asked for and record them, in one transaction."""
        renewed = self.lease.renewed()

        def write_step(connection: Connection) -> Sequence[Mapping[str, Any]]:
            calls = self._run_tools(connection, completion.requests)
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

        calls = self._write(write_step, renewed, lambda recorded: recorded.tool_calls or [])
        self.tool_calls.extend(calls)
        self.idle_attempts = 0
        return calls

    def _run_tools(self, connection: Connection, requests: Sequence[ToolRequest]) -> Sequence[Mapping[str, Any]]:
        """Run tools until the turn's records are too long together, and refuse the calls after that."""
        calls: list[Mapping[str, Any]] = []
        used = sum(len(compact_json(recorded)) for recorded in self.tool_calls)
        for request in requests:
            if used > RECORDED_CHARACTERS:
                record = refuse(request, "limit-reached", _TOO_MUCH)
            else:
                record = call(
                    connection,
                    request,
                    user_id=self.assignment.principal.user_id,
                    time_zone=self.assignment.time_zone,
                    turn_id=self.lease.turn_id,
                    earlier_calls=[*self.tool_calls, *calls],
                )
            calls.append(record)
            used += len(compact_json(record))
        return calls

    def finish(self, completion: agent.Completion) -> ChatReply:
        """Record the final reply and close the turn."""
        renewed = self.lease.renewed()

        def write_reply(connection: Connection) -> int:
            return turns.finish(
                connection,
                self.lease,
                renewed,
                content=completion.content,
                usage=_usage(completion),
                model_context=completion.model_context,
            )

        message_id = self._write(write_reply, renewed, lambda recorded: recorded.message_id)
        return ChatReply(
            self.lease.turn_id, self.lease.conversation_id, message_id, completion.content, self.tool_calls
        )

    def _write(
        self, work: Callable[[Connection], Result], renewed: turns.Lease, result_of: Callable[[turns.Reply], Result]
    ) -> Result:
        """Run a transaction that renews the lease. If its COMMIT was applied but not answered, read its result."""
        try:
            result = self._transaction(work)
        except TurnSupersededError:
            recorded = self._transaction(lambda connection: turns.recorded(connection, renewed))
            if recorded is None:
                raise
            result = result_of(recorded[-1])
        self.lease = renewed
        return result

    def _transaction(self, work: Callable[[Connection], Result]) -> Result:
        user_id = self.assignment.principal.user_id
        return self.database.transaction(user_id, work, seconds_left=self.budget.seconds_left)

    @contextmanager
    def given_back_on_error(self) -> Iterator[None]:
        """Give the lease back if the block fails, so that the worker or the same request can continue at once."""
        try:
            yield
        except (TurnSupersededError, TurnCancelledError):
            raise
        # An interrupt or an exit ends the work on the turn too, and the lease would hold the next attempt up.
        except BaseException as error:
            if isinstance(error, TaskchatError):
                error.turn_id = self.lease.turn_id
            self._give_back(error)
            raise

    def _give_back(self, error: BaseException) -> None:
        reason, is_permanent = _reason(error)
        is_permanent = is_permanent or self.idle_attempts >= turns.MOST_IDLE_ATTEMPTS
        delay_seconds = self._delay_seconds(error)
        try:
            was_held = self._transaction(
                lambda connection: turns.interrupt(
                    connection, self.lease, reason, is_permanent=is_permanent, resume_after_seconds=delay_seconds
                )
            )
        except DatabaseUnavailableError:
            # The error that ended the turn says more to the client. The lease expires by itself, and the sweep goes on.
            _logger.warning("the lease of an interrupted turn could not be given back")
            return
        if was_held and not is_permanent:
            self.send(self.lease.turn_id, delay_seconds)

    def _delay_seconds(self, error: BaseException) -> float:
        """Return the worker's delay: 0 if time ran out after a step, else longer after each attempt without one."""
        if self.idle_attempts == 0 and isinstance(error, TurnInterruptedError):
            return 0.0
        back_off = FIRST_BACK_OFF_SECONDS * 4.0 ** max(0, self.idle_attempts - 1)
        asked = error.retry_after_seconds if isinstance(error, ModelRateLimitedError) else 0.0
        return min(max(back_off, float(asked)), LONGEST_DELAY_SECONDS)


def _turn_request(request: ChatRequest) -> turns.TurnRequest:
    return turns.TurnRequest(
        principal=request.principal,
        idempotency_key=request.idempotency_key,
        request_hash=_hash(request),
        conversation_id=request.conversation_id,
        message=request.message,
        message_context=agent.time_context(datetime.now(request.time_zone)),
        time_zone=str(request.time_zone),
        replaces_turn_id=request.replaces_turn_id,
    )


def _time_zone(name: str | None) -> tzinfo:
    """Return the time zone that is stored with a turn; UTC for none, and for one that is no longer known."""
    try:
        return time_zones.parse(name or "")
    except ValueError:
        return UTC


def _replayed(turn: turns.FinishedTurn) -> ChatReply:
    *steps, final = turn.replies
    return ChatReply(
        turn.turn_id, turn.conversation_id, final.message_id, final.content, _tool_calls(steps), replayed=True
    )


def _question(assignment: _Assignment, history: History) -> agent.Question:
    """Return the turn for the model: history, the person's message, the steps so far."""
    started, user_id = assignment.started, assignment.principal.user_id
    return agent.Question(
        message=assignment.message,
        context=started.message_context or {},
        history=history,
        steps=started.steps,
        provider_state=started.provider_state,
        conversation_key=_opaque(f"conversation {started.lease.conversation_id} of {user_id}"),
        user_key=_opaque(f"user {user_id}"),
    )


def _opaque(name: str) -> str:
    """Return a stable pseudonym for the model's provider."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _hash(request: ChatRequest) -> str:
    identity = [request.message, request.conversation_id, str(request.time_zone)]
    if request.replaces_turn_id is not None:
        identity.append(str(request.replaces_turn_id))
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _usage(completion: agent.Completion) -> turns.Usage:
    usage = completion.usage
    return turns.Usage(
        completion.model, usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens
    )


def _tool_calls(steps: Sequence[turns.Reply]) -> list[Mapping[str, Any]]:
    return [call for step in steps for call in step.tool_calls or ()]


def _reason(error: BaseException) -> tuple[str, bool]:
    """Return the reason for a turn's end, and whether it is permanent. Foreign errors show their type only."""
    if not isinstance(error, TaskchatError):
        return type(error).__name__, True
    return str(error), isinstance(error, ModelFailedError) and error.permanent
