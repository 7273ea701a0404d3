"""Table 7: a warm turn by memory size, which is how Lambda sells shares of a processor."""

from collections.abc import Sequence

from bench import servers
from bench.figures import Section, median, number
from bench.processes import FULL_PROCESSOR_MB, NoQuotaError, processor_share
from bench.worker import worker

SIZES_MB = (256, 512, 1_024, 1_769)
MESSAGES = 200
WARM_UP_TURNS = 3
TURNS_PER_RUN = 3
NOTE = (
    "A turn with one tool in a conversation of 200 messages, with no think time: what the function itself adds. The "
    "share of a processor is the size over 1,769 MB; the database and the model have the rest of the machine."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure each size."""
    section = Section("7. A warm turn by memory size", ["MB", "vCPU", "ms"], notes=[NOTE])
    with (
        servers.server() as (server, _),
        servers.database(server) as database,
        servers.model() as (_, model_url),
        worker("bench.subjects.taskchat", servers.environment(database, model_url)) as subject,
    ):
        conversation = subject.ask("seed", messages=MESSAGES)
        for _ in range(WARM_UP_TURNS):
            subject.ask("turn", conversation=conversation)
        taken: dict[int, list[float]] = {size: [] for size in SIZES_MB}
        for _ in range(runs):
            for size in SIZES_MB:
                try:
                    with processor_share(size / FULL_PROCESSOR_MB) as group:
                        group.take(subject.process_id)
                        taken[size] += [subject.ask("turn", conversation=conversation) for _ in range(TURNS_PER_RUN)]
                except NoQuotaError as error:
                    section.notes.insert(0, f"Skipped: {error}.")
                    return [section]
    for size, found in taken.items():
        section.rows.append([f"{size:,}", f"{size / FULL_PROCESSOR_MB:.2f}", number(median(found))])
    return [section]
