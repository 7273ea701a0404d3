"""The tools. To add one is to add it here; the agent, MCP and the audit trail take it up from `TOOLS`."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import BaseModel

from taskchat import tasks
from taskchat.tools.definition import Annotations, Caller, Tool
from taskchat.tools.inputs import CreateTask, ListTasks, OneTask, UpdateTask
from taskchat.tools.outputs import (
    CompletedTask,
    CreatedTask,
    DeletedTask,
    ReopenedTask,
    TaskDetails,
    TaskList,
    TaskSummary,
    UpdatedTask,
)


def _create(caller: Caller, given: CreateTask) -> BaseModel:
    task = tasks.create(
        caller.connection,
        caller.user_id,
        title=given.title,
        description=given.description,
        priority=given.priority,
        due_at=given.due_at,
    )
    return CreatedTask.model_validate(task)


def _list(caller: Caller, given: ListTasks) -> BaseModel:
    page = tasks.find(
        caller.connection,
        caller.user_id,
        status=given.status,
        priority=given.priority,
        due_before=given.due_before,
        text=given.text,
        limit=given.limit,
    )
    listed = [TaskSummary.model_validate(task) for task in page.tasks]
    return TaskList(tasks=listed, count=len(listed), more=page.more)


def _get(caller: Caller, given: OneTask) -> BaseModel:
    return TaskDetails.model_validate(tasks.get(caller.connection, caller.user_id, given.task_id))


def _update(caller: Caller, given: UpdateTask) -> BaseModel:
    return UpdatedTask.model_validate(tasks.update(caller.connection, caller.user_id, given.task_id, given.changes()))


def _complete(caller: Caller, given: OneTask) -> BaseModel:
    task, changed = tasks.complete(caller.connection, caller.user_id, given.task_id)
    return CompletedTask(id=task.id, title=task.title, completed_at=task.completed_at, already_completed=not changed)


def _reopen(caller: Caller, given: OneTask) -> BaseModel:
    task, changed = tasks.reopen(caller.connection, caller.user_id, given.task_id)
    return ReopenedTask(id=task.id, title=task.title, already_pending=not changed)


def _delete(caller: Caller, given: OneTask) -> BaseModel:
    return DeletedTask.model_validate(tasks.delete(caller.connection, caller.user_id, given.task_id))


def _annotations(*, read_only: bool = False, destructive: bool = False, idempotent: bool = False) -> Annotations:
    return {
        "readOnlyHint": read_only,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": False,
    }


_ALL = (
    Tool(
        name="create_task",
        title="Create a task",
        description="Add a task to the person's list. Returns it with its id.",
        input=CreateTask,
        output=CreatedTask,
        annotations=_annotations(),
        run=_create,
    ),
    Tool(
        name="list_tasks",
        title="List tasks",
        description=(
            "List the person's tasks, or find those that fit: by status, priority, due date or text. "
            "Pending ones come first, the soonest due before the others. "
            "Use it to find the id of a task that the person names by its words."
        ),
        input=ListTasks,
        output=TaskList,
        annotations=_annotations(read_only=True, idempotent=True),
        run=_list,
    ),
    Tool(
        name="get_task",
        title="Get a task",
        description="Return everything about one task, its description included.",
        input=OneTask,
        output=TaskDetails,
        annotations=_annotations(read_only=True, idempotent=True),
        run=_get,
    ),
    Tool(
        name="update_task",
        title="Update a task",
        description=(
            "Change a task's title, description, priority or due date. Only what is given changes; "
            "to remove the description or the due date, name it in clear."
        ),
        input=UpdateTask,
        output=UpdatedTask,
        annotations=_annotations(destructive=True, idempotent=True),
        run=_update,
    ),
    Tool(
        name="complete_task",
        title="Complete a task",
        description="Mark a task as done. One that is done already stays as it is, and the result says so.",
        input=OneTask,
        output=CompletedTask,
        annotations=_annotations(idempotent=True),
        run=_complete,
    ),
    Tool(
        name="reopen_task",
        title="Reopen a task",
        description="Make a completed task pending again. One that is pending stays so, and the result says so.",
        input=OneTask,
        output=ReopenedTask,
        annotations=_annotations(idempotent=True),
        run=_reopen,
    ),
    Tool(
        name="delete_task",
        title="Delete a task",
        description="Delete a task for good. Where more than one could be meant, ask the person first.",
        input=OneTask,
        output=DeletedTask,
        annotations=_annotations(destructive=True, idempotent=True),
        run=_delete,
    ),
)

TOOLS: Mapping[str, Tool] = MappingProxyType({tool.name: tool for tool in _ALL})
"""The tools by name, in the order in which a model reads them."""
