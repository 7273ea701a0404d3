"""All tools, from every domain. The agent, MCP, REST, the audit trail and the documentation take them from here."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from taskchat.tasks import tools as task_tools
from taskchat.toolkit import Tool, execute, tools_of
from taskchat.undo import tools as undo_tools

TOOLS: Mapping[str, Tool] = MappingProxyType(tools_of(task_tools, undo_tools))
"""The tools by name, in the order in which a model reads them."""


call = partial(execute, TOOLS)
"""Run a tool for a person; `taskchat.toolkit.execute` describes the arguments, the record and the errors."""
