"""Many instances of the chat function, forked from a process that has imported it."""

import asyncio
import multiprocessing
import os
import time
import uuid
from collections.abc import Mapping
from typing import Any

from bench.events import chat
from bench.worker import serve

os.environ["POWERTOOLS_LOG_LEVEL"] = "WARNING"

from functions.chat import app
from local.lambda_events import invoke

WARM_UP_TURNS = 2
WARMING_UP_AT_ONCE = 8
"""Cold starts are another table, so instances do not all connect at once."""
LONGEST_WARM_UP_SECONDS = 120
FORK = multiprocessing.get_context("fork")


class Instance:
    """One instance with its own connections, user and conversation."""

    def __init__(self) -> None:
        # The event loop of the parent shares its file descriptors with all instances.
        asyncio.set_event_loop(asyncio.new_event_loop())
        self._user = uuid.uuid4().hex
        self._conversation: int | None = None
        self.failed = 0

    def turn(self) -> float:
        """Run one turn and return its duration in seconds."""
        event = chat(self._conversation, self._user)
        begin = time.monotonic()
        answer = invoke(app.handler, event)
        duration = time.monotonic() - begin
        if answer.status == 200:
            self._conversation = answer.body["conversation_id"]
        else:
            self.failed += 1
        return duration


def run(instances: int, seconds: float) -> Mapping[str, Any]:
    """Run turns in all instances at once for some seconds; return their durations and the number that failed."""
    warming_up = FORK.Semaphore(WARMING_UP_AT_ONCE)
    all_warm = FORK.Barrier(instances + 1)
    results = FORK.Queue()

    def live() -> None:
        instance = Instance()
        with warming_up:
            for _ in range(WARM_UP_TURNS):
                instance.turn()
        all_warm.wait(LONGEST_WARM_UP_SECONDS)
        end = time.monotonic() + seconds
        durations = []
        while time.monotonic() < end:
            durations.append(instance.turn())
        results.put((durations, instance.failed))

    processes = [FORK.Process(target=live, daemon=True) for _ in range(instances)]
    for process in processes:
        process.start()
    all_warm.wait(LONGEST_WARM_UP_SECONDS)
    begin = time.monotonic()
    found = [results.get() for _ in processes]
    elapsed = time.monotonic() - begin
    for process in processes:
        process.join()
    durations = [duration for listed, _ in found for duration in listed]
    return {"durations": durations, "failed": sum(failed for _, failed in found), "seconds": elapsed}


if __name__ == "__main__":
    serve(lambda: {"run": run})
