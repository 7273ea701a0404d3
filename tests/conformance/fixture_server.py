"""A function with the tools, resources and prompts that the public conformance suite asks a server for.

It is there for tests alone, and stands on the transport, the middleware and the wiring of the MCP function, so that
what the suite finds out about them holds for the real one.
"""

from typing import Any

from fastapi import Request, Response
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
)

from functions.mcp.allowed import Allowed
from functions.mcp.middleware import agree_on_a_version, answer_errors
from functions.mcp.transport import Exchange
from taskchat.http import create_app, lambda_handler
from taskchat.settings import settings
from tests.conformance import fixture_prompts, fixture_tools
from tests.conformance.fixture_contents import resource

Context = ServerRequestContext[Any, Any]
_UNCHANGING = CacheHint(ttl_ms=60_000, scope="public")

app = create_app()


async def _list_resources(_context: Context, _params: PaginatedRequestParams | None) -> ListResourcesResult:
    uris = {"static-text": "text/plain", "static-binary": "image/png"}
    return ListResourcesResult(
        resources=[Resource(uri=f"test://{name}", name=name, mime_type=kind) for name, kind in uris.items()]
    )


async def _list_templates(_context: Context, _params: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
    template = ResourceTemplate(uri_template="test://template/{id}/data", name="template", mime_type="application/json")
    return ListResourceTemplatesResult(resource_templates=[template])


async def _read_resource(_context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
    return ReadResourceResult(contents=[resource(params.uri)])


async def _complete(_context: Context, params: CompleteRequestParams) -> CompleteResult:
    values = [value for value in ("paris", "park", "party") if value.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))


def _server() -> Server[Any]:
    server: Server[Any] = Server(
        "taskchat-conformance",
        version="1.0.0",
        cache_hints={
            "server/discover": _UNCHANGING,
            "tools/list": _UNCHANGING,
            "resources/list": _UNCHANGING,
            "resources/templates/list": _UNCHANGING,
            "resources/read": _UNCHANGING,
            "prompts/list": _UNCHANGING,
        },
        on_list_tools=fixture_tools.list_tools,
        on_call_tool=fixture_tools.call_tool,
        on_list_resources=_list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=_read_resource,
        on_list_prompts=fixture_prompts.list_prompts,
        on_get_prompt=fixture_prompts.get_prompt,
        on_completion=_complete,
    )
    server.middleware = [agree_on_a_version, answer_errors]
    return server


@app.post("/mcp")
async def post_mcp(*, request: Request) -> Response:
    """Answer one JSON-RPC message, as the MCP function does."""
    known = settings()
    return Exchange(
        _server(),
        await request.body(),
        Allowed.for_event(request.scope["aws.event"], known.mcp_hosts, known.mcp_origins),
    )


handler = lambda_handler(app)
