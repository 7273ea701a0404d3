"""A case of the evals, and what came of running it."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias


class Category(enum.StrEnum):
    """The kinds of cases; a row each in the table of results."""

    COMMANDS = "commands"
    SEVERAL_WISHES = "several wishes"
    REFERENCES = "references to earlier turns"
    AMBIGUITY = "ambiguity"
    NOT_FOUND = "not found"
    DATES = "dates and time zones"
    LANGUAGES = "languages"
    CORRECTIONS = "corrections"
    INJECTION = "injection by task text"
    INVENTING = "refusing to invent"
    OTHER_TALK = "other talk"
    LONG = "long conversations"


@dataclass(frozen=True)
class Seed:
    """A task that exists before the conversation; `due` is local, `2026-11-27` or `2026-11-27T15:00`."""

    title: str
    due: str | None = None
    priority: str = "normal"
    completed: bool = False
    description: str | None = None


@dataclass(frozen=True)
class TaskState:
    """A task as the database has it; `due` is aware, in the case's time zone."""

    id: int
    title: str
    description: str | None
    priority: str
    due: datetime | None
    completed: bool


@dataclass(frozen=True)
class Outcome:
    """A case's end: the tasks before and after, a reply for each message, and the price.

    `replies` and `calls` end early, and `error` holds a problem's code, if a message got no reply.
    """

    before: Sequence[TaskState]
    after: Sequence[TaskState]
    replies: Sequence[str]
    calls: Sequence[Sequence[Mapping[str, Any]]]
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def reply(self) -> str:
        """Return the last reply."""
        return self.replies[-1] if self.replies else ""


Check: TypeAlias = Callable[[Outcome], str | None]
"""Returns what is wrong, or None."""


@dataclass(frozen=True)
class EvalCase:
    """A conversation and what has to hold at its end.

    `{0}` in a message stands for the id of the first of the `tasks`. `past` is said before, as pairs of message and
    reply, and reaches the model as history. `now` is the local time of all messages. `is_offline` marks a case that
    the offline model has to pass.
    """

    name: str
    category: Category
    says: tuple[str, ...]
    checks: tuple[Check, ...]
    tasks: tuple[Seed, ...] = ()
    past: tuple[tuple[str, str], ...] = ()
    now: str = "2026-11-25T10:30"
    time_zone: str = "Europe/Berlin"
    is_offline: bool = False
