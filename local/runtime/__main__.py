"""Inside an instance: `python -m local.runtime HANDLER`.

Reads one JSON line per invocation from standard input and answers with one JSON line on standard output. The first line
of output says that the handler is imported. All that the function itself prints goes to standard error, which is the
log file.
"""

import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any, TextIO

Handler = Callable[[Any, Any], Any]

_CONTROL_CHARACTERS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\t\n"}


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
        """Return an ARN in the form of a real one."""
        return f"arn:aws:lambda:eu-central-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation is killed, at least 0."""
        return max(0, int((self.deadline - time.monotonic()) * 1000))


class JsonFormatter(logging.Formatter):
    """Writes a library's log record as a JSON line, as Lambda's runtime does, control characters escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Log(TextIOWrapper):
    """A log that never fails the function that writes to it, not even on a full disk.

    Control characters are escaped, because they may come from a client and would act on the terminal that shows them.
    """

    def __init__(self, file: int) -> None:
        binary = BufferedWriter(FileIO(file, "w", closefd=False))
        super().__init__(binary, encoding="utf-8", errors="backslashreplace", write_through=True)

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text.translate(_CONTROL_CHARACTERS))
            super().flush()
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def import_handler(path: str) -> Handler:
    """Import the object that a template's `Handler` names, such as `functions.chat.app.handler`."""
    module, _, name = path.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler


def invoke(handler: Handler, invocation: dict[str, Any]) -> dict[str, Any]:
    """Return `{"result": …}`, or `{"error": …}` in the form in which Lambda reports an exception."""
    context = Context(
        aws_request_id=invocation["request_id"],
        function_name=invocation["function_name"],
        memory_limit_in_mb=invocation["memory_mb"],
        deadline=time.monotonic() + invocation["timeout_seconds"],
    )
    try:
        # Lambda serialises the result as JSON too, so a result that is not JSON is the function's error.
        return {"result": json.loads(json.dumps(handler(invocation["event"], context)))}
    except Exception as error:  # noqa: BLE001 - the outermost layer: any exception becomes an answer
        return {"error": describe(error)}


def describe(error: BaseException) -> dict[str, Any]:
    """Return an exception in the form in which Lambda reports it."""
    return {
        "errorType": type(error).__name__,
        "errorMessage": str(error),
        "stackTrace": traceback.format_exception(error),
    }


def main(handler_path: str) -> None:
    """Serve until standard input ends, which is when the process that started this instance is gone."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        sys.stdout, sys.stderr = _Log(1), _Log(2)
        records = logging.StreamHandler(sys.stdout)
        records.setFormatter(JsonFormatter())
        logging.getLogger().addHandler(records)
        try:
            handler = import_handler(handler_path)
        except Exception as error:  # noqa: BLE001 - the outermost layer, as in `invoke`
            _send(answers, {"error": describe(error)})
            return
        _send(answers, {"ready": True})
        for line in sys.stdin:
            _send(answers, invoke(handler, json.loads(line)))


def _send(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
