"""Run many turns under injected faults, and check in SQL that each of them happened exactly once.

    python -m bench.chaos --turns 1000 --faults 250 --seed 1

Instances are killed and frozen. The pooler and the server restart, sessions are ended, and the database's clock leaps.
Clients send a request again until it is answered, as the documentation tells them to. Some leave their turn to the
worker and watch it, and some of those cancel it.
"""

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from sqlalchemy import URL

from bench import servers
from bench.frail import Fleet, InstanceLostError
from functions.migrate import app as migrate
from local.lambda_events import LambdaContext, http_event
from local.pgbouncer import Pooler, pooler
from local.postgres import Server, postgres_database, restartable_server
from local.queue import Queue

CLIENTS = 8
INSTANCES = 10
CONSUMERS = 2
SWEEP_SECONDS = 1.0
FREEZE_SECONDS = (1.0, 25.0)
THINK_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
"""Clients wait as long as `Retry-After` says, but no longer than this, to ask while the trouble lasts."""
TURN_SECONDS = 900.0
"""A turn that has no answer after this time counts as stuck. The worker's pauses add up to 425 s."""
SHARE_LEFT_TO_THE_WORKER, SHARE_CANCELLED = 0.3, 0.2
TEMPORARY = {409, 502, 503}
FINAL = {"finished", "cancelled"}

INVARIANTS: Mapping[str, str] = {
    "every turn is over": "SELECT id, status FROM turns WHERE status NOT IN ('finished', 'cancelled')",
    "a finished turn has one message, one step and one reply, in this order": """
        SELECT turn_id, array_agg(role || ' ' || (tool_calls IS NOT NULL) ORDER BY messages.id) FROM messages
        JOIN turns ON turns.id = turn_id WHERE status = 'finished' GROUP BY turn_id
        HAVING array_agg(role || ' ' || (tool_calls IS NOT NULL) ORDER BY messages.id)
               <> ARRAY['user false', 'assistant true', 'assistant false']""",
    "a cancelled turn has no reply": """
        SELECT turn_id FROM messages JOIN turns ON turns.id = turn_id
        WHERE status = 'cancelled' AND role = 'assistant' AND tool_calls IS NULL""",
    "a finished turn counts what two calls of the model used": """
        SELECT id, input_tokens, output_tokens FROM turns
        WHERE status = 'finished' AND (input_tokens, output_tokens) <> (200, 20)""",
    "every task is recorded exactly once": """
        SELECT tasks.id, count(recorded.id) FROM tasks LEFT JOIN (
            SELECT (call -> 'result' ->> 'id')::bigint AS id
            FROM messages, jsonb_array_elements(tool_calls) AS call WHERE tool_calls IS NOT NULL
        ) AS recorded ON recorded.id = tasks.id GROUP BY tasks.id HAVING count(recorded.id) <> 1""",
    "every recorded task exists and belongs to the person": """
        SELECT messages.id FROM messages JOIN conversations ON conversations.id = conversation_id,
            jsonb_array_elements(tool_calls) AS call
        WHERE tool_calls IS NOT NULL AND NOT EXISTS (
            SELECT FROM tasks WHERE tasks.id = (call -> 'result' ->> 'id')::bigint
                                AND tasks.user_id = conversations.user_id)""",
    "turns of a conversation do not interleave": """
        SELECT turn_id FROM (
            SELECT turn_id, conversation_id, min(id) AS first, max(id) AS last FROM messages GROUP BY 1, 2
        ) AS span WHERE EXISTS (
            SELECT FROM messages WHERE messages.conversation_id = span.conversation_id
            AND messages.turn_id <> span.turn_id AND messages.id BETWEEN span.first AND span.last)""",
    "every key has one turn": "SELECT user_id, idempotency_key FROM turns GROUP BY 1, 2 HAVING count(*) <> 1",
}
"""Queries that return no row, each under the sentence that holds then."""


