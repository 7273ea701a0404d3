"""Table 5: many turns at once, through a pooler with few connections."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import URL

from bench import servers
from bench.figures import Section, number, percentile
from bench.pooler import pooler, program
from bench.worker import worker

IN_FLIGHT = (1, 8, 32, 128)
THINK_SECONDS = 0.5
SECONDS_PER_RUN = 1.0
SAMPLE_SECONDS = 0.02
CONNECTIONS = """
SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - state_change))
                          FILTER (WHERE state LIKE 'idle in transaction%'), 0)
FROM pg_stat_activity WHERE datname = '{database}'
"""
NOTES = [
    f"Each turn is in a process and a conversation of its own, calls the model twice, which thinks {THINK_SECONDS} s "
    "each time, and creates a task. PgBouncer in transaction mode holds at most 4 connections; it, PostgreSQL, the "
    "model and all instances share the cores. Ideal is one second a turn.",
    "Were a connection held while the model thinks, no more than four turns a second could pass, and a transaction "
    "would be idle for half a second: the longest that was seen idle stands in the last column.",
]


def measure(runs: int) -> Sequence[Section]:
    """Measure each number of turns in flight, for a second a run."""
    section = Section(
        "5. Many turns at once",
        ["in flight", "turns a second", "p50 s", "p99 s", "errors", "connections", "longest idle in transaction ms"],
        notes=list(NOTES),
    )
    if program() is None:
        section.notes.insert(0, "Skipped: PgBouncer is not installed here (Debian: `apt-get install pgbouncer`).")
        return [section]
    with (
        servers.server() as (server, statistics),
        servers.database(server) as database,
        servers.model() as (model, model_url),
        pooler(database) as pooled,
    ):
        with worker("bench.instances", servers.environment(database, model_url)) as direct:
            direct.ask("migrate")
        model.ask("think", seconds=THINK_SECONDS)
        with worker("bench.instances", servers.environment(pooled, model_url)) as instances:
            for in_flight in IN_FLIGHT:
                with _watched(statistics, database) as seen:
                    found = instances.ask("run", instances=in_flight, seconds=runs * SECONDS_PER_RUN)
                taken = found["taken"]
                section.rows.append(
                    [
                        str(in_flight),
                        number(len(taken) / found["seconds"]),
                        number(percentile(taken, 0.5)),
                        number(percentile(taken, 0.99)),
                        str(found["failed"]),
                        f"{max(count for count, _ in seen):.0f}",
                        number(max(idle for _, idle in seen) * 1000),
                    ]
                )
    return [section]


@contextmanager
def _watched(statistics: servers.Statistics, database: URL) -> Iterator[list[tuple[float, float]]]:
    """Look at the server's connections every now and then."""
    seen: list[tuple[float, float]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            [(count, idle)] = statistics.query(CONNECTIONS.format(database=database.database))
            seen.append((float(count), float(idle)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
