"""The tools that manage tasks."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from taskchat.errors import InvalidRequestError
from taskchat.models import TITLE_CHARACTERS, Priority
from taskchat.tasks import queries
from taskchat.tasks.audit import audited
from taskchat.tasks.queries import DEFAULT_LIMIT, StatusFilter, TaskChange, TaskChanges, TaskRecord
from taskchat.toolkit import InvalidArgumentsError, ToolContext, ToolOutput, tool
from taskchat.toolkit.fields import (
    InstantOrEndOfDay,
    InstantOrStartOfDay,
    LocalTime,
    RowId,
    as_list,
    lower_case,
    names_of,
    whole_number,
)

DESCRIPTION_CHARACTERS = 4000
LARGEST_LIMIT = 100

TaskId = Annotated[RowId, Field(description="The id of the task, as list_tasks shows it.")]
Title = Annotated[str, Field(max_length=TITLE_CHARACTERS, description="What is to be done, in a few words.")]
Description = Annotated[
    str, Field(max_length=DESCRIPTION_CHARACTERS, description="Details that do not fit in the title.")
]
PriorityName = Annotated[Priority, BeforeValidator(lower_case), names_of(Priority)]
StatusName = Annotated[StatusFilter, BeforeValidator(lower_case), names_of(StatusFilter)]
DueAt = Annotated[
    InstantOrEndOfDay,
    Field(
        description="When it is due: an ISO 8601 date (due by the end of that day) or date-time. "
        "Without an offset it is meant in the person's own time zone."
    ),
]
DueBefore = Annotated[
    InstantOrStartOfDay,
    Field(
        description="Only tasks due before this ISO 8601 date-time, or before the start of this date: "
        "for what is due today, give tomorrow's date. Without an offset it is meant in the person's own time zone."
    ),
]
SearchText = Annotated[
    str,
    Field(
        max_length=TITLE_CHARACTERS,
        description=(
            "Only tasks whose title or description contains this text, in any case. "
            f"The newest {queries.SEARCHED_TASKS:,} tasks are searched."
        ),
    ),
]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT), BeforeValidator(whole_number)]
Cursor = Annotated[
    str,
    Field(max_length=100, description="The next_cursor of the last list with the same filters, for the tasks after."),
]
Clearable = Annotated[list[Literal["description", "due_at"]], BeforeValidator(as_list)]


class TaskSummary(ToolOutput):
    """A task as a list shows it, without its description, which may be long."""

    id: int
    title: str
    priority: PriorityName
    due_at: LocalTime | None
    completed: bool


class TaskDetails(TaskSummary):
    """Everything that is stored about a task."""

    description: str | None
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
    """The tasks that fit the question."""

    tasks: list[TaskSummary]
    count: int = Field(description="How many tasks this answer lists.")
    more: bool = Field(description="Whether there are others that did not fit in the limit.")
    next_cursor: str | None = Field(default=None, description="The cursor of the next tasks, if there are more.")


class UpdatedTask(TaskDetails):
    """A task after a change."""

    updated: Literal[True] = True
    not_changed: list[str] = Field(
        description="Fields that were given as null or empty and therefore stay as they are; clear removes a value."
    )


class CompletedTask(ToolOutput):
    """A task that is done."""

    id: int
    title: str
    completed: Literal[True] = True
    completed_at: LocalTime | None
    already_completed: bool = Field(description="Whether it had been completed before, so that nothing changed.")


class ReopenedTask(ToolOutput):
    """A task that is pending again."""

    id: int
    title: str
    completed: Literal[False] = False
    already_pending: bool = Field(description="Whether it had not been completed, so that nothing changed.")


class DeletedTask(ToolOutput):
    """A task that no longer exists."""

    id: int
    title: str
    deleted: Literal[True] = True


@tool(title="Create a task")
def create_task(
    context: ToolContext,
    title: Title,
    description: Description | None = None,
    priority: PriorityName = Priority.NORMAL,
    due_at: DueAt | None = None,
) -> CreatedTask:
    """Add a task to the person's list. Returns it with its id."""
    task = queries.create(
        context.connection, context.user_id, title=title, description=description, priority=priority, due_at=due_at
    )
    context.changed(before=None, after=audited(task))
    return CreatedTask.model_validate(task)


