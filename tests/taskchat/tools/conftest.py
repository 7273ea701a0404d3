"""People, and their way to the tools."""

import json
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from taskchat.tools import ToolCall, ToolRequest, call
from tests.support import rolled_back
from tests.support.rolled_back import ANN

connection = rolled_back.connection
shared_database = rolled_back.shared_database


@pytest.fixture
def use(connection: Connection) -> Callable[..., ToolCall]:
    """Return a function that calls a tool, for Ann in Berlin unless told otherwise.

    The arguments are given by name, or as `written` where it matters how they are written.
    """

    def use(
        tool: str,
        *,
        written: str | None = None,
        user: uuid.UUID = ANN,
        zone: str = "Europe/Berlin",
        **arguments: Any,
    ) -> ToolCall:
        request = ToolRequest("call_1", tool, json.dumps(arguments) if written is None else written)
        return call(connection, request, user_id=user, time_zone=ZoneInfo(zone))

    return use
