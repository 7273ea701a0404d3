"""POST /chat: a person's message in, the assistant's reply out. /turns/{id}: watch, cancel and undo a turn."""

from taskchat.cold_start import imports_done

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from taskchat import audit
from taskchat.chat import SHORTEST_ANSWER_SECONDS, ChatReply, ChatRequest
from taskchat.database import database
from taskchat.errors import (
    AlreadyUndoneError,
    ChangedSinceError,
    ConversationBusyError,
    ConversationDeletedError,
    IdempotencyKeyReusedError,
    ModelFailedError,
    ModelRateLimitedError,
    NotFoundError,
    NothingToUndoError,
    TurnCancelledError,
    TurnFinishedError,
    TurnInProgressError,
    TurnInterruptedError,
    TurnSupersededError,
    UsageLimitReachedError,
)
from taskchat.http import (
    IDEMPOTENCY_KEY_HEADER,
    Body,
    Caller,
    CallerDep,
    Id,
    Invocation,
    InvocationDep,
    Preference,
    PreferenceDep,
    Text,
    TimeZone,
    create_app,
    idempotency_headers,
    lambda_handler,
    turn_location,
)
from taskchat.http.openapi import (
    COMMON_ERRORS,
    IDEMPOTENCY_HEADERS,
    IDEMPOTENCY_KEY_PARAMETER,
    LOCATION_HEADER,
    PREFER_PARAMETER,
    TOKEN,
    problems,
)
from taskchat.metering import metered
from taskchat.models import UNDER_WAY, TurnStatus
from taskchat.process import chat, import_queue_sdk, provider, turn_queue
from taskchat.snapshot import around_snapshot

app = create_app()


class ChatBody(Body):
    """A person's message, its conversation (a new one if left out) and the person's time zone.

    `replaces_turn_id` names the newest turn of a conversation. Its changes are taken back, and it is hidden.
    """

    message: Annotated[Text, Field(max_length=8_000)]
    conversation_id: Annotated[Id | None, Field(strict=True)] = None
    timezone: TimeZone = Field(default="UTC", validate_default=True)
    replaces_turn_id: uuid.UUID | None = None


class ChatAnswer(BaseModel):
    """The assistant's reply, and the tool calls made for it."""

    turn_id: uuid.UUID
    conversation_id: int
    message_id: int
    response: str
    tool_calls: Sequence[Mapping[str, Any]]


class UndoAnswer(BaseModel):
    """The record of an undo, which is a turn itself; `tool_calls` are what was taken back, the last call first."""

    turn_id: uuid.UUID
    conversation_id: int
    message_id: int
    tool_calls: Sequence[Mapping[str, Any]]


class TurnUsage(BaseModel):
    """Tokens of all model calls of a turn; `cached_tokens` are among the input, `reasoning_tokens` among the output."""

    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int


class TurnItem(BaseModel):
    """A turn: its status, the steps so far, and its reply when it is finished. `error` says why it stopped."""

    id: uuid.UUID
    conversation_id: int | None
    status: TurnStatus
    tool_calls: Sequence[Mapping[str, Any]]
    response: str | None
    message_id: int | None
    error: str | None
    usage: TurnUsage | None
    created_at: datetime
    finished_at: datetime | None


TurnId = Annotated[uuid.UUID, Path(alias="id")]
POLL_SECONDS = 1
CHAT_ERRORS = problems(
    *COMMON_ERRORS,
    NotFoundError,
    IdempotencyKeyReusedError,
    ConversationBusyError,
    ConversationDeletedError,
    TurnInProgressError,
    TurnSupersededError,
    TurnCancelledError,
    ChangedSinceError,
    NothingToUndoError,
    UsageLimitReachedError,
    TurnInterruptedError,
    ModelRateLimitedError,
    ModelFailedError,
)


# Coroutines may block here: an instance serves one invocation at a time, and a thread would only cost time.
@app.post(
    "/chat",
    response_model=ChatAnswer,
    responses={
        200: {"headers": IDEMPOTENCY_HEADERS},
        202: {
            "model": TurnItem,
            "description": "The worker continues the turn (`Prefer: respond-async`).",
            "headers": {**IDEMPOTENCY_HEADERS, **LOCATION_HEADER},
        },
        **CHAT_ERRORS,
    },
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER, PREFER_PARAMETER]},
)
async def post_chat(
    *, body: ChatBody, invocation: InvocationDep, preference: PreferenceDep, request: Request, response: Response
) -> ChatAnswer | Response:
    """Answer a message. Repeated with the same key, continue the turn or replay its answer."""
    chat_request = ChatRequest(
        principal=invocation.principal,
        idempotency_key=invocation.idempotency_key,
        message=body.message,
        conversation_id=body.conversation_id,
        time_zone=body.timezone,
        replaces_turn_id=body.replaces_turn_id,
    )
    # Without a queue nobody would go on with the turn, so the preference is ignored, as RFC 7240 allows.
    is_async = preference.respond_async and turn_queue() is not None
    waits_seconds = min(preference.wait_seconds, invocation.seconds_left()) if is_async else None
    if waits_seconds is not None and waits_seconds <= SHORTEST_ANSWER_SECONDS:
        accepted = chat(provider).accept(chat_request, invocation.seconds_left)
        if not isinstance(accepted, ChatReply):
            return _accepted(request, invocation, preference, accepted)
        return _answer(response, invocation, accepted)
    try:
        with metered(provider) as model:
            reply = chat(model).answer(chat_request, _at_most(invocation.seconds_left, waits_seconds))
            model.is_finished = not reply.replayed
    except (TurnInterruptedError, TurnInProgressError, ModelFailedError, ModelRateLimitedError) as error:
        if not is_async or error.turn_id is None:
            raise
        turn = _turn(invocation, error.turn_id)
        if turn.status not in UNDER_WAY:
            raise
        return _accepted(request, invocation, preference, error.turn_id)
    return _answer(response, invocation, reply)