@tool(title="List tasks", read_only=True, idempotent=True)
def list_tasks(
    context: ToolContext,
    status: StatusName = StatusFilter.ALL,
    priority: Annotated[PriorityName, Field(description="Only tasks of this priority.")] | None = None,
    due_before: DueBefore | None = None,
    text: SearchText | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor | None = None,
) -> TaskList:
    """List the person's tasks, or find those that fit: by status, priority, due date or text.

    Pending ones come first, the soonest due before the others. Use it to find the id of a task that the person names
    by its words.
    """
    try:
        page = queries.find(
            context.connection,
            context.user_id,
            status=status,
            priority=priority,
            due_before=due_before,
            text=text,
            limit=limit,
            cursor=cursor,
        )
    except InvalidRequestError:
        raise InvalidArgumentsError("cursor: Give the next_cursor of the last list with the same filters.") from None
    tasks = [TaskSummary.model_validate(task) for task in page.tasks]
    return TaskList(tasks=tasks, count=len(tasks), more=page.more, next_cursor=page.next_cursor)


@tool(title="Get a task", read_only=True, idempotent=True)
def get_task(context: ToolContext, task_id: TaskId) -> TaskDetails:
    """Return everything about one task, its description included."""
    return TaskDetails.model_validate(queries.get(context.connection, context.user_id, task_id))


@tool(title="Update a task", destructive=True, idempotent=True)
def update_task(
    context: ToolContext,
    task_id: TaskId,
    title: Title | None = None,
    description: Description | None = None,
    priority: PriorityName | None = None,
    due_at: DueAt | None = None,
    clear: Annotated[Clearable, Field(description="What to remove from the task altogether.")] = [],  # noqa: B006 - read only
) -> UpdatedTask:
    """Change a task's title, description, priority or due date. Only what is given changes.

    To remove the description or the due date, name it in clear; null leaves a field as it is.
    """
    changes: TaskChanges = {}
    if title is not None:
        changes["title"] = title
    if description is not None:
        changes["description"] = description
    if priority is not None:
        changes["priority"] = priority
    if due_at is not None:
        changes["due_at"] = due_at
    if changes.keys() & set(clear):
        raise InvalidArgumentsError("Give a new value for a field or name it in clear, not both.")
    if "description" in clear:
        changes["description"] = None
    if "due_at" in clear:
        changes["due_at"] = None
    if not changes:
        raise InvalidArgumentsError("Give at least one of title, description, priority, due_at and clear.")
    task = _after(context, queries.update(context.connection, context.user_id, task_id, changes))
    not_changed = [name for name in context.blank_arguments if name not in (*changes, "clear")]
    return UpdatedTask.model_validate({**asdict(task), "not_changed": not_changed})


@tool(title="Complete a task", idempotent=True)
def complete_task(context: ToolContext, task_id: TaskId) -> CompletedTask:
    """Mark a task as done. One that is done already stays as it is, and the result says so."""
    change = queries.complete(context.connection, context.user_id, task_id)
    task = _after(context, change)
    return CompletedTask(
        id=task.id, title=task.title, completed_at=task.completed_at, already_completed=not change.is_effective
    )


@tool(title="Reopen a task", idempotent=True)
def reopen_task(context: ToolContext, task_id: TaskId) -> ReopenedTask:
    """Make a completed task pending again. One that is pending stays so, and the result says so."""
    change = queries.reopen(context.connection, context.user_id, task_id)
    task = _after(context, change)
    return ReopenedTask(id=task.id, title=task.title, already_pending=not change.is_effective)


@tool(title="Delete a task", destructive=True, idempotent=True)
def delete_task(context: ToolContext, task_id: TaskId) -> DeletedTask:
    """Delete a task for good. Ask the person first if more than one task could be meant."""
    task = queries.delete(context.connection, context.user_id, task_id)
    context.changed(before=audited(task), after=None)
    return DeletedTask.model_validate(task)


def _after(context: ToolContext, change: TaskChange) -> TaskRecord:
    """Note a change for the audit trail, if there was one, and return the task after it."""
    if change.is_effective:
        context.changed(before=audited(change.before), after=audited(change.after))
    return change.after
