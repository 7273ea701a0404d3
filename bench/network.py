"""Table 3: the same turn with a network between the function and its database."""

from collections.abc import Mapping, Sequence

from bench import servers
from bench.figures import Section, medians, number, ratio
from bench.subject import Conversation
from bench.turn import OURS, SUBJECTS, WARM_UP_TURNS, Bench, bench

DELAYS_MS = (2, 10, 40)
MESSAGES = 200
NOTE = (
    f"A conversation of {MESSAGES} messages; connections are open already. A proxy holds back what the one side sends "
    "and what the other answers for half of the delay each. A round trip is counted when a client speaks after it has "
    "been answered; what a peer does in the background during the turn counts as well."
)


def measure(runs: int) -> Sequence[Section]:
    """Measure every subject at every delay."""
    section = Section(
        "3. A turn with a network before the database",
        ["subject", "round trips", *(f"ms at {delay} ms" for delay in DELAYS_MS), "Taskchat over it, at 40 ms"],
        notes=[NOTE],
    )
    with bench(through_a_network=True) as running:
        conversations = {}
        for name, process in running.workers.items():
            conversations[name] = process.ask("seed", messages=MESSAGES)
            servers.vacuum(running.databases[name])
            for _ in range(WARM_UP_TURNS):
                process.ask("turn", conversation=conversations[name])
        found = {delay: _measure_delay(running, delay, conversations, runs) for delay in DELAYS_MS}
    longest = DELAYS_MS[-1]
    for name in SUBJECTS:
        section.rows.append(
            [
                name,
                f"{found[longest][name]['round_trips']:.0f}",
                *(number(found[delay][name]["ms"]) for delay in DELAYS_MS),
                ratio(found[longest][OURS]["ms"], found[longest][name]["ms"]),
            ]
        )
    return [section]


def _measure_delay(
    running: Bench, delay_ms: int, conversations: Mapping[str, Conversation], runs: int
) -> Mapping[str, Mapping[str, float]]:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in running.workers}
    for network in running.networks.values():
        network.ask("delay", milliseconds=delay_ms)
    for _ in range(runs):
        for name, process in running.workers.items():
            running.networks[name].ask("counted")
            milliseconds = process.ask("turn", conversation=conversations[name])
            results[name].append({"ms": milliseconds, **running.networks[name].ask("counted")})
    return {name: medians(found) for name, found in results.items()}
