"""Plays Amazon SQS and what Lambda and EventBridge do with it: a queue, its consumer, a schedule.

The queue speaks SQS's JSON protocol as far as the functions use it, so that they find it through the AWS SDK's own
variable AWS_ENDPOINT_URL_SQS. Messages are kept in memory: the sweep finds the turns of messages that are lost.

See https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html.
"""

import hashlib
import heapq
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from local.environment import is_set
from local.gateway.template import Api, Schedule
from local.loopback import LoopbackServer
from local.runtime.fleet import Fleet
from local.runtime.instance import Function, FunctionError, StoppedError

MOST_RECEIVES = 5
"""As `maxReceiveCount` in the template. A message that fails more often is dropped and printed."""
RETRY_SECONDS = 5.0
"""Time before a message that failed comes again, shorter than in the cloud, for a person is watching."""
MOST_AT_ONCE = 4
_LARGEST_REQUEST_BYTES = 1_048_576
_TARGET = "AmazonSQS.SendMessage"
_SECRETS = ("DATABASE_URL_SECRET", "OPENAI_API_KEY_SECRET")
_KEY = "local"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": _KEY, "AWS_SECRET_ACCESS_KEY": _KEY, "AWS_CONFIG_FILE": os.devnull}


@dataclass(order=True)
class Message:
    """A message that is received from `visible_at` on, by the monotonic clock."""

    visible_at: float
    id: str = field(compare=False)
    body: str = field(compare=False)
    receives: int = field(default=0, compare=False)


class Queue:
    """A queue that an SQS client can send to. Use it as a context manager.

    Raises:
        OSError: no port is free.
    """

    def __init__(self, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._retry_seconds = retry_seconds
        self._messages: list[Message] = []
        self._changed = threading.Condition()
        self._is_closed = False
        self._server = LoopbackServer(_handler_for(self))

    def configure(self, environment: MutableMapping[str, str]) -> None:
        """Set the variables by which functions find the queue.

        The SDK signs each request, so it needs credentials. The ones of this shell are kept if a secret is read with
        them. Otherwise they are replaced, because a broken profile must not matter.
        """
        environment.update(TURN_QUEUE_URL=f"{self._server.url}/turns", AWS_ENDPOINT_URL_SQS=self._server.url)
        if not any(is_set(environment, name) for name in _SECRETS):
            for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
                environment.pop(name, None)
            environment.update(_CREDENTIALS)
        environment.setdefault("AWS_REGION", "eu-central-1")
        environment.setdefault("AWS_DEFAULT_REGION", environment["AWS_REGION"])

    def send(self, body: str, delay_seconds: float = 0.0) -> str:
        """Add a message and return its id."""
        message = Message(time.monotonic() + delay_seconds, str(uuid.uuid4()), body)
        self._add(message)
        return message.id

    def receive(self) -> Message | None:
        """Wait for a message and take it out; return None after the queue was closed."""
        with self._changed:
            while not self._is_closed:
                wait = self._messages[0].visible_at - time.monotonic() if self._messages else None
                if wait is not None and wait <= 0:
                    message = heapq.heappop(self._messages)
                    message.receives += 1
                    return message
                self._changed.wait(wait)
        return None

    def waiting_seconds(self) -> list[float]:
        """Return in how many seconds each message is received, at the earliest."""
        with self._changed:
            return [max(0.0, message.visible_at - time.monotonic()) for message in sorted(self._messages)]

    def return_failed(self, message: Message) -> bool:
        """Make a message that failed visible again after a while. Return False if it has failed too often."""
        if message.receives >= MOST_RECEIVES:
            return False
        message.visible_at = time.monotonic() + self._retry_seconds
        self._add(message)
        return True

    def _add(self, message: Message) -> None:
        with self._changed:
            heapq.heappush(self._messages, message)
            self._changed.notify()

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._server.stop()


class Background:
    """Invokes the functions of a template that no route leads to: consumers of the queue, and schedules.

    Use it as a context manager, after the database is migrated. An invocation that fails, or a process that is killed,
    is printed, and its message comes again.
    """

    def __init__(self, api: Api, queue: Queue, make_fleet: Callable[[Function], Fleet]) -> None:
        self._queue = queue
        named = {function.name: function for function in api.consumers}
        named |= {schedule.function.name: schedule.function for schedule in api.schedules}
        self._fleets = {name: make_fleet(function) for name, function in named.items()}
        self._consumers = api.consumers
        self._schedules = api.schedules
        self._stopping = threading.Event()

    def warm_up(self) -> None:
        """Begin to start an instance of each function."""
        for fleet in self._fleets.values():
            fleet.warm_up()

    def start(self) -> None:
        """Wait until every function is imported, and begin.

        Raises:
            FunctionError: a function cannot be imported.
        """
        for fleet in self._fleets.values():
            fleet.wait_until_ready()
        for function in self._consumers:
            for _ in range(MOST_AT_ONCE):
                threading.Thread(target=self._consume, args=(function,), daemon=True).start()
        for schedule in self._schedules:
            threading.Thread(target=self._repeat, args=(schedule,), daemon=True).start()

    def stop(self) -> None:
        """End the functions, also in the middle of an invocation."""
        self._stopping.set()
        for fleet in self._fleets.values():
            fleet.stop()

    def _consume(self, function: Function) -> None:
        while (message := self._queue.receive()) is not None:
            if self._invoke(function, _event(message)) == {"batchItemFailures": []}:
                continue
            if not self._queue.return_failed(message):
                print(f"{function.name}: a message failed {MOST_RECEIVES} times: {message.body}", file=sys.stderr)

    def _repeat(self, schedule: Schedule) -> None:
        # The first one at once: it queues the turns that the last run of this program left.
        self._invoke(schedule.function, schedule.event)
        while not self._stopping.wait(schedule.every_seconds):
            self._invoke(schedule.function, schedule.event)

    def _invoke(self, function: Function, event: Any) -> Any:
        try:
            return self._fleets[function.name].invoke(event).result()
        except StoppedError:
            return None
        except FunctionError as error:
            print(f"{function.name}: {error.kind}: {error}", file=sys.stderr)
            return None


def _event(message: Message) -> dict[str, Any]:
    """Return the event of a batch with one message.

    See https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html.
    """
    record = {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:turns",
        "awsRegion": "eu-central-1",
    }
    return {"Records": [record]}


def _handler_for(queue: Queue) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            content = self.rfile.read(min(length, _LARGEST_REQUEST_BYTES))
            if len(content) < length:  # The function was killed while it sent.
                self.close_connection = True
                return
            request = json.loads(content)
            if self.headers.get("X-Amz-Target") != _TARGET:
                self._answer(HTTPStatus.BAD_REQUEST, {"__type": "com.amazonaws.sqs#UnsupportedOperation"})
                return
            body = request["MessageBody"]
            message_id = queue.send(body, float(request.get("DelaySeconds", 0)))
            digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
            self._answer(HTTPStatus.OK, {"MessageId": message_id, "MD5OfMessageBody": digest})

        def _answer(self, status: HTTPStatus, document: dict[str, Any]) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Write nothing: a message is not news to the person at the console."""

    return Handler
