"""Tools: the decorator, the schemas, argument validation, and execution with an audit record.

A tool is one decorated function beside its domain's queries. Its name, description and schemas come from the function.
"""

from taskchat.toolkit.arguments import InvalidArgumentsError
from taskchat.toolkit.definition import Annotations, Change, Tool, ToolContext, tool, tools_of
from taskchat.toolkit.execution import ToolCall, ToolError, ToolRequest, execute, note, refuse, timestamp
from taskchat.toolkit.schemas import ToolInput, ToolOutput

__all__ = [
    "Annotations",
    "Change",
    "InvalidArgumentsError",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolError",
    "ToolInput",
    "ToolOutput",
    "ToolRequest",
    "execute",
    "note",
    "refuse",
    "timestamp",
    "tool",
    "tools_of",
]
