"""The tools of `taskchat.tools` over the protocol."""

import json
from collections.abc import Mapping
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
from functions.mcp.clients import name_of, request_key
from functions.mcp.pages import refuse_cursor
from taskchat.text import is_storable
from taskchat.tools import TOOLS

KEY = "idempotencyKey"
"""Member of a call's `_meta`. The protocol has no name for it yet:
https://github.com/modelcontextprotocol/modelcontextprotocol/pull/3182"""
LONGEST_KEY_CHARACTERS = 255


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
            MCPError: there is no such tool, or the idempotency key is not valid.
        """
        arguments = params.arguments or {}
        key = _own_key(params) or request_key(context, params.name, arguments)
        record = self.access.call(name_of(context), params.name, arguments, key)
        if (error := record.get("error")) is None:
            result = record["result"]
            text = json.dumps(result, ensure_ascii=False)
            return CallToolResult(content=[TextContent(text=text)], structured_content=result)
        if error["code"] == "unknown-tool":
            raise MCPError(INVALID_PARAMS, error["message"])
        return CallToolResult(content=[TextContent(text=error["message"])], is_error=True)


def _own_key(params: CallToolRequestParams) -> str | None:
    """Return the key that the client made up for the call, if it did."""
    meta: Mapping[str, Any] = params.meta or {}
    key = meta.get(KEY)
    if key is None:
        return None
    if not (isinstance(key, str) and 1 <= len(key) <= LONGEST_KEY_CHARACTERS and is_storable(key)):
        raise MCPError(INVALID_PARAMS, f"_meta.{KEY} must be a text of 1 to {LONGEST_KEY_CHARACTERS} characters.")
    return f"meta {key}"


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
