"""Middleware of every message: version negotiation, session ids, and errors."""

from dataclasses import replace
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from mcp_types.version import LATEST_HANDSHAKE_VERSION
from pydantic import ValidationError

from functions.mcp.clients import new_session_id
from functions.mcp.transport import SESSION_ID
from taskchat.errors import RetryableError, TaskchatError
from taskchat.monitoring import note_defect, note_problem

HANDSHAKE_VERSIONS = ("2025-06-18", "2025-11-25")
"""Versions that `initialize` can agree on. Older ones have batches, which this server does not support."""


async def agree_on_a_version(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Offer the newest version to a client that asks for an unsupported one, and give the client a session id."""
    if ctx.method != "initialize":
        return await call_next(ctx)
    params = dict(ctx.params or {})
    if params.get("protocolVersion") not in HANDSHAKE_VERSIONS and "protocolVersion" in params:
        ctx = replace(ctx, params={**params, "protocolVersion": LATEST_HANDSHAKE_VERSION})
    result = await call_next(ctx)
    if ctx.request is not None and (session_id := new_session_id(params)):
        ctx.request.scope[SESSION_ID] = session_id
    return result


async def answer_errors(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Turn domain errors into errors of the protocol, and a defect into one that shows nothing of its cause."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except TaskchatError as error:
        note_problem(error)
        raise _protocol_error(error) from error
    except Exception as error:
        # The outermost layer of the endpoint: the SDK would answer a defect with the text of its exception.
        raise _protocol_error(note_defect(error)) from error


def _protocol_error(error: TaskchatError) -> MCPError:
    data: dict[str, Any] = {"code": error.code, "retryable": error.retryable}
    if isinstance(error, RetryableError):
        data["retryAfterSeconds"] = error.retry_after_seconds
    return MCPError(INTERNAL_ERROR, str(error), data)
