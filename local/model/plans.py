"""The plans that a message can lead to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

MODEL_NAME = "offline"


class Tool(StrEnum):
    """The tools that the offline model knows how to call."""

    CREATE = "create_task"
    LIST = "list_tasks"
    GET = "get_task"
    UPDATE = "update_task"
    COMPLETE = "complete_task"
    REOPEN = "reopen_task"
    DELETE = "delete_task"
    UNDO = "undo_last_change"


@dataclass(frozen=True)
class Say:
    """Answer in words, without a tool."""

    text: str


@dataclass(frozen=True)
class CallTool:
    """One call of a tool."""

    tool: Tool
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallTools:
    """Call tools, in order, on tasks that need not be found first."""

    calls: tuple[CallTool, ...]


@dataclass(frozen=True)
class Ids:
    """Tasks named by their numbers."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class Words:
    """A task named by words of its title, which have to be searched for."""

    text: str


@dataclass(frozen=True)
class Mentioned:
    """The task that the conversation is about: "it"."""


Target: TypeAlias = Ids | Words | Mentioned


@dataclass(frozen=True)
class OnTask:
    """Call a tool on tasks that the message names by number, by words, or as "it"."""

    tool: Tool
    target: Target
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OnAll:
    """Call a tool on all tasks of a status, which have to be listed first."""

    tool: Tool
    status: str


@dataclass(frozen=True)
class Agenda:
    """Tell what is due before a moment, which the person called `day`, and what has no date at all."""

    day: str
    before: datetime


@dataclass(frozen=True)
class Undo:
    """Take the last change back."""


Plan: TypeAlias = Say | CallTools | OnTask | OnAll | Agenda | Undo
