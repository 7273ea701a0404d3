"""Input that a server needs before it can answer (2026-07-28, input_required): requests, answers, state."""

import hashlib
import hmac
from typing import Any, Literal

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputResponseRequestParams,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)

_KEY = b"a key of the tests"


def elicitation(message: str, field: str, kind: Literal["string", "boolean"] = "string") -> ElicitRequest:
    """Return a question to the person, answered by one field."""
    schema: dict[str, Any] = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sampling(words: str, most_tokens: int) -> CreateMessageRequest:
    """Return a question to the client's model."""
    said = SamplingMessage(role="user", content=TextContent(text=words))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[said], max_tokens=most_tokens))


def roots() -> ListRootsRequest:
    """Return the question for the client's folders."""
    return ListRootsRequest()


def answer(params: InputResponseRequestParams, key: str, field: str) -> Any:
    """Return the field that the person filled in; None where there is no such answer."""
    response = (params.input_responses or {}).get(key)
    if not isinstance(response, ElicitResult) or response.content is None:
        return None
    return response.content.get(field)


def signed(state: str) -> str:
    """Return state that a client cannot change unnoticed."""
    return f"{state}.{hmac.digest(_KEY, state.encode(), hashlib.sha256).hex()}"


def verified(params: InputResponseRequestParams) -> str | None:
    """Return the state that the client gave back, if any.

    Raises:
        MCPError: it was changed on its way.
    """
    if params.request_state is None:
        return None
    state = params.request_state.rpartition(".")[0]
    if not hmac.compare_digest(signed(state).encode(), params.request_state.encode()):
        raise MCPError(INVALID_PARAMS, "The state was tampered with.")
    return state
