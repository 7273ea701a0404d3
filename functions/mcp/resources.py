"""Resources: lists of tasks, single tasks, and conversations as transcripts."""

import json
import re
from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from functions.mcp.access import TIME_ZONE, Access
from functions.mcp.pages import refuse_cursor
from functions.mcp.transcripts import transcript
from taskchat import conversations
from taskchat.errors import NotFoundError
from taskchat.models import LARGEST_ID
from taskchat.tasks import queries as tasks
from taskchat.tasks.queries import StatusFilter
from taskchat.tasks.tools import TaskDetails, TaskList, TaskSummary

TASK_TEMPLATE = "task://{id}"
CONVERSATION_TEMPLATE = "conversation://{id}"
LARGEST_LIST = 1_000
LARGEST_TRANSCRIPT = 200
JSON = "application/json"
MARKDOWN = "text/markdown"
_LISTS = {"tasks://all": StatusFilter.ALL, "tasks://pending": StatusFilter.PENDING}
_ITEM = re.compile("(?P<kind>task|conversation)://(?P<id>[1-9][0-9]{0,18})")
_NOT_FOUND_BEFORE_2026 = -32002

_RESOURCES = [
    Resource(
        uri="tasks://pending",
        name="pending_tasks",
        title="Pending tasks",
        description=f"Tasks that are not completed, soonest due first; at most {LARGEST_LIST}.",
        mime_type=JSON,
    ),
    Resource(
        uri="tasks://all",
        name="all_tasks",
        title="All tasks",
        description=f"Pending and completed tasks; at most {LARGEST_LIST}.",
        mime_type=JSON,
    ),
]
_TEMPLATES = [
    ResourceTemplate(
        uri_template=TASK_TEMPLATE,
        name="task",
        title="A task",
        description="One task in full.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template=CONVERSATION_TEMPLATE,
        name="conversation",
        title="A conversation",
        description=f"A conversation's last {LARGEST_TRANSCRIPT} messages, with the tool calls.",
        mime_type=MARKDOWN,
    ),
]


@dataclass(frozen=True)
class Resources:
    """Handlers of `resources/list`, `resources/templates/list` and `resources/read`."""

    access: Access

    async def list(
        self, _context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """Return the two lists, which everybody has."""
        refuse_cursor(params)
        return ListResourcesResult(resources=_RESOURCES)

    async def list_templates(
        self, _context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Return the URI templates of single tasks and conversations."""
        refuse_cursor(params)
        return ListResourceTemplatesResult(resource_templates=_TEMPLATES)

    async def read(
        self, context: ServerRequestContext[Any, Any], params: ReadResourceRequestParams
    ) -> ReadResourceResult:
        """Return one of the person's resources.

        Raises:
            MCPError: the person has no such resource.
        """
        try:
            return ReadResourceResult(contents=[self.contents(params.uri)])
        except NotFoundError as error:
            is_modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
            code = INVALID_PARAMS if is_modern else _NOT_FOUND_BEFORE_2026
            raise MCPError(code, str(error), {"uri": params.uri}) from None

    def contents(self, uri: str) -> TextResourceContents:
        """Return the contents of a URI.

        Raises:
            NotFoundError: the person has no such resource.
        """
        # Clients that parse URIs write the host in lower case and add a slash after it (RFC 3986, section 6.2).
        canonical = uri.lower().removesuffix("/")
        if canonical in _LISTS:
            return TextResourceContents(uri=uri, mime_type=JSON, text=self._tasks(_LISTS[canonical]))
        found = _ITEM.fullmatch(canonical)
        if found is None or int(found["id"]) > LARGEST_ID:
            raise NotFoundError("There is no such resource.")
        if found["kind"] == "task":
            return TextResourceContents(uri=uri, mime_type=JSON, text=self._task(int(found["id"])))
        return TextResourceContents(uri=uri, mime_type=MARKDOWN, text=self._conversation(int(found["id"])))

    def _tasks(self, status: StatusFilter) -> str:
        user_id = self.access.person.user_id
        page = self.access.transaction(
            lambda connection: tasks.find(connection, user_id, status=status, limit=LARGEST_LIST)
        )
        listed = [TaskSummary.model_validate(task) for task in page.tasks]
        return _text(TaskList(tasks=listed, count=len(listed), more=page.more))

    def _task(self, task_id: int) -> str:
        user_id = self.access.person.user_id
        task = self.access.transaction(lambda connection: tasks.get(connection, user_id, task_id))
        return _text(TaskDetails.model_validate(task))

    def _conversation(self, conversation_id: int) -> str:
        user_id = self.access.person.user_id
        conversation, page = self.access.transaction(
            lambda connection: (
                conversations.get(connection, user_id, conversation_id),
                conversations.messages_page(connection, user_id, conversation_id, limit=LARGEST_TRANSCRIPT),
            )
        )
        return transcript(conversation, page)


def _text(output: TaskList | TaskDetails) -> str:
    return json.dumps(output.model_dump(mode="json", context={"time_zone": TIME_ZONE}), ensure_ascii=False)
