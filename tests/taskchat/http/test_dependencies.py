"""Time of a request: the rest of the invocation or of the gateway's 30 s, less a second for the answer."""

import time

import pytest

from local.lambda_events import http_event, invoke
from taskchat.http import SecondsLeftDep, create_app, lambda_handler

app = create_app()


@app.get("/left")
async def get_left(*, seconds_left: SecondsLeftDep) -> float:
    return seconds_left()


handler = lambda_handler(app)


def left(*, waited_seconds: float, remaining_ms: int) -> float:
    event = http_event("GET", "/left")
    event["requestContext"]["timeEpoch"] = int((time.time() - waited_seconds) * 1000)
    return float(invoke(handler, event, remaining_ms=lambda: remaining_ms).body)


@pytest.mark.parametrize(
    ("waited_seconds", "remaining_ms", "expected_seconds"),
    [
        (0, 29_000, 28.0),
        (0, 5_000, 4.0),
        (10, 29_000, 18.5),
        (28, 29_000, 0.5),
        (10**6, 29_000, 28.0),
        (-(10**6), 29_000, 28.0),
        (0, 900_000, 28.5),
    ],
    ids=["invocation", "short", "a slow start", "hardly any", "a recorded event", "a wrong clock", "a long time-out"],
)
def test_time_ends_with_the_invocation_or_the_gateways_wait(
    waited_seconds: float, remaining_ms: int, expected_seconds: float
) -> None:
    assert left(waited_seconds=waited_seconds, remaining_ms=remaining_ms) == pytest.approx(expected_seconds, abs=0.5)
