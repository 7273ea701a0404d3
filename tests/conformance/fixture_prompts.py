"""The prompts that the conformance suite asks for."""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    ContentBlock,
    GetPromptRequestParams,
    GetPromptResult,
    InputRequiredResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
)

from tests.conformance.fixture_contents import IMAGE, embedded, text
from tests.conformance.fixture_inputs import answer, elicitation

Context = ServerRequestContext[Any, Any]
ARGUMENTS = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


async def list_prompts(_context: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
    """Return all of them."""
    return ListPromptsResult(
        prompts=[
            Prompt(
                name=name,
                description=f"The conformance suite's {name}.",
                arguments=[PromptArgument(name=argument, required=True) for argument in arguments],
            )
            for name, arguments in ARGUMENTS.items()
        ]
    )


async def get_prompt(_context: Context, params: GetPromptRequestParams) -> GetPromptResult | InputRequiredResult:
    """Return one, filled in."""
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            return _prompt(text("This is a simple prompt for testing."))
        case "test_prompt_with_arguments":
            return _prompt(text(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"))
        case "test_prompt_with_embedded_resource":
            return _prompt(embedded(given["resourceUri"], "Embedded resource content."), text("Please process it."))
        case "test_prompt_with_image":
            return _prompt(IMAGE, text("Please analyze the image above."))
        case "test_input_required_result_prompt":
            if (context := answer(params, "user_context", "context")) is None:
                question = elicitation("What context should the prompt use?", "context")
                return InputRequiredResult(input_requests={"user_context": question})
            return _prompt(text(f"The context is {context}."))
    raise MCPError(INVALID_PARAMS, "There is no such prompt.")


def _prompt(*contents: ContentBlock) -> GetPromptResult:
    return GetPromptResult(messages=[PromptMessage(role="user", content=content) for content in contents])
