"""Inside an instance: `python -m local.runtime HANDLER LOG_FILE`.

Reads one JSON line per invocation from standard input, and answers with one JSON line on standard output, the first of
them when the handler is imported. What the function itself prints goes to the log file.
"""

import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

Handler = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Context:
    """The context object of Lambda's Python runtime.

    See https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.
    """

    aws_request_id: str
    function_name: str
    memory_limit_in_mb: str
    deadline: float
    function_version: str = "$LATEST"
    log_group_name: str = "local"
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None

    @property
    def invoked_function_arn(self) -> str:
        """Return an ARN that has the form of a real one."""
        return f"arn:aws:lambda:eu-central-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is killed; never less than 0."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class JsonFormatter(logging.Formatter):
    """Writes a library's log record as a JSON line, as Lambda's runtime does, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def import_handler(path: str) -> Handler:
    """Import what a template's `Handler` names, such as `functions.chat.app.handler`."""
    module, _, name = path.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler


def invoke(handler: Handler, invocation: dict[str, Any]) -> dict[str, Any]:
    """Return `{"result": …}`, or `{"error": …}` as Lambda reports an exception."""
    context = Context(
        aws_request_id=invocation["request_id"],
        function_name=invocation["function_name"],
        memory_limit_in_mb=invocation["memory_mb"],
        deadline=time.monotonic() + invocation["timeout_seconds"],
    )
    try:
        # Lambda writes the result as JSON too, so one that is none is the function's fault.
        return {"result": json.loads(json.dumps(handler(invocation["event"], context)))}
    except Exception as error:  # noqa: BLE001 - whatever a handler raises is an answer here
        return {"error": describe(error)}


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception as Lambda reports it."""
    return {
        "errorType": type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_exception(error),
    }


def main(handler_path: str, log_file: Path) -> None:
    """Serve until standard input ends, which is when whoever started this instance is gone."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers, log_file.open("ab") as log:
        os.dup2(log.fileno(), 1)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        records = logging.StreamHandler(sys.stdout)
        records.setFormatter(JsonFormatter())
        logging.getLogger().addHandler(records)
        try:
            handler = import_handler(handler_path)
        except Exception as error:  # noqa: BLE001 - whatever an import raises is an answer here
            _send(answers, {"error": describe(error)})
            return
        _send(answers, {"ready": True})
        for line in sys.stdin:
            _send(answers, invoke(handler, json.loads(line)))


def _send(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
