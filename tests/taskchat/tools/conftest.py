"""People, and their way to the tools."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from taskchat.database import Database
from taskchat.models import User
from taskchat.tools import ToolCall, ToolRequest, call

ANN = uuid.UUID(int=1)
BOB = uuid.UUID(int=2)


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """Return a session in a transaction, with Ann and Bob signed up."""
    with Session(database.engine()) as session:
        session.execute(insert(User), [{"id": user, "subject": str(user)} for user in (ANN, BOB)])
        yield session


@pytest.fixture
def use(session: Session) -> Callable[..., ToolCall]:
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
        return call(session, request, user_id=user, time_zone=ZoneInfo(zone))

    return use
