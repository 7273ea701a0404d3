"""The tools that the conformance suite asks for."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    ContentBlock,
    CreateMessageResult,
    ElicitResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    SamplingCapability,
    Tool,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from tests.conformance.fixture_contents import AUDIO, IMAGE, embedded, text
from tests.conformance.fixture_inputs import answer, elicitation, roots, sampling, signed, verified

Context = ServerRequestContext[Any, Any]
Result = CallToolResult | InputRequiredResult
Run = Callable[[Context, CallToolRequestParams], Result]

_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
_EVERY_KEYWORD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
_REGION: dict[str, Any] = {
    "type": "object",
    "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    "required": ["region"],
}


def _says(*contents: ContentBlock) -> Run:
    return lambda _context, _params: CallToolResult(content=list(contents))


def _fails(_context: Context, _params: CallToolRequestParams) -> Result:
    return CallToolResult(content=[text("This tool intentionally returns an error for testing")], is_error=True)


def _needs_sampling(context: Context, _params: CallToolRequestParams) -> Result:
    needed = ClientCapabilities(sampling=SamplingCapability())
    if not context.session.check_client_capability(needed):
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs sampling.",
            {"requiredCapabilities": needed.model_dump(by_alias=True, exclude_none=True)},
        )
    return CallToolResult(content=[text("The client can sample.")])


def _asks_for_a_name(_context: Context, params: CallToolRequestParams) -> Result:
    if (name := answer(params, "user_name", "name")) is None:
        return InputRequiredResult(input_requests={"user_name": elicitation("What is your name?", "name")})
    return CallToolResult(content=[text(f"Hello, {name}!")])


def _asks_the_model(_context: Context, params: CallToolRequestParams) -> Result:
    if "capital_question" not in (params.input_responses or {}):
        return InputRequiredResult(input_requests={"capital_question": sampling("What is the capital of France?", 100)})
    return CallToolResult(content=[text(str((params.input_responses or {})["capital_question"]))])


def _asks_for_roots(_context: Context, params: CallToolRequestParams) -> Result:
    if "client_roots" not in (params.input_responses or {}):
        return InputRequiredResult(input_requests={"client_roots": roots()})
    return CallToolResult(content=[text(str((params.input_responses or {})["client_roots"]))])


def _asks_with_state(_context: Context, params: CallToolRequestParams) -> Result:
    if verified(params) != "asked" or answer(params, "confirm", "ok") is None:
        question = elicitation("Please confirm", "ok", "boolean")
        return InputRequiredResult(input_requests={"confirm": question}, request_state=signed("asked"))
    return CallToolResult(content=[text("state-ok")])


def _asks_for_all(_context: Context, params: CallToolRequestParams) -> Result:
    questions = {
        "user_name": elicitation("What is your name?", "name"),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": roots(),
    }
    if verified(params) is None or set(questions) - set(params.input_responses or {}):
        return InputRequiredResult(input_requests=dict(questions), request_state=signed("asked"))
    return CallToolResult(content=[text("All three have been answered.")])


def _asks_in_rounds(_context: Context, params: CallToolRequestParams) -> Result:
    state = verified(params)
    if state == "second" and answer(params, "step2", "color") is not None:
        return CallToolResult(content=[text("Both steps have been answered.")])
    if state == "first" and answer(params, "step1", "name") is not None:
        question = elicitation("Step 2: What is your favorite color?", "color")
        return InputRequiredResult(input_requests={"step2": question}, request_state=signed("second"))
    question = elicitation("Step 1: What is your name?", "name")
    return InputRequiredResult(input_requests={"step1": question}, request_state=signed("first"))


def _asks_what_the_client_can(context: Context, _params: CallToolRequestParams) -> Result:
    able = context.session.client_capabilities or ClientCapabilities()
    questions: dict[str, Any] = {}
    if able.sampling is not None:
        questions["greeting"] = sampling("Generate a greeting", 50)
    if able.elicitation is not None:
        questions["user_name"] = elicitation("What is your name?", "name")
    if not questions:
        return CallToolResult(content=[text("The client can do neither.")])
    return InputRequiredResult(input_requests=questions)


_ALL: Mapping[str, tuple[dict[str, Any], Run]] = {
    "test_simple_text": (_NOTHING, _says(text("This is a simple text response for testing."))),
    "test_image_content": (_NOTHING, _says(IMAGE)),
    "test_audio_content": (_NOTHING, _says(AUDIO)),
    "test_embedded_resource": (_NOTHING, _says(embedded("test://embedded-resource", "An embedded resource."))),
    "test_multiple_content_types": (
        _NOTHING,
        _says(text("Multiple content types:"), IMAGE, embedded("test://mixed", '{"a": 1}', "application/json")),
    ),
    "test_error_handling": (_NOTHING, _fails),
    "test_logging_tool": (_NOTHING, _says(text("Done, without a log."))),
    "test_missing_capability": (_NOTHING, _needs_sampling),
    "test_streaming_elicitation": (_NOTHING, _asks_for_a_name),
    "json_schema_2020_12_tool": (_EVERY_KEYWORD, _says(text("Valid."))),
    "test_region": (_REGION, _says(text("Region taken."))),
    "test_input_required_result_elicitation": (_NOTHING, _asks_for_a_name),
    "test_input_required_result_sampling": (_NOTHING, _asks_the_model),
    "test_input_required_result_list_roots": (_NOTHING, _asks_for_roots),
    "test_input_required_result_request_state": (_NOTHING, _asks_with_state),
    "test_input_required_result_multiple_inputs": (_NOTHING, _asks_for_all),
    "test_input_required_result_multi_round": (_NOTHING, _asks_in_rounds),
    "test_input_required_result_tampered_state": (_NOTHING, _asks_with_state),
    "test_input_required_result_capabilities": (_NOTHING, _asks_what_the_client_can),
}


async def _reports(context: Context, _params: CallToolRequestParams) -> Result:
    for part in (0, 50, 100):
        await context.session.report_progress(part, 100, f"{part} of 100")
    return CallToolResult(content=[text("Done, with progress.")])


async def _asks_back(context: Context, _params: CallToolRequestParams) -> Result:
    await context.session.send_request(elicitation("Who are you?", "name"), ElicitResult)
    return CallToolResult(content=[text("Answered.")])


async def _samples(context: Context, _params: CallToolRequestParams) -> Result:
    await context.session.send_request(sampling("Who are you?", 100), CreateMessageResult)
    return CallToolResult(content=[text("Answered.")])


_TO_THE_CLIENT: Mapping[str, Callable[[Context, CallToolRequestParams], Awaitable[Result]]] = {
    "test_tool_with_progress": _reports,
    "test_sampling": _samples,
    "test_elicitation": _asks_back,
    "test_elicitation_sep1034_defaults": _asks_back,
    "test_elicitation_sep1330_enums": _asks_back,
}
"""These talk to the client before they answer, which does not get through."""


async def list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
    """Return all of them."""
    return ListToolsResult(
        tools=[
            Tool(name=name, description=f"The conformance suite's {name}.", input_schema=schema)
            for name, schema in (
                *((name, schema) for name, (schema, _) in _ALL.items()),
                *((name, _NOTHING) for name in _TO_THE_CLIENT),
            )
        ]
    )


async def call_tool(context: Context, params: CallToolRequestParams) -> Result:
    """Run one."""
    if talks := _TO_THE_CLIENT.get(params.name):
        return await talks(context, params)
    if params.name not in _ALL:
        raise MCPError(INVALID_PARAMS, "There is no such tool.")
    _, run = _ALL[params.name]
    return run(context, params)
