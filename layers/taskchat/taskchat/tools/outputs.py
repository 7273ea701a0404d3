"""What each tool answers. Times are written in the context's `time_zone`, with the offset, to the second."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, SerializationInfo, WithJsonSchema

from taskchat.tools.fields import PriorityName, time_zone_of


def _local(moment: datetime, info: SerializationInfo) -> str:
    return moment.astimezone(time_zone_of(info.context)).isoformat(timespec="seconds")


LocalTime = Annotated[datetime, PlainSerializer(_local), WithJsonSchema({"type": "string", "format": "date-time"})]


class ToolOutput(BaseModel):
    """The base of all: made from a `TaskRecord`, or field by field."""

    model_config = ConfigDict(from_attributes=True)


class TaskSummary(ToolOutput):
    """A task without its description, which could be long a hundred times over."""

    id: int
    title: str
    priority: PriorityName
    due_at: LocalTime | None
    completed: bool


class TaskDetails(ToolOutput):
    """All that is known of a task."""

    id: int
    title: str
    description: str | None
    priority: PriorityName
    due_at: LocalTime | None
    completed: bool
    completed_at: LocalTime | None
    created_at: LocalTime
    updated_at: LocalTime


class CreatedTask(ToolOutput):
    """A task that now exists."""

    id: int
    title: str
    created: Literal[True] = True
    priority: PriorityName
    due_at: LocalTime | None


class TaskList(ToolOutput):
    """The tasks that were asked for."""

    tasks: list[TaskSummary]
    count: int = Field(description="How many tasks this answer lists.")
    more: bool = Field(description="Whether there are others that did not fit in the limit.")


class UpdatedTask(TaskDetails):
    """A task after a change."""

    updated: Literal[True] = True


class CompletedTask(ToolOutput):
    """A task that is done."""

    id: int
    title: str
    completed: Literal[True] = True
    completed_at: LocalTime | None
    already_completed: bool = Field(description="Whether it had been completed before, so that nothing changed.")


class ReopenedTask(ToolOutput):
    """A task that is to be done again."""

    id: int
    title: str
    completed: Literal[False] = False
    already_pending: bool = Field(description="Whether it had not been completed, so that nothing changed.")


class DeletedTask(ToolOutput):
    """A task that no longer exists."""

    id: int
    title: str
    deleted: Literal[True] = True
