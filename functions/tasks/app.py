"""Routes of tasks: list, create, read, change, delete. Changes run the agent's tools, and are audited likewise."""

from taskchat.cold_start import imports_done

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from taskchat import audit
from taskchat.database import database
from taskchat.errors import (
    ConversationDeletedError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
    PreconditionFailedError,
    TaskchatError,
    TooManyTasksError,
    UsageLimitReachedError,
)
from taskchat.http import (
    Body,
    CallerDep,
    Invocation,
    InvocationDep,
    Limit,
    PathId,
    Text,
    create_app,
    entity_tag,
    idempotency_headers,
    lambda_handler,
    matches,
    tagged,
)
from taskchat.http.openapi import (
    COMMON_ERRORS,
    ETAG_HEADER,
    IDEMPOTENCY_HEADERS,
    IDEMPOTENCY_KEY_PARAMETER,
    IF_MATCH_PARAMETER,
    IF_NONE_MATCH_PARAMETER,
    NOT_MODIFIED,
    TOKEN,
    problems,
)
from taskchat.models import TITLE_CHARACTERS, Priority
from taskchat.settings import settings
from taskchat.snapshot import around_snapshot
from taskchat.tasks import queries as tasks
from taskchat.tasks.queries import DEFAULT_LIMIT, SEARCHED_TASKS, StatusFilter, TaskRecord
from taskchat.tasks.tools import DESCRIPTION_CHARACTERS, DueAt, DueBefore, PriorityName, StatusName
from taskchat.toolkit import ToolCall

CLIENT = "Task list"
"""Title of the conversation that records a person's changes."""

app = create_app()

TaskTitle = Annotated[Text, Field(max_length=TITLE_CHARACTERS, description="What is to be done, in a few words.")]
TaskDescription = Annotated[
    Text, Field(max_length=DESCRIPTION_CHARACTERS, description="Details that do not fit in the title.")
]
TaskDueAt = Annotated[
    DueAt,
    Field(description="When it is due: an ISO 8601 date-time, or a date, for the end of that day. In UTC by default."),
]


class TasksQuery(Body):
    """A page of tasks: the filters, its size, and the cursor that the page before gave."""

    status: StatusName = StatusFilter.ALL
    priority: PriorityName | None = None
    due_before: (
        Annotated[
            DueBefore,
            Field(description="Only tasks due before this ISO 8601 date-time, or start of a date. In UTC by default."),
        ]
        | None
    ) = None
    text: (
        Annotated[
            Text,
            Field(
                max_length=TITLE_CHARACTERS,
                description=(
                    f"Only tasks whose title or description contains it, among the newest {SEARCHED_TASKS:,}."
                ),
            ),
        ]
        | None
    ) = None
    limit: Limit = DEFAULT_LIMIT
    cursor: str | None = None


class NewTask(Body):
    """A task that is to be created, as `create_task` takes it."""

    title: TaskTitle
    description: TaskDescription | None = None
    priority: PriorityName = Priority.NORMAL
    due_at: TaskDueAt | None = None


class TaskPatch(Body):
    """A merge patch (RFC 7396): a member that is left out stays, and null clears a description or a date."""

    title: TaskTitle = ""
    description: TaskDescription | None = None
    priority: PriorityName = Priority.NORMAL
    due_at: TaskDueAt | None = None
    completed: Annotated[bool, Field(strict=True, description="True completes the task, false reopens it.")] = False


