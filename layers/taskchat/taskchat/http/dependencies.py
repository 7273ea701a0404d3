"""Dependencies of routes: the caller, the idempotency key, and the time that is left."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from taskchat import principal
from taskchat.errors import InvalidField, InvalidRequestError
from taskchat.principal import Principal

GATEWAY_TIMEOUT_SECONDS = 29.5
"""API Gateway waits 30 s for an HTTP API's integration. The difference is Lambda's own overhead."""
ANSWER_SECONDS = 1.0
"""Time reserved for the answer, after the last wait for the database or the model."""
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"


def idempotency_headers(key: str, *, replayed: bool) -> dict[str, str]:
    """Return the headers of an answer under an idempotency key; `replayed` marks a stored one."""
    headers = {IDEMPOTENCY_KEY_HEADER: key}
    return {**headers, "Idempotent-Replayed": "true"} if replayed else headers


async def _principal(request: Request) -> Principal:
    return principal.from_event(request.scope["aws.event"])


async def _seconds_left(request: Request) -> Callable[[], float]:
    """Return a function that tells the seconds left for work, before the invocation or the gateway's wait ends."""
    context, event = request.scope["aws.context"], request.scope["aws.event"]
    arrived_ms = event.get("requestContext", {}).get("timeEpoch", 0)
    waited_seconds = time.time() - arrived_ms / 1000
    # A recorded event, as in events/, has an old time of arrival. A clock that differs gives a wrong one.
    is_live = 0 <= waited_seconds <= GATEWAY_TIMEOUT_SECONDS
    end = time.monotonic() + GATEWAY_TIMEOUT_SECONDS - (waited_seconds if is_live else 0)
    return lambda: min(end - time.monotonic(), context.get_remaining_time_in_millis() / 1000) - ANSWER_SECONDS


async def _idempotency_key(request: Request) -> str:
    """Return the client's key, or a new one. The response carries it, and so does a problem."""
    key = request.headers.get(IDEMPOTENCY_KEY_HEADER)
    if key is None:
        key = str(uuid.uuid4())
    elif not (1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key)):
        field = InvalidField(f"header.{IDEMPOTENCY_KEY_HEADER}", "1 to 255 visible ASCII characters")
        raise InvalidRequestError("The idempotency key is not valid; see `fields`.", [field])
    request.state.response_headers = {IDEMPOTENCY_KEY_HEADER: key}
    return key


@dataclass(frozen=True)
class Caller:
    """The person who sends a request, and a function that tells the seconds left for it."""

    principal: Principal
    seconds_left: Callable[[], float]

    @property
    def user_id(self) -> uuid.UUID:
        """Return the id of the person's rows."""
        return self.principal.user_id


@dataclass(frozen=True)
class Invocation(Caller):
    """A caller whose request has an idempotency key."""

    idempotency_key: str


# A route takes one of these, because FastAPI needs more time to resolve a dependency than the dependency itself.
async def _caller(request: Request) -> Caller:
    return Caller(await _principal(request), await _seconds_left(request))


async def _invocation(request: Request) -> Invocation:
    return Invocation(await _principal(request), await _seconds_left(request), await _idempotency_key(request))


CallerDep = Annotated[Caller, Depends(_caller)]
InvocationDep = Annotated[Invocation, Depends(_invocation)]
SecondsLeftDep = Annotated[Callable[[], float], Depends(_seconds_left)]
