"""`python -m local.chat`, which is `make chat`: talk to a running Taskchat, a line at a time, in one conversation."""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from local.console import reserve_standard_files
from local.environment import StartError, read_port
from local.loopback import HOST

TIMEOUT_SECONDS = 35
"""A little longer than the gateway takes at most."""
ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 30


class ChatError(Exception):
    """Raised when a message got no reply; the text says why."""


def main() -> int:
    """Read messages from standard input until it ends; return the exit status."""
    reserve_standard_files()
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            # A line that is not UTF-8 must not end the conversation, nor an answer that the terminal cannot show.
            stream.reconfigure(encoding="utf-8" if stream is sys.stdin else None, errors=errors)
    try:
        _talk(f"http://{HOST}:{read_port(os.environ)}/chat")
    except (EOFError, KeyboardInterrupt):
        return 0
    except BrokenPipeError:
        # The reader of the answers is gone. Python would fail again when it flushes them at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return 0


def time_zone() -> str:
    """Return the IANA name of this machine's time zone, or UTC if it is unknown."""
    name = os.environ.get("TZ", "").lstrip(":") or str(Path("/etc/localtime").resolve())
    name = name.partition("zoneinfo/")[2] or name
    return name if name in available_timezones() else "UTC"


def _talk(url: str) -> None:
    conversation_id: int | None = None
    while True:
        message = _read_line().strip()
        if not message:
            continue
        try:
            _check_encoding(message)
            answer = _send(url, {"message": message, "conversation_id": conversation_id, "timezone": time_zone()})
            response, conversation_id = str(answer["response"]), answer["conversation_id"]
        except ChatError as error:
            print(f"     ({error})", flush=True)
        except (KeyError, TypeError):
            print(f"     (what answers at {url} is not Taskchat)", flush=True)
        else:
            print(response, flush=True)


def _read_line() -> str:
    if sys.stdin is None:
        raise EOFError
    return input("you> " if sys.stdin.isatty() else "")


def _check_encoding(message: str) -> None:
    try:
        message.encode()
    except UnicodeEncodeError:
        raise ChatError("this line is not valid UTF-8, so it was not sent") from None


def _send(url: str, body: dict[str, Any]) -> Any:
    """Send a message and return the answer; try again with the same key if the answer says when."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    left = ATTEMPTS
    while True:
        left -= 1
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                wait_seconds = error.headers.get("Retry-After", "")
                if not wait_seconds.isdecimal() or int(wait_seconds) > LONGEST_WAIT_SECONDS or not left:
                    raise ChatError(_reason(error)) from None
            time.sleep(int(wait_seconds))
        except TimeoutError:
            raise ChatError("no answer in time") from None
        except (OSError, ValueError, http.client.HTTPException):
            raise ChatError(f"Taskchat does not answer at {url}; is `make run` running?") from None


def _reason(answer: urllib.error.HTTPError) -> str:
    """Return the detail of a problem document (RFC 9457), with the invalid fields and what is wrong with each."""
    try:
        problem = json.load(answer)
        fields = [f"{field['field'].removeprefix('body.')}: {field['message']}" for field in problem.get("fields", ())]
        text = str(problem.get("detail") or problem.get("message") or problem)
    except (AttributeError, KeyError, OSError, TypeError, ValueError, http.client.HTTPException):
        return f"the answer has status {answer.code} and is not a problem document"
    return "; ".join(fields) or text


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartError as fault:
        sys.exit(f"taskchat: {fault}")
