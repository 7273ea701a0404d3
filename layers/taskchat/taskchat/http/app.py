"""The FastAPI app that every function starts from, and the Lambda handler around it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from mangum import Mangum

from taskchat.http import problems
from taskchat.http.logs import logger

LARGEST_BODY_BYTES = 128 * 1024
"""8,000 characters, each escaped as JSON allows, take 96,000 bytes."""

_event_loop = asyncio.new_event_loop()

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def create_app() -> FastAPI:
    """Return an app without routes, and without the pages that FastAPI adds: the gateway knows no route to them."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        max_body_size=LARGEST_BODY_BYTES,
    )
    problems.install(app)
    return app


def lambda_handler(app: FastAPI) -> Handler:
    """Return the function that Lambda calls with an HTTP API event (payload format 2.0)."""
    # Mangum runs the app in the thread's current loop, and Python no longer makes one by itself.
    asyncio.set_event_loop(_event_loop)
    adapter = Mangum(app, lifespan="off", text_mime_types=["application/json", problems.PROBLEM_MEDIA_TYPE])

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
