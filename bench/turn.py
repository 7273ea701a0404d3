"""Table 2: a turn that creates one task, by how much has been said before."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import URL

from bench import servers
from bench.figures import Section, medians, number, ratio
from bench.subject import Conversation
from bench.worker import Worker, WorkerError, worker

OURS = "Taskchat"
SUBJECTS: Mapping[str, str] = {
    OURS: "bench.subjects.taskchat",
    "openai-agents, SQLAlchemySession": "bench.subjects.openai_agents",
    "LangGraph, PostgresSaver": "bench.subjects.langgraph",
    "pydantic-ai, DBOS": "bench.subjects.pydantic_ai_dbos",
    "floor: psycopg2, httpx2": "bench.subjects.floor",
}
SIZES = (0, 200, 2_000, 20_000)
LONGEST_TURN_SECONDS = 60
WARM_UP_TURNS = 2
TIMES_WITHOUT_HISTORY = 4
"""Such a turn is short, and each of them begins a conversation of its own: so more of them can be had."""
NOTES = [
    "Milliseconds are those of the subject's own process, around the turn. Statements, rows and WAL are what "
    "`pg_stat_statements` counted during it, BEGIN and COMMIT included; rows read are those that queries returned. "
    "The data lies in memory, fsync and synchronous commit are on. With no messages before it, a turn begins a "
    f"conversation of its own, and there are {TIMES_WITHOUT_HISTORY} times as many runs.",
    "Taskchat and the floor give the model the last 50 messages (Taskchat: of at most 8,000 tokens, by estimate), and "
    "so does the table beside DBOS; the other two give it everything.",
]


@dataclass(frozen=True)
class Bench:
    """The running subjects, each with a database of its own, and what they share."""

    workers: Mapping[str, Worker]
    databases: Mapping[str, URL]
    statistics: servers.Statistics
    model: Worker
    networks: Mapping[str, Worker]


@contextmanager
def bench(*, through_a_network: bool = False) -> Iterator[Bench]:
    """Start everything; with a network, each subject reaches its database through a proxy."""
    with ExitStack() as stack:
        server, statistics = stack.enter_context(servers.server())
        model, model_url = stack.enter_context(servers.model())
        workers, databases, networks = {}, {}, {}
        for name, module in SUBJECTS.items():
            databases[name] = url = stack.enter_context(servers.database(server))
            if through_a_network:
                networks[name], url = stack.enter_context(servers.network(url))
            workers[name] = stack.enter_context(worker(module, servers.environment(url, model_url)))
        yield Bench(workers, databases, statistics, model, networks)


def measure(runs: int) -> Sequence[Section]:
    """Measure every subject at every size."""
    with bench() as running:
        return [_section(size, _measure_size(running, size, runs)) for size in SIZES]


def turn(running: Bench, name: str, conversation: Conversation) -> dict[str, float]:
    """Have one turn done, and return what it took."""
    running.model.ask("received")
    running.statistics.reset()
    milliseconds = running.workers[name].ask("turn", within_seconds=LONGEST_TURN_SECONDS, conversation=conversation)
    counted = running.statistics.counted(running.databases[name])
    return {"ms": milliseconds, "model_bytes": running.model.ask("received")["bytes"], **counted}


def _measure_size(running: Bench, size: int, runs: int) -> Mapping[str, Mapping[str, float] | str]:
    results: dict[str, list[dict[str, float]]] = {}
    conversations: dict[str, Conversation] = {}
    failures: dict[str, str] = {}
    for name, process in running.workers.items():
        try:
            conversations[name] = process.ask("seed", messages=size)
            servers.vacuum(running.databases[name])
            for _ in range(WARM_UP_TURNS):
                turn(running, name, conversations[name])
            results[name] = []
        except WorkerError as error:
            failures[name] = str(error).splitlines()[0]
    order = list(results.items())
    for number_of_run in range(runs if size else runs * TIMES_WITHOUT_HISTORY):
        # What ran right before can be felt: so each follows upon each other one.
        random.Random(number_of_run).shuffle(order)  # noqa: S311
        for name, found in order:
            if size == 0:
                conversations[name] = running.workers[name].ask("seed", messages=0)
            found.append(turn(running, name, conversations[name]))
    return {name: medians(found) for name, found in results.items()} | failures


def _section(size: int, results: Mapping[str, Mapping[str, float] | str]) -> Section:
    section = Section(
        f"2. A turn with {size:,} messages before it",
        [
            "subject",
            "ms",
            "Taskchat over it",
            "statements",
            "ms in the server",
            "rows read",
            "WAL KB",
            "KB to the model",
        ],
        notes=NOTES if size == SIZES[-1] else [],
    )
    ours = results[OURS]
    assert not isinstance(ours, str), ours
    for name in SUBJECTS:
        found = results[name]
        if isinstance(found, str):
            section.rows.append([name, f"did not finish: {found}", *["-"] * 6])
            continue
        section.rows.append(
            [
                name,
                number(found["ms"]),
                ratio(ours["ms"], found["ms"]),
                f"{found['statements']:.0f}",
                number(found["server_ms"]),
                f"{found['rows_read']:,.0f}",
                number(found["wal_bytes"] / 1024),
                number(found["model_bytes"] / 1024),
            ]
        )
    return section
