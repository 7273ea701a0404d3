"""Table 3: a turn that creates one task, by the number of messages before it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import URL

from bench import servers
from bench.checkouts import HERE, Checkout
from bench.figures import medians, number, ratio
from bench.report import Section
from bench.subject import WINDOW_MESSAGES, Conversation
from bench.worker import Worker, worker

PEERS: Mapping[str, str] = {
    "openai-agents, SQLAlchemySession": "bench.subjects.openai_agents",
    "LangGraph, PostgresSaver": "bench.subjects.langgraph",
    "pydantic-ai, DBOS": "bench.subjects.pydantic_ai_dbos",
}
SIZES = (0, 200, 2_000, 20_000)
BASE_SIZE = 200
"""Growth is told relative to a conversation of this size."""
WARM_UP_TURNS = 2
TURNS_WITHOUT_HISTORY = 4
"""Turns a run at size 0: they are short, so more of them steady the median."""
NOTES = [
    "Milliseconds are measured in the subject's process, around the turn; the model answers at once. Statements, rows "
    "and WAL come from `pg_stat_statements` and include BEGIN and COMMIT. Rows read are rows that queries returned. "
    "Data is in memory; fsync and synchronous commit are on. A turn with no messages before it creates the "
    "conversation.",
    f"Taskchat and pydantic-ai send the last {WINDOW_MESSAGES} messages to the model (Taskchat: up to 8,000 "
    "tokens). openai-agents and LangGraph send all of them.",
]


@dataclass(frozen=True)
class Lane:
    """A running subject, its database, and its conversation of each size."""

    worker: Worker
    database: URL
    conversations: dict[int, Conversation]

    def prepare(self, size: int) -> None:
        """Create the conversation of this size and warm up."""
        self.conversations[size] = self.worker.ask("seed", messages=size)
        servers.vacuum(self.database)
        for _ in range(WARM_UP_TURNS):
            self.turn(size)

    def turn(self, size: int) -> float:
        """Run a turn and return its duration in milliseconds."""
        if size == 0:
            self.conversations[size] = self.worker.ask("seed", messages=0)
        return float(self.worker.ask("turn", conversation=self.conversations[size]))


@contextmanager
def subject(name: str, checkouts: Sequence[Checkout], environment: Mapping[str, str]) -> Iterator[Worker]:
    """Start the subject of this name: a checkout or a peer."""
    roots = {checkout.name: checkout.root for checkout in checkouts}
    module = PEERS.get(name, "bench.subjects.taskchat")
    with worker(module, environment, root=roots.get(name, HERE.root)) as process:
        yield process


def names(checkouts: Sequence[Checkout]) -> list[str]:
    """Return the names of all subjects in the order of the tables."""
    return [*(checkout.name for checkout in checkouts), *PEERS]


def measure(runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Measure every subject at every size; each run takes sizes, and subjects within a size, in random order."""
    with ExitStack() as stack:
        server, statistics = stack.enter_context(servers.server())
        model, model_url = stack.enter_context(servers.model())
        lanes: dict[str, Lane] = {}
        for name in names(checkouts):
            database = stack.enter_context(servers.database(server))
            environment = servers.environment(database, model_url)
            lanes[name] = Lane(stack.enter_context(subject(name, checkouts, environment)), database, {})
            for size in SIZES:
                lanes[name].prepare(size)
        results: dict[tuple[int, str], list[dict[str, float]]] = {(size, name): [] for size in SIZES for name in lanes}
        shuffled = random.Random(0)  # noqa: S311
        for _ in range(runs):
            for size in shuffled.sample(SIZES, len(SIZES)):
                for _ in range(1 if size else TURNS_WITHOUT_HISTORY):
                    for name in shuffled.sample(list(lanes), len(lanes)):
                        statistics.reset()
                        model.ask("received_bytes")
                        figures = {"ms": lanes[name].turn(size), **statistics.counted(lanes[name].database)}
                        results[size, name].append({**figures, "model_bytes": model.ask("received_bytes")})
    return _section({key: medians(found) for key, found in results.items()})


def _section(results: Mapping[tuple[int, str], Mapping[str, float]]) -> Section:
    counted = ["statements", "ms in the server", "rows read", "WAL KB", "KB to the model"]
    growth = f"over {BASE_SIZE} messages"
    head = ["messages before", "subject", "ms", "Taskchat over it", growth, *counted]
    section = Section("3. A turn", head, notes=NOTES)
    for (size, name), found in results.items():
        section.rows.append(
            [
                f"{size:,}",
                name,
                number(found["ms"]),
                ratio(results[size, HERE.name]["ms"], found["ms"]),
                ratio(found["ms"], results[BASE_SIZE, name]["ms"]),
                f"{found['statements']:.0f}",
                number(found["server_ms"]),
                f"{found['rows_read']:,.0f}",
                number(found["wal_bytes"] / 1024),
                number(found["model_bytes"] / 1024),
            ]
        )
    return section
