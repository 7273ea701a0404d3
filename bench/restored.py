"""Table 2: the first request after a SnapStart restore, without the time that Lambda takes to load the snapshot.

A process that has run the hooks before a snapshot is the snapshot; each fork of it is a restored instance.
"""

import multiprocessing
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from typing import Any

from bench import servers
from bench.checkouts import Checkout
from bench.events import FUNCTIONS, first_event
from bench.figures import medians, number
from bench.report import Section
from bench.worker import Command, Worker, serve, worker
from local.lambda_events import LambdaContext

NOTE = (
    "The hooks after the restore, which open a TLS connection to the database, and the same request as in table 1. "
    "Lambda adds the time to load the snapshot, `Restore Duration` in its log."
)


def measure(runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Measure every function that a person waits for, in random order within a run."""
    figures = ("hooks", "first answer", "both")
    head = ["function", "subject", *(f"{figure} ms" for figure in figures)]
    section = Section("2. After a restore", head, notes=[NOTE])
    with ExitStack() as stack:
        server, _ = stack.enter_context(servers.server())
        _, model_url = stack.enter_context(servers.model())
        snapshots: dict[tuple[str, str], Worker] = {}
        for checkout in checkouts:
            environment = servers.environment(stack.enter_context(servers.migrated(server, checkout)), model_url)
            for function in FUNCTIONS:
                process = worker("bench.restored", environment, [function], checkout.root)
                snapshots[function, checkout.name] = stack.enter_context(process)
        results: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in sorted(snapshots)}
        shuffled = random.Random(0)  # noqa: S311 - the same order on every run
        for _ in range(runs):
            for key in shuffled.sample(list(snapshots), len(snapshots)):
                results[key].append(snapshots[key].ask("restore"))
    for key, found in results.items():
        middle = medians(found)
        section.rows.append([*key, *(number(middle[figure]) for figure in figures)])
    return section


def _commands(function: str) -> Mapping[str, Command]:
    """Take the snapshot of a function."""
    os.environ["MCP_HOSTS"] = str(first_event("McpFunction")["headers"]["host"])
    _app(function)
    import_module("awslambdaric.lambda_runtime_hooks_runner").run_before_snapshot()

    def restore() -> Mapping[str, float]:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as instance:
            return instance.submit(_first_request, function).result()

    return {"restore": restore}


def _first_request(function: str) -> Mapping[str, float]:
    hooks = import_module("awslambdaric.lambda_runtime_hooks_runner")
    handler = _app(function).handler
    event = first_event(function)
    begin = time.perf_counter()
    hooks.run_after_restore()
    restored = time.perf_counter()
    answer = handler(event, LambdaContext())
    end = time.perf_counter()
    assert answer["statusCode"] == 200, answer
    return {"hooks": (restored - begin) * 1000, "first answer": (end - restored) * 1000, "both": (end - begin) * 1000}


def _app(function: str) -> Any:
    return import_module(f"functions.{function.removesuffix('Function').lower()}.app")


if __name__ == "__main__":
    serve(lambda: _commands(sys.argv[1]))
