"""Completion of ids that a person types."""

from dataclasses import dataclass
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CompleteRequestParams, CompleteResult, Completion, ResourceTemplateReference

from functions.mcp.access import Access
from functions.mcp.prompts import PROMPTS
from functions.mcp.resources import CONVERSATION_TEMPLATE, LARGEST_LIST, TASK_TEMPLATE
from taskchat import conversations
from taskchat.tasks import queries as tasks

MOST_VALUES = 100
"""Limit of the protocol."""


@dataclass(frozen=True)
class Completions:
    """Completes the ids of resources."""

    access: Access

    async def complete(self, _context: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        """Return the ids that begin with the typed text; none for an argument that is not an id.

        Raises:
            MCPError: there is no such prompt or template.
        """
        if isinstance(params.ref, ResourceTemplateReference):
            ids, are_all = self._ids(params.ref.uri) if params.argument.name == "id" else ([], True)
        elif params.ref.name in PROMPTS:
            ids, are_all = [], True
        else:
            raise MCPError(INVALID_PARAMS, "There is no prompt of this name.")
        fitting = [text for text in map(str, ids) if text.startswith(params.argument.value.strip())]
        return CompleteResult(
            completion=Completion(
                values=fitting[:MOST_VALUES],
                total=len(fitting) if are_all else None,
                has_more=len(fitting) > MOST_VALUES or not are_all,
            )
        )

    def _ids(self, template: str) -> tuple[list[int], bool]:
        """Return the newest ids, and whether these are all."""
        user_id = self.access.person.user_id
        if template == TASK_TEMPLATE:
            found = self.access.transaction(lambda connection: tasks.find(connection, user_id, limit=LARGEST_LIST))
            return [task.id for task in found.tasks], not found.more
        if template == CONVERSATION_TEMPLATE:
            page = self.access.transaction(
                lambda connection: conversations.list_page(connection, user_id, limit=LARGEST_LIST)
            )
            return [conversation.id for conversation in page.items], page.next_cursor is None
        raise MCPError(INVALID_PARAMS, "There is no resource template of this form.")
