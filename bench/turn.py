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
WARM_UP_SIZE = 50
"""A turn in a conversation of this size precedes each measured turn."""
TURNS_WITHOUT_HISTORY = 4
"""Turns a run at size 0: they are short, so more of them steady the median."""
NOTES = [
    "Milliseconds are measured in the subject's process, around the turn; the model answers at once. Statements, rows "
    "and WAL come from `pg_stat_statements` and include BEGIN and COMMIT. Rows read are rows that queries returned. "
    "Data is in memory; fsync and synchronous commit are on. A turn with no messages before it creates the "
    f"conversation. An unmeasured turn of the same subject, with {WARM_UP_SIZE} messages, precedes each measured one.",
    f"Taskchat and pydantic-ai send the last {WINDOW_MESSAGES} messages to the model (Taskchat: up to 8,000 "
    "tokens). openai-agents and LangGraph send all of them.",
]


@dataclass(frozen=True)
class Lane:
    """A running subject, its database, and its conversation of each size."""

    worker: Worker
    database: URL
    conversations: Mapping[int, Conversation]

    def conversation(self, size: int) -> Conversation:
        """Return the conversation of a size; of size 0, a new one each time."""
        return self.conversations[size] if size else self.worker.ask("seed", messages=0)

    def turn(self, conversation: Conversation) -> float:
        """Run a turn and return its duration in milliseconds."""
        return float(self.worker.ask("turn", conversation=conversation))


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
            process = stack.enter_context(subject(name, checkouts, servers.environment(database, model_url)))
            sizes = {size: process.ask("seed", messages=size) for size in (WARM_UP_SIZE, *SIZES)}
            servers.vacuum(database)
            lanes[name] = Lane(process, database, sizes)
        results: dict[tuple[int, str], list[dict[str, float]]] = {(size, name): [] for size in SIZES for name in lanes}
        shuffled = random.Random(0)  # noqa: S311 - the same order on every run
        for run in range(runs + 1):
            for size in shuffled.sample(SIZES, len(SIZES)):
                for _ in range(1 if size else TURNS_WITHOUT_HISTORY):
                    for name in shuffled.sample(list(lanes), len(lanes)):
                        lane = lanes[name]
                        # The subject before may have used the caches for seconds, longest at the largest size.
                        lane.turn(lane.conversation(WARM_UP_SIZE))
                        conversation = lane.conversation(size)
                        statistics.reset()
                        model.ask("received_bytes")
                        figures = {"ms": lane.turn(conversation), **statistics.counted(lane.database)}
                        figures["model_bytes"] = model.ask("received_bytes")
                        if run:  # Run 0 warms up.
                            results[size, name].append(figures)
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
