"""Table 5: many turns at once, through a pooler with four connections."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from sqlalchemy import URL

from bench import servers
from bench.checkouts import Checkout
from bench.figures import number, percentile
from bench.report import Section
from bench.worker import Worker, worker
from local.pgbouncer import pooler, program

POOL_SIZE = 4
IN_FLIGHT = (1, 8, 32, 128)
THINK_SECONDS = 0.5
SECONDS_PER_RUN = 1.0
SAMPLE_SECONDS = 0.02
CONNECTIONS = """
SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - state_change))
                          FILTER (WHERE state LIKE 'idle in transaction%'), 0)
FROM pg_stat_activity WHERE datname = '{database}'
"""
NOTE = (
    f"Each turn runs in its own process, user and conversation, calls the model twice at {THINK_SECONDS} s each, and "
    f"creates a task. PgBouncer in transaction mode has {POOL_SIZE} connections. A turn that held its connection while "
    f"the model thinks would limit the rate to {POOL_SIZE} turns a second. All processes share the machine."
)


def measure(runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Measure each number of turns in flight, for a second a run."""
    figures = ["turns a second", "p50 s", "p99 s", "errors", "connections", "longest idle in transaction ms"]
    section = Section("5. Many turns at once", ["in flight", "subject", *figures], notes=[NOTE])
    if program() is None:
        section.notes = ["Skipped: PgBouncer is not installed (Debian: `apt-get install pgbouncer`)."]
        return section
    with ExitStack() as stack:
        server, statistics = stack.enter_context(servers.server())
        model, model_url = stack.enter_context(servers.model())
        model.ask("think", seconds=THINK_SECONDS)
        crowds: list[tuple[str, URL, Worker]] = []
        for checkout in checkouts:
            database = stack.enter_context(servers.migrated(server, checkout))
            running = stack.enter_context(pooler(database, pool_size=POOL_SIZE))
            environment = servers.environment(running.url(database), model_url)
            instances = stack.enter_context(worker("bench.instances", environment, root=checkout.root))
            crowds.append((checkout.name, database, instances))
        for in_flight in IN_FLIGHT:
            for name, database, instances in crowds:
                with _sampled(statistics, database) as samples:
                    found = instances.ask("run", instances=in_flight, seconds=runs * SECONDS_PER_RUN)
                durations = found["durations"]
                section.rows.append(
                    [
                        str(in_flight),
                        name,
                        number(len(durations) / found["seconds"]),
                        number(percentile(durations, 0.5)),
                        number(percentile(durations, 0.99)),
                        str(found["failed"]),
                        f"{max(count for count, _ in samples):.0f}",
                        number(max(idle for _, idle in samples) * 1000),
                    ]
                )
    return section


@contextmanager
def _sampled(statistics: servers.Statistics, database: URL) -> Iterator[list[tuple[float, float]]]:
    """Yield a list that grows by samples: open connections, and the longest idle transaction in seconds."""
    samples: list[tuple[float, float]] = []
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            [(count, idle)] = statistics.query(CONNECTIONS.format(database=database.database))
            samples.append((float(count), float(idle)))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield samples
    finally:
        done.set()
        sampler.join()
