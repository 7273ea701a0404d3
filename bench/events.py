"""Events that the functions are sent."""

import json
import uuid
from typing import Any

from local.lambda_events import http_event
from local.toolchain import ROOT

MESSAGE = "Add a task to buy groceries, with high priority"
FUNCTIONS = ("ChatFunction", "ConversationsFunction", "McpFunction")
"""Functions that a person waits for, by their names in `template.yaml`."""


def chat(conversation_id: int | None = None, user: str = "ann", message: str = MESSAGE) -> dict[str, Any]:
    """Return a message of a user, under a new idempotency key."""
    body = {"message": message, "conversation_id": conversation_id}
    return http_event("POST", "/chat", body=body, user=user, headers={"idempotency-key": str(uuid.uuid4())})


def first_event(function: str) -> dict[str, Any]:
    """Return the request that measures a start of the function."""
    if function == "ChatFunction":
        return chat()
    if function == "McpFunction":
        event: dict[str, Any] = json.loads((ROOT / "events" / "mcp-tools-call.json").read_text(encoding="utf-8"))
        return event
    return http_event("GET", "/conversations")
