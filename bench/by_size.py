"""Table 2, once more for this project alone: what the length of a conversation adds, run by run in turns."""

from collections.abc import Sequence

from bench import servers
from bench.figures import Section, median, number, ratio
from bench.turn import OURS, SIZES, SUBJECTS, WARM_UP_TURNS
from bench.worker import worker

TURNS_PER_RUN = 5
BASE = 200


def measure(runs: int) -> Sequence[Section]:
    """Measure every size but the empty one, which makes a new conversation each time."""
    sizes = [size for size in SIZES if size]
    with (
        servers.server() as (server, _),
        servers.database(server) as database,
        servers.model() as (_, model_url),
        worker(SUBJECTS[OURS], servers.environment(database, model_url)) as subject,
    ):
        conversations = {size: subject.ask("seed", messages=size) for size in sizes}
        servers.vacuum(database)
        taken: dict[int, list[float]] = {size: [] for size in sizes}
        for turn in range(WARM_UP_TURNS + runs * TURNS_PER_RUN):
            for size in sizes:
                milliseconds = subject.ask("turn", conversation=conversations[size])
                if turn >= WARM_UP_TURNS:
                    taken[size].append(milliseconds)
    section = Section("2b. Taskchat by the length of the conversation", ["messages", "ms", f"over {BASE}"])
    for size, found in taken.items():
        section.rows.append([f"{size:,}", number(median(found)), ratio(median(found), median(taken[BASE]))])
    return [section]
