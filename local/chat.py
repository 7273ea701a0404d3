"""`python -m local.chat`: talk to the Taskchat that `make run` started, a line at a time, in one conversation."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from local.environment import StartError, read_port
from local.loopback import HOST

TIMEOUT_SECONDS = 35
"""A little more than the gateway takes at most."""
ATTEMPTS = 3
LONGEST_WAIT_SECONDS = 30


class ChatError(Exception):
    """Raised when a message got no reply; the text says why."""


def main() -> int:
    """Read messages from standard input until it ends; return the exit status."""
    url = f"http://{HOST}:{read_port(os.environ)}/chat"
    conversation_id: int | None = None
    try:
        while True:
            message = input("you> " if sys.stdin.isatty() else "").strip()
            if not message:
                continue
            try:
                answer = _send(url, {"message": message, "conversation_id": conversation_id, "timezone": time_zone()})
            except ChatError as error:
                print(f"     ({error})", flush=True)
                continue
            conversation_id = answer["conversation_id"]
            print(answer["response"], flush=True)
    except (EOFError, KeyboardInterrupt):
        return 0


def time_zone() -> str:
    """Return the IANA name of this machine's time zone, or UTC where it does not tell."""
    name = os.environ.get("TZ", "").lstrip(":") or str(Path("/etc/localtime").resolve())
    name = name.partition("zoneinfo/")[2] or name
    return name if name in available_timezones() else "UTC"


def _send(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a message; where the same request may be sent again, do so, with the same key."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    left = ATTEMPTS
    while True:
        left -= 1
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                reply: dict[str, Any] = json.load(answer)
                return reply
        except urllib.error.HTTPError as error:
            with error:
                wait_seconds = error.headers.get("Retry-After", "")
                if not wait_seconds.isdecimal() or int(wait_seconds) > LONGEST_WAIT_SECONDS or not left:
                    raise ChatError(_reason(error.read())) from None
            time.sleep(int(wait_seconds))
        except TimeoutError:
            raise ChatError("no answer in time") from None
        except (OSError, ValueError):
            raise ChatError(f"nothing answers at {url}; is `make run` running?") from None


def _reason(body: bytes) -> str:
    try:
        problem = json.loads(body)
    except ValueError:
        return "the answer makes no sense"
    return str(problem.get("detail") or problem.get("message") or problem)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StartError as fault:
        sys.exit(f"taskchat: {fault}")
