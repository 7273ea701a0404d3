"""All tools, from every domain. The agent, MCP, REST, the audit trail and the documentation take them from here."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from taskchat.tasks import tools as task_tools
from taskchat.toolkit import Tool, ToolCall, ToolRequest, execute, tools_of
from taskchat.undo import tools as undo_tools

TOOLS: Mapping[str, Tool] = MappingProxyType(tools_of(task_tools, undo_tools))
"""The tools by name, in the order in which a model reads them."""


def call(
    connection: Connection,
    request: ToolRequest,
    *,
    user_id: UUID,
    time_zone: tzinfo,
    turn_id: UUID,
    earlier_calls: Sequence[Mapping[str, Any]] = (),
) -> ToolCall:
    """Run a tool for a person; `taskchat.toolkit.execute` describes the record and the errors."""
    return execute(
        TOOLS,
        connection,
        request,
        user_id=user_id,
        time_zone=time_zone,
        turn_id=turn_id,
        earlier_calls=earlier_calls,
    )
