"""Problem documents, and the log lines and metrics beside them."""

import errno
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.gateway.template_yaml import load
from local.lambda_events import Answer, http_event, invoke
from taskchat.errors import (
    ConversationBusyError,
    DatabaseUnavailableError,
    ModelRateLimitedError,
    NotFoundError,
    TaskchatError,
    TurnSupersededError,
)
from taskchat.http import create_app, lambda_handler
from taskchat.logs import logger

TEMPLATE = Path(__file__).parents[3] / "template.yaml"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return the log: one JSON document a line."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def answer_to(error: Exception) -> Answer:
    """Return the answer of a route that raises an error."""
    app = create_app()

    @app.get("/fail")
    async def fail() -> None:
        raise error

    return invoke(lambda_handler(app), http_event("GET", "/fail"))


def test_a_problem_says_that_and_when_to_repeat() -> None:
    answer = answer_to(ConversationBusyError("Busy.", retry_after_seconds=7))
    assert (answer.status, answer.headers["retry-after"]) == (409, "7")
    request_id = answer.body.pop("request_id")
    assert request_id
    assert answer.body == {
        "type": "urn:taskchat:problem:conversation-busy",
        "title": "Conversation busy",
        "status": 409,
        "detail": "Busy.",
        "code": "conversation-busy",
        "retryable": True,
        "retry_after_seconds": 7,
    }


def test_a_problem_says_that_repeating_is_useless() -> None:
    answer = answer_to(TurnSupersededError("Gone on."))
    assert (answer.status, answer.body["retryable"]) == (409, False)
    assert "retry_after_seconds" not in answer.body
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatabaseUnavailableError("Down.", retry_after_seconds=2), "database-unavailable"),
        (ModelRateLimitedError("Slow down.", retry_after_seconds=2), "model-rate-limited"),
        (ValueError("secret"), "internal"),
    ],
)
def test_server_problems_are_logged_and_counted(
    error: Exception, code: str, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer_to(error).body["code"] == code
    assert [line["level"] for line in logged(log)] in (["WARNING", "INFO"], ["ERROR", "INFO"])
    (metric,) = metrics(capsys)
    assert (metric["Problems"], metric["service"], metric["code"]) == ([1.0], logger.service, code)


class FullDisk(io.StringIO):
    """A stream that takes no character more."""

    def write(self, _text: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def test_a_problem_is_answered_if_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", FullDisk())
    assert answer_to(DatabaseUnavailableError("Down.", retry_after_seconds=2)).status == 503


def test_client_problems_are_not_counted(log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    answer_to(NotFoundError("There is no such task."))
    assert [line["message"] for line in logged(log)] == ["answered"]
    assert metrics(capsys) == []


def test_a_defect_shows_nothing_of_its_cause(log: io.StringIO) -> None:
    answer = answer_to(ValueError("secret"))
    assert (answer.status, answer.body["retryable"]) == (500, False)
    assert "secret" not in json.dumps(answer.body)
    assert "ValueError" in logged(log)[0]["exception"]
    assert "secret" not in log.getvalue()


def test_the_alarm_watches_the_metric_of_defects(capsys: pytest.CaptureFixture[str]) -> None:
    answer_to(ValueError("x"))
    (emitted,) = metrics(capsys)
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    (dimensions,) = directive["Dimensions"]
    watched = list(watched_metrics(load(TEMPLATE.read_text(encoding="utf-8"))["Resources"]))
    defects = [metric for metric in watched if metric["Dimensions"].get("code") == emitted["code"]]
    assert len(defects) >= 3
    for metric in defects:
        assert metric["Namespace"] == directive["Namespace"]
        assert metric["MetricName"] == directive["Metrics"][0]["Name"]
        assert set(metric["Dimensions"]) == set(dimensions)


def test_alarms_watch_only_codes_that_exist() -> None:
    watched = watched_metrics(load(TEMPLATE.read_text(encoding="utf-8"))["Resources"])
    codes = {metric["Dimensions"]["code"] for metric in watched if "code" in metric["Dimensions"]}
    assert codes <= {error.code for error in TaskchatError.__subclasses__()}


def watched_metrics(node: Any) -> Iterator[dict[str, Any]]:
    """Return the custom metrics that the template's alarms watch, their dimensions as a mapping."""
    if isinstance(node, dict):
        if "MetricName" in node and not node["Namespace"].startswith("AWS/"):
            dimensions = {each["Name"]: each["Value"] for each in node.get("Dimensions", ())}
            yield {**node, "Dimensions": dimensions}
        for value in node.values():
            yield from watched_metrics(value)
    elif isinstance(node, list):
        for value in node:
            yield from watched_metrics(value)


def logged(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]