@app.get(
    "/turns/{id}",
    response_model=TurnItem,
    responses={
        200: {"headers": {"ETag": {"description": "Changes with the turn.", "schema": {"type": "string"}}}},
        304: {"description": "The turn is as `If-None-Match` names it."},
        **problems(*COMMON_ERRORS, NotFoundError),
    },
    openapi_extra=TOKEN,
)
async def get_turn(*, turn_id: TurnId, caller: CallerDep, request: Request) -> Response:
    """Return a turn. `Retry-After` says when to ask again, as long as the turn is under way."""
    turn = _turn(caller, turn_id)
    body = turn.model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if turn.status in UNDER_WAY:
        headers["Retry-After"] = str(POLL_SECONDS)
    if _matches(request.headers.get("If-None-Match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@app.delete(
    "/turns/{id}",
    status_code=204,
    responses=problems(*COMMON_ERRORS, NotFoundError, TurnFinishedError),
    openapi_extra=TOKEN,
)
async def delete_turn(*, turn_id: TurnId, caller: CallerDep) -> None:
    """Cancel a turn. Its recorded steps stay, and later writes to it are refused."""
    chat(provider).cancel(caller.user_id, turn_id, caller.seconds_left)


@app.post(
    "/turns/{id}/undo",
    responses={
        200: {"headers": IDEMPOTENCY_HEADERS},
        **problems(
            *COMMON_ERRORS,
            NotFoundError,
            ConversationDeletedError,
            IdempotencyKeyReusedError,
            TurnInProgressError,
            ChangedSinceError,
            AlreadyUndoneError,
            NothingToUndoError,
        ),
    },
    openapi_extra={**TOKEN, "parameters": [IDEMPOTENCY_KEY_PARAMETER]},
)
async def post_undo(*, turn_id: TurnId, invocation: InvocationDep, response: Response) -> UndoAnswer:
    """Take back all that a turn changed, or nothing. The answer's turn can be undone in turn."""
    undone = audit.undo_turn(
        lambda work: database().transaction(invocation.principal.user_id, work, seconds_left=invocation.seconds_left),
        invocation.principal,
        turn_id,
        invocation.idempotency_key,
    )
    response.headers.update(idempotency_headers(invocation.idempotency_key, replayed=undone.replayed))
    return UndoAnswer(
        turn_id=undone.turn_id,
        conversation_id=undone.conversation_id,
        message_id=undone.message_id,
        tool_calls=undone.tool_calls,
    )


def _answer(response: Response, invocation: Invocation, reply: ChatReply) -> ChatAnswer:
    response.headers.update(idempotency_headers(invocation.idempotency_key, replayed=reply.replayed))
    return ChatAnswer(
        turn_id=reply.turn_id,
        conversation_id=reply.conversation_id,
        message_id=reply.message_id,
        response=reply.response,
        tool_calls=reply.tool_calls,
    )


def _accepted(request: Request, invocation: Invocation, preference: Preference, turn_id: uuid.UUID) -> Response:
    headers = {
        IDEMPOTENCY_KEY_HEADER: invocation.idempotency_key,
        "Location": turn_location(request, turn_id),
        "Preference-Applied": preference.applied,
        "Retry-After": str(POLL_SECONDS),
    }
    turn = _turn(invocation, turn_id)
    return Response(turn.model_dump_json(), status_code=202, headers=headers, media_type="application/json")


def _turn(caller: Caller, turn_id: uuid.UUID) -> TurnItem:
    turn = chat(provider).turn(caller.user_id, turn_id, caller.seconds_left)
    return TurnItem(
        id=turn.turn_id,
        conversation_id=turn.conversation_id,
        status=turn.status,
        tool_calls=turn.tool_calls,
        response=turn.response,
        message_id=turn.message_id,
        error=turn.error,
        usage=None if turn.usage is None else TurnUsage(**asdict(turn.usage)),
        created_at=turn.created_at,
        finished_at=turn.finished_at,
    )


def _at_most(seconds_left: Callable[[], float], limit_seconds: float | None) -> Callable[[], float]:
    """Return a function that tells the seconds left, of which there are no more than `limit_seconds` from now on."""
    if limit_seconds is None:
        return seconds_left
    end = time.monotonic() + limit_seconds
    return lambda: min(seconds_left(), end - time.monotonic())


def _matches(if_none_match: str, tag: str) -> bool:
    """Compare weakly (RFC 9110, section 13.1.2): gateways that compress make a tag weak."""
    tags = [candidate.strip().removeprefix("W/") for candidate in if_none_match.split(",")]
    return tag in tags or tags == ["*"]


around_snapshot(provider.close, import_queue_sdk)
handler = lambda_handler(app)
imports_done()
