"""Table 1b: what a client waits for after a snapshot is restored, as far as it is ours: the hooks and the first answer.

A process that has run the hooks before a snapshot stands for the snapshot, and each fork of it for a restored instance.
What Lambda takes to bring the memory back is not in it.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module

from bench import servers
from bench.cold_start import EVENTS
from bench.figures import Section, medians, number
from bench.subject import function_variables
from bench.worker import Command, serve, worker
from tests.support.lambda_events import LambdaContext

FUNCTIONS = {
    "ChatFunction": "functions.chat.app",
    "ConversationsFunction": "functions.conversations.app",
    "McpFunction": "functions.mcp.app",
}
NOTE = (
    "A process that has run the hooks before a snapshot stands for it, and a fork of that process for an instance that "
    "is restored: the hooks after the restore, among them a new TLS connection to the database, and the first request "
    "of table 1. What Lambda takes to bring the memory back comes on top (`Restore Duration` in its log)."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure every function that people wait for."""
    section = Section("1b. After a restore", ["function", "hooks ms", "first answer ms", "both ms"], notes=[NOTE])
    with (
        servers.server() as (server, _),
        servers.database(server) as database,
        servers.model() as (_, url),
    ):
        environment = servers.environment(database, url)
        with worker("bench.subjects.taskchat", environment) as subject:
            # Which makes the tables.
            subject.ask("seed", messages=0)
        for name in FUNCTIONS:
            with worker("bench.restored", environment, [name]) as process:
                middle = medians(process.ask("restore") for _ in range(runs))
            section.rows.append([name, *(number(middle[figure]) for figure in ("hooks", "first", "both"))])
    return [section]


def _restore(name: str) -> Mapping[str, float]:
    """Go on from the snapshot in a process of its own, and return what that took, in milliseconds."""
    event = EVENTS[name]()
    read, write = os.pipe()
    process_id = os.fork()
    if not process_id:
        try:
            with os.fdopen(write, "w") as results:
                json.dump(_go_on(name, event), results)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as results:
        taken: Mapping[str, float] = json.load(results)
    os.waitpid(process_id, 0)
    return taken


def _go_on(name: str, event: object) -> Mapping[str, float]:
    hooks = import_module("awslambdaric.lambda_runtime_hooks_runner")
    handler = import_module(FUNCTIONS[name]).handler
    begin = time.perf_counter()
    hooks.run_after_restore()
    restored = time.perf_counter()
    answer = handler(event, LambdaContext())
    end = time.perf_counter()
    assert answer["statusCode"] == 200, answer
    return {"hooks": (restored - begin) * 1000, "first": (end - restored) * 1000, "both": (end - begin) * 1000}


def _commands(name: str) -> Mapping[str, Command]:
    os.environ |= {**function_variables(), "MCP_HOSTS": EVENTS["McpFunction"]()["headers"]["host"]}
    import_module(FUNCTIONS[name])
    import_module("awslambdaric.lambda_runtime_hooks_runner").run_before_snapshot()
    return {"restore": lambda: _restore(name)}


if __name__ == "__main__":
    serve(lambda: _commands(sys.argv[1]))
