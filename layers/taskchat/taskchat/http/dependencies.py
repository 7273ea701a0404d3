"""What a route can ask for beside its own fields."""

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
"""API Gateway gives an HTTP API's integration 30 s, counted from the request's arrival; the answer takes some."""
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"


async def _principal(request: Request) -> Principal:
    return principal.from_event(request.scope["aws.event"])


async def _seconds_left(request: Request) -> Callable[[], float]:
    """Return a clock of what is left: of the invocation, or of what the gateway waits, whichever ends first."""
    context, event = request.scope["aws.context"], request.scope["aws.event"]
    arrived_ms = event.get("requestContext", {}).get("timeEpoch", 0)
    waited_seconds = time.time() - arrived_ms / 1000
    # A recorded event, as in events/, arrived at another time.
    is_live = 0 <= waited_seconds <= GATEWAY_TIMEOUT_SECONDS
    end = time.monotonic() + GATEWAY_TIMEOUT_SECONDS - (waited_seconds if is_live else 0)
    return lambda: min(end - time.monotonic(), context.get_remaining_time_in_millis() / 1000)


async def _idempotency_key(request: Request) -> str:
    """Return the client's key, or a new one; the response carries it in either case, a failure's too."""
    key = request.headers.get(IDEMPOTENCY_KEY_HEADER)
    if key is None:
        key = str(uuid.uuid4())
    elif not (1 <= len(key) <= 255 and all("!" <= character <= "~" for character in key)):
        field = InvalidField(f"header.{IDEMPOTENCY_KEY_HEADER}", "1 to 255 visible ASCII characters")
        raise InvalidRequestError("The idempotency key does not fit; see `fields`.", [field])
    request.state.response_headers = {IDEMPOTENCY_KEY_HEADER: key}
    return key


@dataclass(frozen=True)
class Invocation:
    """What stands around a request's own fields: who sends it, under which key, and how long there is to answer."""

    principal: Principal
    idempotency_key: str
    seconds_left: Callable[[], float]


async def _invocation(request: Request) -> Invocation:
    # One dependency, not three: to solve one takes FastAPI longer than to compute it.
    return Invocation(await _principal(request), await _idempotency_key(request), await _seconds_left(request))


PrincipalDep = Annotated[Principal, Depends(_principal)]
SecondsLeftDep = Annotated[Callable[[], float], Depends(_seconds_left)]
InvocationDep = Annotated[Invocation, Depends(_invocation)]
