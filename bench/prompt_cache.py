"""Table 6: input tokens of a long conversation that hit the provider's prompt cache."""

from collections.abc import Iterator, Mapping, Sequence

from bench import servers
from bench.checkouts import Checkout
from bench.report import Section
from bench.turn import subject
from bench.worker import Worker, worker

TURNS = 200
LISTS_EVERY = 10
PEER = "openai-agents, SQLAlchemySession"
CACHED_PRICE = 0.1
"""A cached input token beside a new one: https://developers.openai.com/api/docs/pricing."""
THINGS = ("buy the groceries", "call the plumber", "water the plants", "write to Ann", "book the train", "pay the rent")
NOTES = [
    f"{TURNS} turns of one conversation. The offline model answers, and a simulation of OpenAI's cache counts: exact "
    "prefix from 1,024 tokens on, in steps of 128, tools before messages, nothing expires. Tokens are those of "
    "o200k_base. Each message is short and makes one task, in two calls of the model. "
    f"With lists, each {LISTS_EVERY}th message lists all tasks instead. A new token is one that did not hit. The price "
    f"counts a cached token as {CACHED_PRICE} of a new one.",
    "The counts are exact and do not depend on the machine or on the number of runs.",
]


def measure(_runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Hold the conversation with every subject."""
    head = ["subject", "messages", "input tokens a turn", "hit", "new tokens a turn", "price a turn, in new tokens"]
    section = Section("6. Prompt cache", head, notes=NOTES)
    with servers.server() as (server, _), worker("bench.recording_model") as model:
        url = model.ask("url")
        for name in [*(checkout.name for checkout in checkouts), PEER]:
            for kind in ("short", "with lists"):
                # The peer has no tool that lists.
                if kind == "with lists" and name == PEER:
                    continue
                with (
                    servers.database(server) as database,
                    subject(name, checkouts, servers.environment(database, url)) as process,
                ):
                    section.rows.append([name, kind, *_cells(_figures(process, model, kind))])
    return section


def _figures(process: Worker, model: Worker, kind: str) -> list[tuple[int, int]]:
    """Return the input tokens and the hits of each call of the model."""
    conversation = process.ask("seed", messages=2)
    model.ask("figures")
    for message in _messages(kind):
        process.ask("turn", conversation=conversation, message=message)
    figures: list[tuple[int, int]] = model.ask("figures")
    return figures


def _messages(kind: str) -> Iterator[str]:
    for number in range(1, TURNS + 1):
        if kind == "with lists" and number % LISTS_EVERY == 0:
            yield "Show me all my tasks"
        else:
            yield f"Add a task to {THINGS[number % len(THINGS)]}, number {number}"


def _cells(figures: Sequence[tuple[int, int]]) -> list[str]:
    shares = totals(figures)
    return [
        f"{shares['input'] / TURNS:,.0f}",
        f"{shares['hit'] / shares['input']:.0%}",
        f"{(shares['input'] - shares['hit']) / TURNS:,.0f}",
        f"{(shares['input'] - (1 - CACHED_PRICE) * shares['hit']) / TURNS:,.0f}",
    ]


def totals(figures: Sequence[tuple[int, int]]) -> Mapping[str, float]:
    """Return the sums over all calls."""
    return {"input": sum(given for given, _ in figures), "hit": sum(hit for _, hit in figures)}
