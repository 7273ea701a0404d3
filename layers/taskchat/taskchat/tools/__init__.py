"""The tools, as the Model Context Protocol understands them: defined once, for the agent and for every client."""

import functools
from typing import Any

from taskchat.tools.definition import Annotations, Caller, Tool
from taskchat.tools.execution import ToolCall, ToolError, ToolRequest, call
from taskchat.tools.registry import TOOLS

__all__ = [
    "TOOLS",
    "Annotations",
    "Caller",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolRequest",
    "call",
    "function_schemas",
]


@functools.cache
def function_schemas() -> list[dict[str, Any]]:
    """Return the `tools` of a Chat Completions request; made once, so do not change it."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            },
        }
        for tool in TOOLS.values()
    ]
