"""Many instances of the chat function: forked from a process that has imported it, with connections of their own."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

from bench.subject import MESSAGE, function_variables
from bench.worker import Command, serve

os.environ |= {**function_variables(), "POWERTOOLS_LOG_LEVEL": "WARNING"}

from functions.chat import app as chat
from functions.migrate import app as migrate
from tests.support.lambda_events import LambdaContext, http_event, invoke

WARM_UP_TURNS = 2
BATCH = 8


def migrate_database() -> None:
    """Make the tables."""
    context: Any = LambdaContext(function_name="migrate")
    migrate.handler({}, context)


def run(instances: int, seconds: float) -> Mapping[str, Any]:
    """Let each instance, once all are warm, carry one turn after another; return what each turn took, in seconds."""
    warm, go = os.pipe(), os.pipe()
    pipes: list[tuple[int, int]] = []
    while len(pipes) < instances:
        # A few at a time: cold starts are another table.
        batch = min(BATCH, instances - len(pipes))
        pipes += [_fork(seconds, warm[1], go) for _ in range(batch)]
        for _ in range(batch):
            os.read(warm[0], 1)
    begin = time.monotonic()
    os.close(go[1])
    taken: list[float] = []
    failed = 0
    for process_id, pipe in pipes:
        with os.fdopen(pipe) as results:
            found = json.load(results)
        os.waitpid(process_id, 0)
        taken += found["taken"]
        failed += found["failed"]
    for descriptor in (*warm, go[0]):
        os.close(descriptor)
    return {"taken": taken, "failed": failed, "seconds": time.monotonic() - begin}


def _fork(seconds: float, warm: int, go: tuple[int, int]) -> tuple[int, int]:
    read, write = os.pipe()
    process_id = os.fork()
    if process_id:
        os.close(write)
        return process_id, read
    try:
        os.close(go[1])
        instance = _Instance()
        for _ in range(WARM_UP_TURNS):
            instance.turn()
        os.write(warm, b".")
        # Nothing is ever written there: this ends when the parent closes it.
        os.read(go[0], 1)
        taken = instance.turns(seconds)
        with os.fdopen(write, "w") as results:
            json.dump({"taken": taken, "failed": instance.failed}, results)
    finally:
        os._exit(0)


class _Instance:
    """One instance, with one person's conversation."""

    def __init__(self) -> None:
        # A loop's file descriptors would be shared with all other instances.
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.failed = 0
        self._person = uuid.uuid4().hex
        self._conversation: int | None = None

    def turn(self) -> None:
        body = {"message": MESSAGE, "conversation_id": self._conversation}
        answer = invoke(chat.handler, http_event("POST", "/chat", body=body, user=self._person))
        if answer.status == 200:
            self._conversation = answer.body["conversation_id"]
        else:
            self.failed += 1

    def turns(self, seconds: float) -> list[float]:
        taken = []
        end = time.monotonic() + seconds
        while (begin := time.monotonic()) < end:
            self.turn()
            taken.append(time.monotonic() - begin)
        return taken


def _commands() -> Mapping[str, Command]:
    return {"migrate": migrate_database, "run": run}


if __name__ == "__main__":
    serve(_commands)
