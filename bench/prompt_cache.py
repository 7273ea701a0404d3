"""Table 6: input tokens of a long conversation that hit the provider's prompt cache."""

from collections.abc import Iterator, Sequence

from bench import servers
from bench.checkouts import Checkout
from bench.report import Section
from bench.turn import subject
from bench.worker import Worker, worker

TURNS = 200
LISTS_EVERY = 10
PEER = "openai-agents, SQLAlchemySession"
WRITTEN_DOLLARS, CACHED_DOLLARS = 1.25, 0.05
"""A million input tokens of gpt-6.1-terra, new and written to the cache, or read from it:
https://developers.openai.com/api/docs/pricing."""
THINGS = ("buy the groceries", "call the plumber", "water the plants", "write to Ann", "book the train", "pay the rent")
NOTES = [
    f"{TURNS} turns of one conversation. The offline model answers, and a simulation of OpenAI's cache counts: exact "
    "prefix from 1,024 tokens on, in steps of 128, tools before messages, nothing expires. Tokens are those of "
    "o200k_base. Each message is short and makes one task, in two calls of the model. "
    f"With lists, each {LISTS_EVERY}th message lists all tasks instead. A new token is one that did not hit. Dollars "
    f"are those of gpt-6.1-terra: {WRITTEN_DOLLARS} for a million new tokens, {CACHED_DOLLARS} for a million that hit.",
    "The counts are exact and do not depend on the machine or on the number of runs.",
]


def measure(_runs: int, checkouts: Sequence[Checkout]) -> Section:
    """Hold the conversation with every subject."""
    head = ["subject", "messages", "input tokens a turn", "hit", "new tokens a turn", "dollars, 1,000 turns"]
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
    given = sum(tokens for tokens, _ in figures)
    hit = sum(tokens for _, tokens in figures)
    dollars = (WRITTEN_DOLLARS * (given - hit) + CACHED_DOLLARS * hit) / 1_000_000
    return [
        f"{given / TURNS:,.0f}",
        f"{hit / given:.0%}",
        f"{(given - hit) / TURNS:,.0f}",
        f"{1_000 * dollars / TURNS:.2f}",
    ]
