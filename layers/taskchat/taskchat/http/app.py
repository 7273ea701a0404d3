"""The FastAPI app that functions start from, and the Lambda handler that runs it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import FastAPI, Request
from mangum import Mangum
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskchat.errors import TooLargeError
from taskchat.http import problems
from taskchat.http.events import HttpApiEvent
from taskchat.logs import logger

LARGEST_BODY_BYTES = 128 * 1024
"""A message has 8,000 characters, which take 96,000 bytes if each is escaped as a surrogate pair."""

_event_loop = asyncio.new_event_loop()

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def create_app() -> FastAPI:
    """Return an app without routes and without FastAPI's documentation pages, which the gateway has no route to."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        # Lambda traces by itself, and Powertools logs.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(_BodyLimit)
    problems.install(app)
    return app


class _BodyLimit:
    """Refuses a body that is too large before it is parsed. Mangum passes a body in one piece.

    FastAPI's own limit answers in plain text instead of with a problem.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await receive()
        if len(body.get("body", b"")) <= LARGEST_BODY_BYTES:
            rest = iter([body])
            await self._app(scope, lambda: _next(rest, receive), send)
            return
        detail = f"A request body may have up to {LARGEST_BODY_BYTES} bytes."
        answer = problems.problem(Request(scope), TooLargeError(detail))
        await answer(scope, receive, send)


async def _next(rest: Iterator[Message], receive: Receive) -> Message:
    for message in rest:
        return message
    return await receive()


def lambda_handler(app: FastAPI) -> Handler:
    """Return the function that Lambda calls with an HTTP API event (payload format 2.0)."""
    # Mangum runs the app in the thread's current event loop, which Python 3.14 no longer makes by itself.
    asyncio.set_event_loop(_event_loop)
    adapter = Mangum(
        app,
        lifespan="off",
        custom_handlers=[HttpApiEvent],
        text_mime_types=["application/json", problems.PROBLEM_MEDIA_TYPE],
    )

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        begin = time.perf_counter()
        response = adapter(event, context)
        logger.info(
            "answered",
            route=event.get("routeKey"),
            status=response["statusCode"],
            duration_ms=round((time.perf_counter() - begin) * 1000, 1),
            gateway_request_id=event["requestContext"].get("requestId"),
        )
        return response

    return handler
