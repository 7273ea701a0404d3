"""What each tool takes; the descriptions are read by models."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taskchat.tasks import DEFAULT_LIMIT, Priority, Status, TaskChanges
from taskchat.tools.fields import (
    Clearable,
    Description,
    DueAt,
    DueBefore,
    Limit,
    PriorityName,
    SearchText,
    StatusName,
    TaskId,
    Title,
)

_DUE_AT = (
    "When it is due: an ISO 8601 date (due by the end of that day) or date-time. "
    "Without an offset it is meant in the person's own time zone."
)
_TITLE = "What is to be done, in a few words."
_DESCRIPTION = "Details that do not fit in the title."


class ToolInput(BaseModel):
    """The base of all: what a model fills with an empty string or null, it has left out."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_blanks(cls, arguments: Any) -> Any:
        if not isinstance(arguments, dict):
            return arguments
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in arguments.items()}
        return {name: value for name, value in trimmed.items() if value is not None and value != ""}


class CreateTask(ToolInput):
    """A task to add."""

    title: Title = Field(description=_TITLE)
    description: Description | None = Field(default=None, description=_DESCRIPTION)
    priority: PriorityName = Priority.NORMAL
    due_at: DueAt | None = Field(default=None, description=_DUE_AT)


class ListTasks(ToolInput):
    """Which tasks to list."""

    status: StatusName = Status.ALL
    priority: PriorityName | None = Field(default=None, description="Only tasks of this priority.")
    due_before: DueBefore | None = Field(
        default=None,
        description="Only tasks due before this ISO 8601 date-time, or before the start of this date: "
        "for what is due today, give tomorrow's date. Without an offset it is meant in the person's own time zone.",
    )
    text: SearchText | None = Field(
        default=None, description="Only tasks whose title or description contains this text, in any case."
    )
    limit: Limit = DEFAULT_LIMIT


class OneTask(ToolInput):
    """Which task is meant."""

    task_id: TaskId = Field(description="The id of the task, as list_tasks shows it.")


class UpdateTask(OneTask):
    """What to change in a task."""

    title: Title | None = Field(default=None, description=_TITLE)
    description: Description | None = Field(default=None, description=_DESCRIPTION)
    priority: PriorityName | None = None
    due_at: DueAt | None = Field(default=None, description=_DUE_AT)
    clear: Clearable = Field(default_factory=list, description="What to remove from the task altogether.")

    @model_validator(mode="after")
    def _says_what_to_change(self) -> Self:
        if not self.changes():
            raise ValueError("Give at least one of title, description, priority, due_at and clear")
        if self.model_fields_set.intersection(self.clear):
            raise ValueError("Give a new value for a field or name it in clear, not both")
        return self

    def changes(self) -> TaskChanges:
        """Return what is to change, column by column."""
        changes = TaskChanges()
        if self.title is not None:
            changes["title"] = self.title
        if self.description is not None or "description" in self.clear:
            changes["description"] = self.description
        if self.priority is not None:
            changes["priority"] = self.priority
        if self.due_at is not None or "due_at" in self.clear:
            changes["due_at"] = self.due_at
        return changes
