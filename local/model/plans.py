"""What the offline model can mean to do about a message."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias


class Tool(StrEnum):
    """The tools that the offline model knows how to call."""

    CREATE = "create_task"
    LIST = "list_tasks"
    GET = "get_task"
    UPDATE = "update_task"
    COMPLETE = "complete_task"
    REOPEN = "reopen_task"
    DELETE = "delete_task"


@dataclass(frozen=True)
class Say:
    """Answer in words; no tool is needed."""

    text: str


@dataclass(frozen=True)
class CallTool:
    """One call of a tool."""

    tool: Tool
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallTools:
    """Call tools, in order; no task has to be found first."""

    calls: tuple[CallTool, ...]


@dataclass(frozen=True)
class Ids:
    """Tasks named by their numbers."""

    ids: tuple[int, ...]


@dataclass(frozen=True)
class Words:
    """A task named by words of its title: it has to be searched."""

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


Plan: TypeAlias = Say | CallTools | OnTask