class TaskItem(BaseModel):
    """A task."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    description: str | None
    priority: Priority
    due_at: datetime | None
    completed: bool
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


class TaskPage(BaseModel):
    """Tasks, and the cursor of the page after them; null on the last page."""

    model_config = ConfigDict(from_attributes=True)

    items: Sequence[TaskItem]
    next_cursor: str | None


@dataclass(frozen=True)
class _Changed:
    """A task as JSON after a change, empty if it was deleted; `replayed` if an earlier request with the key did it."""

    task_id: int
    body: bytes
    replayed: bool


_Call = tuple[str, Mapping[str, Any]]
"""The name of a tool, and its arguments."""
ON_ALL = problems(*COMMON_ERRORS)
ON_ONE = problems(*COMMON_ERRORS, NotFoundError)
ON_CREATE = problems(
    *COMMON_ERRORS, TooManyTasksError, IdempotencyKeyReusedError, ConversationDeletedError, UsageLimitReachedError
)
ON_CHANGE = problems(
    *COMMON_ERRORS,
    NotFoundError,
    IdempotencyKeyReusedError,
    ConversationDeletedError,
    PreconditionFailedError,
    UsageLimitReachedError,
)
LOCATION = {"Location": {"description": "Path of the task.", "schema": {"type": "string", "format": "uri-reference"}}}


# Coroutines may block here: an instance serves one invocation at a time, and a thread would only cost time.
@app.get(
    "/tasks",
    response_model=TaskPage,
    responses={200: {"headers": ETAG_HEADER}, 304: NOT_MODIFIED, **ON_ALL},
    openapi_extra={**TOKEN, "parameters": [IF_NONE_MATCH_PARAMETER]},
)
async def get_tasks(*, query: Annotated[TasksQuery, Query()], caller: CallerDep, request: Request) -> Response:
    """List tasks: pending first, soonest due first, those without a date last."""
    page = database().transaction(
        caller.user_id,
        lambda connection: tasks.find(connection, caller.user_id, **dict(query)),
        seconds_left=caller.seconds_left,
    )
    return tagged(request, TaskPage(items=page.tasks, next_cursor=page.next_cursor).model_dump_json().encode())


@app.post(
    "/tasks",
    status_code=201,
    response_model=TaskItem,
    responses={201: {"headers": {**ETAG_HEADER, **IDEMPOTENCY_HEADERS, **LOCATION}}, **ON_CREATE},
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER]},
)
async def post_task(*, body: NewTask, invocation: InvocationDep, request: Request) -> Response:
    """Create a task. It is pending."""
    arguments = body.model_dump(mode="json", exclude_none=True)
    changed = _change(request, invocation, [("create_task", arguments)])
    location = f"{request.scope.get('root_path', '')}/tasks/{changed.task_id}"
    return _answer(request, invocation, changed, 201, Location=location)


@app.get(
    "/tasks/{id}",
    response_model=TaskItem,
    responses={200: {"headers": ETAG_HEADER}, 304: NOT_MODIFIED, **ON_ONE},
    openapi_extra={**TOKEN, "parameters": [IF_NONE_MATCH_PARAMETER]},
)
async def get_task(*, task_id: PathId, caller: CallerDep, request: Request) -> Response:
    """Return one task."""
    task = database().transaction(
        caller.user_id,
        lambda connection: tasks.get(connection, caller.user_id, task_id),
        seconds_left=caller.seconds_left,
    )
    return tagged(request, _json(task))


@app.patch(
    "/tasks/{id}",
    response_model=TaskItem,
    responses={200: {"headers": {**ETAG_HEADER, **IDEMPOTENCY_HEADERS}}, **ON_CHANGE},
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER, IF_MATCH_PARAMETER]},
)
async def patch_task(*, task_id: PathId, body: TaskPatch, invocation: InvocationDep, request: Request) -> Response:
    """Change a task by a JSON merge patch (RFC 7396), all of it or nothing."""
    return _answer(request, invocation, _change(request, invocation, _calls(task_id, body), task_id))


@app.delete(
    "/tasks/{id}",
    status_code=204,
    responses={204: {"headers": IDEMPOTENCY_HEADERS}, **ON_CHANGE},
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER, IF_MATCH_PARAMETER]},
)
async def delete_task(*, task_id: PathId, invocation: InvocationDep, request: Request) -> Response:
    """Delete a task. The audit trail keeps it."""
    changed = _change(request, invocation, [("delete_task", {"task_id": task_id})], task_id)
    return Response(status_code=204, headers=_idempotency(invocation, changed))


def _calls(task_id: int, body: TaskPatch) -> list[_Call]:
    """Translate a merge patch into calls of the tools; get_task for one that changes nothing."""
    given = body.model_dump(mode="json", include=body.model_fields_set - {"completed"})
    calls: list[_Call] = []
    if given:
        changes = {name: value for name, value in given.items() if value is not None}
        clear = [name for name, value in given.items() if value is None]
        calls.append(("update_task", {"task_id": task_id, **changes, "clear": clear}))
    if "completed" in body.model_fields_set:
        calls.append(("complete_task" if body.completed else "reopen_task", {"task_id": task_id}))
    return calls or [("get_task", {"task_id": task_id})]


def _change(request: Request, invocation: Invocation, calls: Sequence[_Call], task_id: int | None = None) -> _Changed:
    """Run the calls in one transaction, if the task is as `If-Match` names it, and once for each idempotency key."""
    if_match = request.headers.get("If-Match")
    client = audit.Client(invocation.principal, CLIENT, audit.Channel.REST, limits=settings().limits)
    turn_id = client.turn_id(f"rest {invocation.idempotency_key}")

    def check(connection: Connection) -> None:
        if if_match is not None and task_id is not None:
            task = tasks.locked(connection, invocation.user_id, task_id)
            if task is not None and not matches(if_match, entity_tag(_json(task))):
                raise PreconditionFailedError("The task is not as If-Match names it; read it again.")

    def work(connection: Connection) -> _Changed:
        requests = [(tool, json.dumps(arguments)) for tool, arguments in calls]
        recorded = audit.run_calls(connection, client, turn_id, requests, UTC, precondition=check)
        for call in recorded.calls:
            _raise_error(call)
        changes = [call["after"] for call in recorded.calls if "after" in call]
        changed_id: int = recorded.calls[-1]["result"]["id"]
        # The record keeps the answer for a repetition. A call that changed nothing has none.
        after = changes[-1] if changes else tasks.get(connection, invocation.user_id, changed_id)
        return _Changed(changed_id, b"" if after is None else _json(after), recorded.replayed)

    return database().transaction(invocation.user_id, work, seconds_left=invocation.seconds_left)


def _raise_error(call: ToolCall) -> None:
    """Raise the error of a call that failed, so that the calls before it are rolled back."""
    if (error := call.get("error")) is not None:
        kinds: dict[str, type[TaskchatError]] = {kind.code: kind for kind in (NotFoundError, TooManyTasksError)}
        raise kinds.get(error["code"], InvalidRequestError)(error["message"])


def _answer(
    request: Request, invocation: Invocation, changed: _Changed, status_code: int = 200, **headers: str
) -> Response:
    return tagged(request, changed.body, status_code, {**headers, **_idempotency(invocation, changed)})


def _idempotency(invocation: Invocation, changed: _Changed) -> dict[str, str]:
    return idempotency_headers(invocation.idempotency_key, replayed=changed.replayed)


def _json(task: TaskRecord | Mapping[str, Any]) -> bytes:
    return TaskItem.model_validate(task).model_dump_json().encode()


around_snapshot()
handler = lambda_handler(app)
imports_done()
