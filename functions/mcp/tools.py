"""The tools of `taskchat.tools` over the protocol."""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from functions.mcp.access import Access
from functions.mcp.clients import name_of
from functions.mcp.pages import refuse_cursor
from taskchat.tools import TOOLS


@dataclass(frozen=True)
class Tools:
    """Handlers of `tools/list` and `tools/call`."""

    access: Access

    async def list(
        self, _context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        """Return all tools."""
        refuse_cursor(params)
        return ListToolsResult(tools=shown_tools())

    async def call(self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        """Run a tool. A change is recorded. A mistake of the model becomes a result that says what to correct.

        Raises:
            MCPError: there is no such tool.
        """
        record = self.access.call(name_of(context), params.name, params.arguments or {})
        if (error := record.get("error")) is None:
            result = record["result"]
            text = json.dumps(result, ensure_ascii=False)
            return CallToolResult(content=[TextContent(text=text)], structured_content=result)
        if error["code"] == "unknown-tool":
            raise MCPError(INVALID_PARAMS, error["message"])
        return CallToolResult(content=[TextContent(text=error["message"])], is_error=True)


@cache
def shown_tools() -> list[Tool]:
    """Return the descriptions of all tools, made once."""
    return [
        Tool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.input_schema,
            output_schema=tool.output_schema,
            annotations=ToolAnnotations.model_validate(tool.annotations),
        )
        for tool in TOOLS.values()
    ]