@dataclass
class Run:
    """One run: its installation, and the answers and faults so far."""

    server: Server
    pooler: Pooler
    database: URL
    fleet: Fleet
    queue: Queue
    chance: random.Random
    is_over: threading.Event = field(default_factory=threading.Event)
    replies: dict[str, int] = field(default_factory=dict)
    """The id of the final message that each idempotency key was answered with."""
    cancelled: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    @property
    def turns(self) -> int:
        """The number of turns that are over."""
        return len(self.replies) + len(self.cancelled)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as a superuser, past the pooler, and return its rows."""
        url = self.server.superuser.set(drivername="postgresql", database=self.database.database)
        with closing(psycopg2.connect(url.render_as_string(hide_password=False))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []


def kill(run: Run) -> None:
    """Kill an instance that serves an invocation."""
    if busy := run.fleet.busy():
        run.chance.choice(busy).signal(signal.SIGKILL)


def freeze(run: Run) -> None:
    """Freeze an instance for a time that may outlast its lease."""
    if busy := run.fleet.busy():
        frozen = run.chance.choice(busy)
        frozen.signal(signal.SIGSTOP)
        threading.Timer(run.chance.uniform(*FREEZE_SECONDS), frozen.signal, [signal.SIGCONT]).start()


def restart_the_pooler(run: Run) -> None:
    """Cut all connections on both sides of the pooler, and refuse new ones for a moment."""
    run.pooler.restart(away_seconds=run.chance.uniform(0.0, 0.5)).join()


def restart_the_server(run: Run) -> None:
    """Stop the server, which rolls open transactions back, and start it again."""
    run.server.restart()


def end_sessions(run: Run) -> None:
    """End every session of the database on the server's side."""
    name = run.database.database
    run.query(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )


def leap(run: Run) -> None:
    """Make every lease look as if the database's clock had leapt an hour forwards or backwards."""
    hours = run.chance.choice([-1, 1])
    run.query(
        f"UPDATE turns SET lease_expires_at = lease_expires_at + interval '{hours} hour' "
        "WHERE status IN ('queued', 'running', 'interrupted')"
    )


FAULTS: Mapping[Callable[[Run], None], int] = {
    kill: 30,
    freeze: 20,
    restart_the_pooler: 15,
    end_sessions: 15,
    leap: 15,
    restart_the_server: 5,
}
"""The faults, and how often each is chosen."""


def client(run: Run, user: str, turns: int) -> None:
    """Send messages to one conversation, one after the other, each until it is answered."""
    chance = random.Random(user)  # noqa: S311 - the same choices on every run
    conversation: int | None = None
    for _ in range(turns):
        key = str(uuid.uuid4())
        answered = _turn(run, user, key, conversation, chance)
        if answered is None:
            run.violations.append(f"the turn of key {key} was not over after {TURN_SECONDS:.0f} s")
            return
        conversation = answered


def _turn(run: Run, user: str, key: str, conversation: int | None, chance: random.Random) -> int | None:
    """Ask until the turn is over, and return its conversation."""
    is_left = chance.random() < SHARE_LEFT_TO_THE_WORKER
    is_cancelled = is_left and chance.random() < SHARE_CANCELLED
    body = {"message": "Add a task to buy groceries", "conversation_id": conversation}
    headers = {"idempotency-key": key} | ({"prefer": "respond-async"} if is_left else {})
    end = time.monotonic() + TURN_SECONDS
    while time.monotonic() < end:
        status, answer, pause = _ask(run, http_event("POST", "/chat", body=body, headers=headers, user=user))
        if status == 200:
            run.replies[key] = answer["message_id"]
            return int(answer["conversation_id"])
        if status == 202 and is_cancelled:
            path = f"/turns/{answer['id']}"
            deleted, _, _ = _ask(run, http_event("DELETE", path, user=user))
            if deleted == 204:
                run.cancelled.add(key)
                return int(answer["conversation_id"])
        elif status == 409 and answer.get("code") == "turn-cancelled":
            # The answer to the DELETE was lost.
            run.cancelled.add(key)
            return int(run.query(f"SELECT conversation_id FROM turns WHERE idempotency_key = '{key}'")[0][0])
        elif status not in (0, 202, *TEMPORARY):
            run.violations.append(f"POST /chat answered {status}: {answer}")
            return None
        time.sleep(min(pause, LONGEST_PAUSE_SECONDS))
    return None


def _ask(run: Run, event: Mapping[str, Any]) -> tuple[int, Any, float]:
    """Return status, body and pause; the status is 0 if the instance was lost."""
    try:
        answer = run.fleet.invoke("functions.chat.app", event)
    except InstanceLostError:
        run.lost += 1
        return 0, {}, 0.0
    status = int(answer.get("statusCode", 500))
    run.statuses[status] += 1
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    body = json.loads(answer["body"]) if answer.get("body") else answer
    return status, body, float(headers.get("retry-after", 0.2))


