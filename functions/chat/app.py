"""POST /chat: a person's message in, the assistant's reply out."""

from taskchat.cold_start import imports_done

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, Field

from functions.chat.metering import metered
from taskchat.agent import Api, OpenAIProvider, Provider, ProviderSettings
from taskchat.chat import Chat, ChatRequest
from taskchat.database import database
from taskchat.errors import (
    ConversationBusyError,
    IdempotencyKeyReusedError,
    ModelFailedError,
    ModelRateLimitedError,
    NotFoundError,
    TurnInProgressError,
    TurnInterruptedError,
    TurnSupersededError,
)
from taskchat.http import (
    IDEMPOTENCY_KEY_HEADER,
    Body,
    Id,
    InvocationDep,
    Text,
    TimeZone,
    create_app,
    lambda_handler,
)
from taskchat.http.openapi import COMMON_ERRORS, IDEMPOTENCY_HEADERS, IDEMPOTENCY_KEY_PARAMETER, TOKEN, problems
from taskchat.settings import settings
from taskchat.snapshot import around_snapshot

app = create_app()


class ChatBody(Body):
    """A person's message, its conversation (a new one if left out) and the person's time zone."""

    message: Annotated[Text, Field(max_length=8_000)]
    conversation_id: Annotated[Id | None, Field(strict=True)] = None
    timezone: TimeZone = Field(default="UTC", validate_default=True)


class ChatAnswer(BaseModel):
    """The assistant's reply, and the tool calls made for it."""

    conversation_id: int
    message_id: int
    response: str
    tool_calls: Sequence[Mapping[str, Any]]


def provider_settings() -> ProviderSettings:
    """Return the model's provider from the settings."""
    known = settings()
    return ProviderSettings(
        api_key=known.resolve_openai_api_key(),
        base_url=known.openai_base_url,
        model=known.openai_model,
        api=Api(known.openai_api) if known.openai_api else None,
        reasoning_effort=known.openai_reasoning_effort,
        max_output_tokens=known.openai_max_output_tokens,
    )


provider = OpenAIProvider(provider_settings)
"""The model's provider. This process keeps its connection to it."""


def chat(model: Provider) -> Chat:
    """Return the chat over this process's database and a model."""
    known = settings()
    return Chat(
        database(),
        model,
        known.model_timeout_seconds,
        known.history_messages,
        known.history_tokens,
    )


# A coroutine may block here: an instance serves one invocation at a time, and a thread would only cost time.
@app.post(
    "/chat",
    responses={
        200: {"headers": IDEMPOTENCY_HEADERS},
        **problems(
            *COMMON_ERRORS,
            NotFoundError,
            IdempotencyKeyReusedError,
            ConversationBusyError,
            TurnInProgressError,
            TurnSupersededError,
            TurnInterruptedError,
            ModelRateLimitedError,
            ModelFailedError,
        ),
    },
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER]},
)
async def post_chat(
    *,
    body: ChatBody,
    invocation: InvocationDep,
    response: Response,
) -> ChatAnswer:
    """Answer a message. Repeated with the same key, continue the turn or replay its answer."""
    with metered(provider) as model:
        reply = chat(model).answer(
            ChatRequest(
                principal=invocation.principal,
                idempotency_key=invocation.idempotency_key,
                message=body.message,
                conversation_id=body.conversation_id,
                time_zone=body.timezone,
            ),
            invocation.seconds_left,
        )
        model.is_finished = not reply.replayed
    response.headers[IDEMPOTENCY_KEY_HEADER] = invocation.idempotency_key
    if reply.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return ChatAnswer(
        conversation_id=reply.conversation_id,
        message_id=reply.message_id,
        response=reply.response,
        tool_calls=reply.tool_calls,
    )


around_snapshot(provider.close)
handler = lambda_handler(app)
imports_done()
