"""A function for the tests of the gateway and the runtime: it does what the request's body asks for.

It runs in processes of its own, so it talks to the tests through named pipes.
"""

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], context: Any) -> Any:
    """Echo the event and the context, unless the body is a JSON object with another command."""
    command = _command(event)
    match command.get("do"):
        case "return":
            return command["value"]
        case "return no json":
            return {"statusCode": 200, "body": object()}
        case "raise":
            raise ValueError(command["message"])
        case "exit":
            os._exit(3)
        case "print":
            print(command["text"])  # noqa: T201 - the command
        case "log":
            logging.getLogger("library").warning(command["text"])
        case "say pid and hang":
            Path(command["pipe"]).write_text(str(os.getpid()), encoding="utf-8")
            threading.Event().wait()
        case "meet" if command["first"]:
            Path(command["pipe"]).write_text("here", encoding="utf-8")
        case "meet":
            Path(command["pipe"]).read_text(encoding="utf-8")
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"event": event, "context": _describe(context), "pid": os.getpid()}),
    }


def dies_once(event: dict[str, Any], _context: Any) -> Any:
    """Die at the first message; write to the pipe that the second one names."""
    pipe = Path(event["Records"][0]["body"])
    if event["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1":
        os._exit(3)
    pipe.write_text("handled", encoding="utf-8")
    return {"batchItemFailures": []}


def _command(event: dict[str, Any]) -> dict[str, Any]:
    try:
        command = json.loads(event.get("body") or "{}")
    except ValueError:
        return {}
    return command if isinstance(command, dict) else {}


def _describe(context: Any) -> dict[str, Any]:
    return {
        "aws_request_id": context.aws_request_id,
        "function_name": context.function_name,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "invoked_function_arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
