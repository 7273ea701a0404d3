"""Dependencies of routes: who calls, under which idempotency key, how much time is left."""

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
"""API Gateway waits 30 s for an HTTP API's integration, from the request's arrival to the answer's."""
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"


async def _principal(request: Request) -> Principal:
    return principal.from_event(request.scope["aws.event"])


async def _seconds_left(request: Request) -> Callable[[], float]:
    """Return a function that tells the seconds left until the invocation or the gateway's wait ends."""
    context, event = request.scope["aws.context"], request.scope["aws.event"]
    arrived_ms = event.get("requestContext", {}).get("timeEpoch", 0)
    waited_seconds = time.time() - arrived_ms / 1000
    # The time of arrival is of no use in a recorded event, as in events/, or if the clocks differ.
    is_live = 0 <= waited_seconds <= GATEWAY_TIMEOUT_SECONDS
    end = time.monotonic() + GATEWAY_TIMEOUT_SECONDS - (waited_seconds if is_live else 0)
    return lambda: min(end - time.monotonic(), context.get_remaining_time_in_millis() / 1000)


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
class Invocation:
    """A request's circumstances: who sends it, under which idempotency key, and how much time there is to answer."""

    principal: Principal
    idempotency_key: str
    seconds_left: Callable[[], float]


async def _invocation(request: Request) -> Invocation:
    # FastAPI takes longer to resolve a dependency than this takes to compute, so it is one and not three.
    return Invocation(await _principal(request), await _idempotency_key(request), await _seconds_left(request))


PrincipalDep = Annotated[Principal, Depends(_principal)]
SecondsLeftDep = Annotated[Callable[[], float], Depends(_seconds_left)]
InvocationDep = Annotated[Invocation, Depends(_invocation)]
