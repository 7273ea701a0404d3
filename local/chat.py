"""`python -m local.chat`, which is `make chat`: talk to a running Taskchat, a line at a time, in one conversation.

A message is accepted at once, and its turn is watched until it ends. On a terminal each step is shown as it is
recorded. Ctrl-C cancels the turn, and at the prompt it ends the program.

A line that begins with a slash is a command: `/undo` takes back the changes of the last message, `/edit TEXT` replaces
the last message, and `/usage` tells how much has been used.
"""

import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
POLL_SECONDS = 0.2
UNDER_WAY = ("queued", "running", "interrupted")
ENDS = {"cancelled": "cancelled", "abandoned": "a newer message took its place", "replaced": "replaced"}
"""Words for a turn that ended without a reply and without an error."""
COMMANDS = "/undo, /edit TEXT and /usage are the commands"


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
        _talk(f"http://{HOST}:{read_port(os.environ)}")
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
    conversation = _Conversation(url)
    while True:
        line = _read_line().strip()
        if not line:
            continue
        try:
            _check_encoding(line)
            response = conversation.run(line) if line.startswith("/") else conversation.say(line)
        except ChatError as error:
            print(f"     ({error})", flush=True)
        except (KeyError, TypeError):
            print(f"     (what answers at {url} is not Taskchat)", flush=True)
        else:
            print(response, flush=True)


@dataclass
class _Conversation:
    """A conversation at `url`. `asked` is the turn of the last message, and `last` that turn or its undo."""

    url: str
    conversation_id: int | None = None
    asked: str | None = None
    last: str | None = None

    def run(self, line: str) -> str:
        """Run a command and return its answer."""
        command, _, text = line.partition(" ")
        match command, text.strip():
            case "/undo", "":
                return self._undo()
            case "/usage", "":
                return "\n".join(_lines(_send(self.url, "GET", "/usage")))
            case "/edit", message if message:
                if self.asked is None:
                    raise ChatError("there is no message to edit yet")
                return self.say(message, self.asked)
        raise ChatError(COMMANDS)

    def say(self, message: str, replaces_turn_id: str | None = None) -> str:
        """Send a message and return the reply, when it is there."""
        body = {
            "message": message,
            "conversation_id": self.conversation_id,
            "timezone": time_zone(),
            "replaces_turn_id": replaces_turn_id,
        }
        headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "respond-async"}
        answer = _send(self.url, "POST", "/chat", body, headers)
        self.conversation_id = answer["conversation_id"]
        self.asked = self.last = str(answer["id"] if "status" in answer else answer["turn_id"])
        return _watch(self.url, self.asked) if "status" in answer else str(answer["response"])

    def _undo(self) -> str:
        """Take back the changes of the last message; a second undo takes back the first."""
        if self.last is None:
            raise ChatError("there is nothing to undo yet")
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        undone = _send(self.url, "POST", f"/turns/{self.last}/undo", headers=headers)
        self.last = str(undone["turn_id"])
        tasks = [task for call in undone["tool_calls"] for task in call["result"]["tasks"]]
        return "\n".join(f'Task {task["id"]} "{task["title"]}" is {task["now"]}.' for task in tasks)


def _lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Yield a line for each value of a JSON object, and the values of an object inside it below its name."""
    for name, value in values.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            yield f"{indent}{words}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{words}: {value:,}" if isinstance(value, int) else f"{indent}{words}: {value}"


def _watch(url: str, turn_id: str) -> str:
    """Return the reply of a turn, when it is finished; show its steps meanwhile."""
    shown: list[str] = []
    try:
        while True:
            turn = _send(url, "GET", f"/turns/{turn_id}")
            _show(turn, shown)
            if turn["status"] == "finished":
                return str(turn["response"])
            if turn["status"] not in UNDER_WAY:
                raise ChatError(str(turn["error"] or ENDS.get(turn["status"], turn["status"])))
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return _cancel(url, turn_id)


def _cancel(url: str, turn_id: str) -> str:
    """Cancel a turn, or return its reply if it has finished meanwhile."""
    try:
        _send(url, "DELETE", f"/turns/{turn_id}")
    except ChatError:
        turn = _send(url, "GET", f"/turns/{turn_id}")
        if turn["status"] == "finished":
            return str(turn["response"])
        raise
    raise ChatError("cancelled; what was done until then stays")


def _show(turn: dict[str, Any], shown: list[str]) -> None:
    """Print what is new about a turn, for a person at a terminal."""
    if not sys.stdout.isatty():
        return
    lines = [f"     {call['tool']} ..." for call in turn["tool_calls"]]
    if turn["status"] == "interrupted" and turn["error"]:
        lines.append(f"     ({turn['error']} It goes on by itself.)")
    for line in lines[len(shown) :]:
        print(line, flush=True)
    shown[:] = lines if len(lines) > len(shown) else shown


def _read_line() -> str:
    if sys.stdin is None:
        raise EOFError
    return input("you> " if sys.stdin.isatty() else "")


def _check_encoding(message: str) -> None:
    try:
        message.encode()
    except UnicodeEncodeError:
        raise ChatError("this line is not valid UTF-8, so it was not sent") from None


def _send(
    url: str, method: str, path: str, body: dict[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """Send a request and return the answer; try again with the same key if the answer says when."""
    request = urllib.request.Request(  # noqa: S310 - our own gateway
        url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    left = ATTEMPTS
    while True:
        left -= 1
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
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
