"""POST /mcp: the tools for clients of the Model Context Protocol. Two public routes name the issuer to sign in at."""

from taskchat.cold_start import imports_done

from typing import Any

from fastapi import Request, Response

from functions.mcp import server
from functions.mcp.access import Access
from functions.mcp.allowed import Allowed
from functions.mcp.tools import shown_tools
from functions.mcp.transport import Exchange
from taskchat import principal
from taskchat.database import database
from taskchat.errors import InternalError, NotFoundError, TooLargeError, UnauthenticatedError
from taskchat.http import SecondsLeftDep, create_app, lambda_handler
from taskchat.http.openapi import TOKEN, problems
from taskchat.settings import settings
from taskchat.snapshot import around_snapshot

PATH = "/mcp"
METADATA_PATH = "/.well-known/oauth-protected-resource"

app = create_app()

PROTOCOL_ERROR = {
    "description": "JSON-RPC error: an invalid message, or a host or a web page that is not allowed",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
ON_METADATA = problems(NotFoundError, InternalError)


@app.post(
    PATH,
    responses={
        202: {"description": "Notification accepted"},
        **dict.fromkeys((400, 403, 421), PROTOCOL_ERROR),
        **problems(UnauthenticatedError, TooLargeError, InternalError),
    },
    openapi_extra={
        **TOKEN,
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
    },
)
async def post_mcp(*, request: Request, seconds_left: SecondsLeftDep) -> Response:
    """Answer one JSON-RPC message. Nothing is kept for the next one."""
    event = request.scope["aws.event"]
    try:
        person = principal.from_event(event)
    except UnauthenticatedError:
        metadata_url = f"{_base_url(request)}{METADATA_PATH}{PATH}"
        request.state.response_headers = {"WWW-Authenticate": f'Bearer resource_metadata="{metadata_url}"'}
        raise
    known = settings()
    access = Access(person, database(), seconds_left, known.limits)
    allowed = Allowed.for_event(event, known.mcp_hosts, known.mcp_origins)
    return Exchange(server.create(access), await request.body(), allowed)


# A client that knows only the server's URL tries both, the one with the path first (RFC 9728, section 3.1).
@app.get(METADATA_PATH, responses=ON_METADATA)
@app.get(METADATA_PATH + PATH, responses=ON_METADATA, operation_id="get_metadata_of_mcp")
async def get_metadata(*, request: Request) -> dict[str, Any]:
    """Name the issuer whose tokens are accepted (RFC 9728)."""
    issuer = settings().jwt_issuer
    if issuer is None:
        raise NotFoundError("No issuer is configured; set JWT_ISSUER.")
    return {
        "resource": f"{_base_url(request)}{PATH}",
        "resource_name": "Taskchat",
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
    }


def _base_url(request: Request) -> str:
    # The domain name is the gateway's. The client controls the Host header.
    domain_name = request.scope["aws.event"]["requestContext"]["domainName"]
    return f"{request.url.scheme}://{domain_name}{request.scope['root_path']}"


around_snapshot(shown_tools)
handler = lambda_handler(app)
imports_done()
