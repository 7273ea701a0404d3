"""Table 1: how long the first request waits for a function that is not there yet."""

import json
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import builds, servers
from bench.builds import BARE, DEFAULT, DEFAULT_BUT_LAZY, FASTAPI, MCP_SDK, OURS
from bench.figures import Section, medians, number, ratio
from bench.processes import Share, peak_memory_mb
from bench.subject import API_KEY, MESSAGE, MODEL
from local.emulator import BuiltFunction, built_function, start
from local.toolchain import ROOT
from tests.support.lambda_events import http_event

EVENTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "ChatFunction": lambda: http_event("POST", "/chat", body={"message": MESSAGE}),
    "ConversationsFunction": lambda: http_event("GET", "/conversations"),
    "McpFunction": lambda: json.loads((ROOT / "events" / "mcp-tools-call.json").read_text(encoding="utf-8")),
    "MigrateFunction": lambda: {"action": "current"},
}
"""What each is sent; made anew, for an event carries the time at which it came."""
NOTES = [
    "Init is the emulator's `INIT REPORT`. The first answer is what the client waits for after it: for chat a whole "
    "turn with a new TLS connection to the database, two calls of the model and one tool. Everything is in the page "
    "cache, as it is not on a new machine of Lambda's: what has to be read there costs the larger package more.",
    f"(b), {DEFAULT}: no bytecode, nothing may be written, whole packages, every import at the top of its module, "
    "boto3 too. An import of a part that leaves out the rest is none at the top: `taskchat.lazy_packages` does nothing "
    "there. (b') is (b) with it; what else the code does for a cold start, (b) does as well.",
    "boto3 and botocore, in the lock's versions, are at the end of every variant's path, with bytecode, as Lambda's "
    "runtime brings them. (a) imports boto3 with the first secret that it reads; here the variables hold none.",
    "(e) imports the MCP SDK as it is; the MCP function, which alone pays for it, leaves out its `__init__`.",
]


@dataclass(frozen=True)
class Laboratory:
    """The packages by function and variant, and the variables that all of them are given."""

    build: Path
    functions: Mapping[str, Mapping[str, BuiltFunction]]
    floors: Mapping[str, BuiltFunction]
    environment: Mapping[str, str]


@contextmanager
def laboratory() -> Iterator[Laboratory]:
    """Build everything, and give it a migrated database and a model."""
    with (
        tempfile.TemporaryDirectory(prefix="taskchat-bench-") as folder,
        servers.server() as (server, _),
        servers.database(server) as database,
        servers.model() as (_, model_url),
    ):
        ours = builds.build(Path(folder))
        default = builds.default_build(ours)
        environment = {
            "DATABASE_URL": servers.environment(database, model_url)["BENCH_DATABASE_URL"],
            "OPENAI_BASE_URL": model_url,
            "OPENAI_API_KEY": API_KEY,
            "OPENAI_MODEL": MODEL,
            # Lambda's disk is read-only: what was compiled is compiled again at the next start.
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with start(built_function("MigrateFunction", ours), environment) as migrate:
            migrate.invoke({})
        functions = {
            name: {OURS: built_function(name, ours), DEFAULT: built_function(name, default)} for name in EVENTS
        }
        but_lazy = builds.default_build(ours, lazy=True)
        functions["ChatFunction"][DEFAULT_BUT_LAZY] = built_function("ChatFunction", but_lazy)
        yield Laboratory(ours, functions, builds.floors(ours), environment)


def cold_start(
    function: BuiltFunction, event: object, environment: Mapping[str, str], share: Share | None = None
) -> dict[str, float]:
    """Start a function, invoke it once, and return init, first answer and both together (ms), and its memory (MB)."""
    with start(function, environment) as emulator:
        if share is not None:
            share.take(emulator.process_id)
        begin = time.perf_counter()
        answer = emulator.invoke(event)
        both_ms = (time.perf_counter() - begin) * 1000
        assert "errorType" not in answer, answer
        assert answer.get("statusCode", 200) == 200, answer
        init_ms = emulator.init_ms()
        memory_mb = peak_memory_mb(emulator.process_id, "awslambdaric")
    return {"init": init_ms, "first": both_ms - init_ms, "both": both_ms, "memory": memory_mb}


def measure(runs: int) -> Sequence[Section]:
    """Measure every function and the floors, one after another, as often as asked."""
    with laboratory() as lab:
        subjects = {
            (name, variant): function
            for name, variants in lab.functions.items()
            for variant, function in variants.items()
        } | {("-", name): function for name, function in lab.floors.items()}
        results: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in subjects}
        order = list(subjects.items())
        for number_of_run in range(runs + 1):
            # What ran right before, and how long, can be felt: so each follows upon each other one.
            random.Random(number_of_run).shuffle(order)  # noqa: S311
            for key, function in order:
                event = EVENTS.get(key[0], EVENTS["ConversationsFunction"])
                result = cold_start(function, event(), lab.environment)
                if number_of_run:  # The first one of each fills the page cache.
                    results[key].append(result)
        sizes = {key: builds.size_mb(function) for key, function in subjects.items()}
    return [_section({key: medians(result) for key, result in results.items()}, sizes)]


def _section(results: Mapping[tuple[str, str], Mapping[str, float]], sizes: Mapping[tuple[str, str], float]) -> Section:
    section = Section(
        "1. Cold start",
        [
            "function",
            "variant",
            "init ms",
            "first answer ms",
            "both ms",
            "init over (b)",
            "both over (b)",
            "peak MB",
            "package MB",
        ],
        notes=list(NOTES),
    )
    letters = {OURS: "(a) ", DEFAULT: "(b) ", DEFAULT_BUT_LAZY: "(b') ", BARE: "(c) ", FASTAPI: "(d) ", MCP_SDK: "(e) "}
    for (name, variant), found in results.items():
        base = results.get((name, DEFAULT))
        section.rows.append(
            [
                name,
                letters[variant] + variant,
                *(number(found[figure]) for figure in ("init", "first", "both")),
                *(ratio(found[figure], base[figure]) if base else "-" for figure in ("init", "both")),
                number(found["memory"]),
                number(sizes[name, variant]),
            ]
        )
    return section
