"""The queue of `make run`, through the AWS SDK that the functions use, and the consumer behind it."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.gateway.template import Api, Schedule, read_template
from local.queue import MOST_RECEIVES, Background, Queue
from local.runtime.fleet import Fleet
from local.runtime.instance import Function
from taskchat.queue import SqsQueue, turn_id_of

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
TURN = uuid.UUID(int=7)
PATIENCE_SECONDS = 30.0


@pytest.fixture
def environment() -> dict[str, str]:
    """Return the environment that functions get."""
    return {}


@pytest.fixture
def queue(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Return a queue that this process's AWS SDK finds."""
    with Queue() as queue:
        queue.configure(environment)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield queue


def test_the_sdk_sends_a_turn(queue: Queue, environment: dict[str, str]) -> None:
    SqsQueue(environment["TURN_QUEUE_URL"]).send(TURN)
    message = queue.receive()
    assert message is not None
    assert turn_id_of(message.body) == TURN


def test_a_delayed_turn_waits(queue: Queue, environment: dict[str, str]) -> None:
    turns = SqsQueue(environment["TURN_QUEUE_URL"])
    turns.send(TURN, 5_000.0)
    turns.send(TURN, 60.0)
    assert queue.waiting_seconds() == [pytest.approx(60, abs=5), pytest.approx(900, abs=5)]


def test_a_function_killed_while_it_sends_says_nothing(
    queue: Queue, environment: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    server = urlsplit(environment["AWS_ENDPOINT_URL_SQS"])
    with socket.create_connection((server.hostname, server.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert capfd.readouterr().err == ""
    assert queue.waiting_seconds() == []


def test_a_closed_queue_wakes_its_consumers() -> None:
    with Queue() as queue:
        received: list[object] = []
        consumer = threading.Thread(target=lambda: received.append(queue.receive()))
        consumer.start()
    consumer.join(PATIENCE_SECONDS)
    assert received == [None]


def test_a_message_that_fails_is_dropped_after_five_times(queue: Queue) -> None:
    queue.send("x")
    message = queue.receive()
    assert message is not None
    for _ in range(MOST_RECEIVES - 1):
        assert queue.return_failed(message)
        message.receives += 1
    assert not queue.return_failed(message)


def test_the_shell_keeps_credentials_that_read_secrets() -> None:
    own = {"AWS_PROFILE": "mine", "DATABASE_URL_SECRET": "taskchat/dev/database-url"}
    broken = {"AWS_PROFILE": "broken"}
    with Queue() as queue:
        queue.configure(own)
        queue.configure(broken)
    assert own["AWS_PROFILE"] == "mine"
    assert "AWS_ACCESS_KEY_ID" not in own
    assert "AWS_PROFILE" not in broken


def test_the_template_names_consumer_and_schedule() -> None:
    api = read_template(TEMPLATE)
    worker = api.functions["WorkerFunction"]
    assert api.consumers == (worker,)
    assert api.schedules == (Schedule(worker, 60.0, {"action": "sweep"}),)


def test_a_killed_function_gets_its_message_again(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    function = Function("Consumer", "tests.local.lambda_function.dies_once", timeout_seconds=30, memory_mb=128)
    api = Api((), {"Consumer": function}, None, consumers=(function,))
    with Queue(retry_seconds=0.0) as queue, ThreadPoolExecutor() as executor:
        background = Background(api, queue, lambda function: Fleet(function, tmp_path / "log"))
        background.warm_up()
        background.start()
        try:
            queue.send(str(pipe))
            assert executor.submit(pipe.read_text).result(PATIENCE_SECONDS) == "handled"
        finally:
            background.stop()
