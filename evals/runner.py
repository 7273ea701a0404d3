"""Run a case through the chat function's handler, over the database and the provider that the environment names."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any, TypeVar
from unittest.mock import patch
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, insert, select

from evals.case import EvalCase, Outcome, Seed, TaskState
from functions.chat import app
from local.lambda_events import Answer, http_event, invoke
from taskchat import chat, conversations
from taskchat.database import database
from taskchat.models import MESSAGES, TASKS, TURNS, Priority, Role
from taskchat.principal import Principal, from_event
from taskchat.tasks import queries

TRIES = 4
LONGEST_WAIT_SECONDS = 60
_END_OF_DAY = "23:59:59"
_TRY_AGAIN = frozenset([409, 429, 502, 503])
Result = TypeVar("Result")


def run_case(case: EvalCase) -> Outcome:
    """Play the person of a case, who has an account of their own, and return what came of it."""
    user = f"eval-{uuid.uuid4()}"
    principal = from_event(http_event("POST", "/chat", user=user))
    zone = ZoneInfo(case.time_zone)
    ids, conversation_id = _in_transaction(principal, lambda connection: _prepare(connection, principal, case, zone))
    before = _states(principal, zone)
    replies: list[str] = []
    calls: list[Sequence[Any]] = []
    error = None
    begin = time.perf_counter()
    with _clock(datetime.fromisoformat(case.now)):
        for message in case.says:
            body = {
                "message": message.format(*ids),
                "timezone": case.time_zone,
                "conversation_id": conversation_id,
            }
            answer = _post(body, user)
            if answer.status != 200:
                error = f"{answer.status} {answer.body.get('code')}: {answer.body.get('detail')}"
                break
            conversation_id = answer.body["conversation_id"]
            replies.append(answer.body["response"])
            calls.append(answer.body["tool_calls"])
    seconds = time.perf_counter() - begin
    input_tokens, cached_tokens, output_tokens = _tokens(principal)
    return Outcome(
        before=before,
        after=_states(principal, zone),
        replies=replies,
        calls=calls,
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
        output_tokens=output_tokens,
        seconds=seconds,
        error=error,
    )


def faults(case: EvalCase, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome; nothing if the case passed."""
    if outcome.error is not None:
        return [f"a message got no reply: {outcome.error}"]
    return [fault for check in case.checks if (fault := check(outcome)) is not None]


def _post(body: dict[str, Any], user: str) -> Answer:
    """Send a message; a refusal that waiting helps against is waited for, and the message sent again."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for left in reversed(range(TRIES)):
        answer = invoke(app.handler, http_event("POST", "/chat", body=body, user=user, headers=key))
        if answer.status not in _TRY_AGAIN or not left:
            break
        wait_seconds = float(answer.headers.get("retry-after", 1))
        time.sleep(min(wait_seconds, LONGEST_WAIT_SECONDS))
    return answer


@contextmanager
def _clock(local: datetime) -> Iterator[None]:
    """Let turns that begin in the block begin at a local time, whatever the time zone of the request."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return local.replace(tzinfo=tz)

    with patch.object(chat, "datetime", Clock):
        yield


def _in_transaction(principal: Principal, work: Callable[[Connection], Result]) -> Result:
    return database().transaction(principal.user_id, work)


def _prepare(
    connection: Connection, principal: Principal, case: EvalCase, zone: ZoneInfo
) -> tuple[list[int], int | None]:
    """Store the case's tasks and what was said before; return the ids of the tasks and of the conversation."""
    conversations.lock_person(connection, principal)
    ids = [_create(connection, principal, seed, zone) for seed in case.tasks]
    if not case.past:
        return ids, None
    conversation_id = conversations.create(connection, principal.user_id, case.past[0][0])
    for message, reply in case.past:
        for role, content in ((Role.USER, message), (Role.ASSISTANT, reply)):
            row = {"conversation_id": conversation_id, "role": role, "content": content.format(*ids)}
            connection.execute(insert(MESSAGES).values(row))
    return ids, conversation_id


def _create(connection: Connection, principal: Principal, seed: Seed, zone: ZoneInfo) -> int:
    task = queries.create(
        connection,
        principal.user_id,
        title=seed.title,
        description=seed.description,
        priority=Priority(seed.priority),
        due_at=_instant(seed.due, zone),
    )
    if seed.completed:
        queries.complete(connection, principal.user_id, task.id)
    return task.id


def _instant(due: str | None, zone: ZoneInfo) -> datetime | None:
    if due is None:
        return None
    return datetime.fromisoformat(due if "T" in due else f"{due}T{_END_OF_DAY}").replace(tzinfo=zone)


def _states(principal: Principal, zone: ZoneInfo) -> list[TaskState]:
    columns = (
        TASKS.c.id,
        TASKS.c.title,
        TASKS.c.description,
        TASKS.c.priority,
        TASKS.c.due_at,
        TASKS.c.completed,
    )
    statement = select(*columns).where(TASKS.c.user_id == principal.user_id).order_by(TASKS.c.id)
    rows = _in_transaction(principal, lambda connection: connection.execute(statement).all())
    return [
        TaskState(
            id=row.id,
            title=row.title,
            description=row.description,
            priority=str(row.priority),
            due=None if row.due_at is None else row.due_at.astimezone(zone),
            completed=row.completed,
        )
        for row in rows
    ]


def _tokens(principal: Principal) -> tuple[int, int, int]:
    columns = (TURNS.c.input_tokens, TURNS.c.cached_tokens, TURNS.c.output_tokens)
    statement = select(*(func.coalesce(func.sum(column), 0) for column in columns))
    statement = statement.where(TURNS.c.user_id == principal.user_id)
    row = _in_transaction(principal, lambda connection: connection.execute(statement).one())
    given, cached, made = (int(value) for value in row)
    return given, cached, made


def described(outcome: Outcome) -> str:
    """Return what was said and done, for a person who looks into a case."""
    turns = zip(outcome.replies, outcome.calls, strict=True)
    return "\n".join(
        f"  {[call['tool'] + json.dumps(call['arguments'], ensure_ascii=False) for call in calls]} -> {reply}"
        for reply, calls in turns
    )