def consume(run: Run) -> None:
    """Bring messages of the queue to the worker, as Lambda does; one that fails comes again."""
    while (message := run.queue.receive()) is not None:
        record = {"messageId": message.id, "body": message.body, "eventSource": "aws:sqs", "attributes": {}}
        try:
            answer = run.fleet.invoke("functions.worker.app", {"Records": [record]})
        except InstanceLostError:
            answer = {"errorType": "lost"}
        if "errorType" in answer or answer["batchItemFailures"]:
            run.queue.return_failed(message)


def sweep(run: Run) -> None:
    """Invoke the sweep again and again."""
    while not run.is_over.wait(SWEEP_SECONDS):
        with suppress(InstanceLostError):
            run.fleet.invoke("functions.worker.app", {"action": "sweep"})


def inject(run: Run, turns: int, faults: int) -> None:
    """Inject the faults, spread over the turns."""
    for number in range(faults):
        while run.turns < turns * number / faults:
            if run.is_over.wait(0.02):
                return
        [fault] = run.chance.choices(list(FAULTS), list(FAULTS.values()))
        fault(run)
        run.faults[fault.__name__] += 1


def measure(turns: int, faults: int, seed: int) -> Run:
    """Run the turns under the faults, and check the invariants."""
    with ExitStack() as stack:
        server = stack.enter_context(restartable_server())
        database = stack.enter_context(postgres_database(server.url))
        running = stack.enter_context(pooler(server.url, pool_size=5))
        model, model_url = stack.enter_context(servers.model())
        model.ask("think", seconds=THINK_SECONDS)
        waiting = Queue(retry_seconds=0.5)
        os.environ.update(servers.environment(database, model_url))
        context: Any = LambdaContext(function_name="migrate")
        migrate.handler({}, context)
        os.environ.update(
            DATABASE_URL=running.to(database).replace("+psycopg2", ""),
            MODEL_TIMEOUT_SECONDS="3",
            DATABASE_DEADLINE_SECONDS="4",
            POWERTOOLS_LOG_LEVEL="WARNING",
        )
        waiting.configure(os.environ)
        run = Run(server, running, database, Fleet(INSTANCES), waiting, random.Random(seed))  # noqa: S311 - see --seed
        share = -(-turns // CLIENTS)
        clients = [threading.Thread(target=client, args=(run, f"{seed} {each}", share)) for each in range(CLIENTS)]
        others = [threading.Thread(target=consume, args=(run,)) for _ in range(CONSUMERS)]
        others += [threading.Thread(target=sweep, args=(run,))]
        others += [threading.Thread(target=inject, args=(run, turns, faults))]
        with waiting:
            for thread in (*clients, *others):
                thread.start()
            for thread in clients:
                thread.join()
            run.is_over.set()
        for thread in others:
            thread.join()
        # Frozen instances go on and find that they hold nothing.
        time.sleep(FREEZE_SECONDS[1] if run.faults["freeze"] else 0)
        _check(run)
    return run


def _check(run: Run) -> None:
    for sentence, query in INVARIANTS.items():
        if rows := run.query(query):
            run.violations.append(f"broken: {sentence}: {rows[:3]}")
    finals = dict(
        run.query(
            "SELECT idempotency_key, messages.id FROM turns JOIN messages ON turn_id = turns.id "
            "WHERE status = 'finished' AND role = 'assistant' AND tool_calls IS NULL"
        )
    )
    if finals != run.replies:
        run.violations.append("broken: every client was told the reply that is recorded")


def main() -> int:
    """Run, print what happened, and return 1 if an invariant is broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description="Run turns under injected faults.")
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    begin = time.monotonic()
    run = measure(chosen.turns, chosen.faults, chosen.seed)
    print(f"{len(run.replies)} turns finished, {len(run.cancelled)} cancelled, in {time.monotonic() - begin:.0f} s")
    print(f"{run.faults.total()} faults: {dict(run.faults)}")
    print(f"answers: {dict(run.statuses)}; {run.lost} invocations without an answer")
    print("\n".join(run.violations) or f"all {len(INVARIANTS) + 1} invariants hold")
    return bool(run.violations)


if __name__ == "__main__":
    sys.exit(main())
