"""Requests that the gateway refuses: too large, too slow, or not HTTP."""

import http.client
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.gateway.bodies import LARGEST_BODY_BYTES
from tests.local.gateway.conftest import StartGateway
from tests.local.gateway.http_client import Client

OCTETS = ("Content-Type", "application/octet-stream")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a named pipe; who opens it waits for whoever opens its other end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_payload_may_have_ten_mebibytes_and_no_more(client: Client) -> None:
    assert client.send("POST", "/echo", [OCTETS], bytes(LARGEST_BODY_BYTES)).status == 200
    reply = client.send("POST", "/echo", [OCTETS], bytes(LARGEST_BODY_BYTES + 1))
    assert (reply.status, reply.json()) == (413, {"message": "Request Entity Too Large"})


def test_a_payload_in_chunks_has_the_same_limit(client: Client) -> None:
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    answer = client.raw(
        b"POST /echo HTTP/1.1\r\nHost: localhost:1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 11 + b"0\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense\r\n\r\n",
        "G(T /echo HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        "\x1b[31m /echo HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        "GET /echo HTTP/1.1\r\nHost: localhost:1\r\nX-A: a\0b\r\n\r\n",
        "GET /echo HTTP/1.1 extra\r\n\r\n",
        "GET http://[bad/ HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Length: ٣\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
    ],
)
def test_a_malformed_request_is_a_bad_request_in_json(client: Client, request_text: str) -> None:
    answer = client.raw(request_text.encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head.lower()
    assert body == b'{"message": "Bad Request"}'


def test_a_connection_serves_one_request_after_the_other(client: Client) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", client.gateway.port, timeout=30)
    for method, target, status in [("GET", "/echo", 200), ("GET", "/nothing", 404), ("POST", "/echo", 200)]:
        connection.request(method, target)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.will_close) == (status, False)
    connection.close()


def test_a_disconnected_client_prints_nothing(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    client.raw(b"")
    client.raw(b"POST /echo HTTP/1.1\r\n")
    assert client.send("GET", "/echo").status == 200
    assert capsys.readouterr() == ("", "")


def test_an_access_log_line_has_no_query_or_control_characters(client: Client) -> None:
    client.send("GET", "/nothing?secret=1")
    assert client.access_log[-1].startswith("GET /nothing 404 ")
    client.raw(b"GET /a\x1b[31m HTTP/1.0\r\n\r\n")
    assert client.access_log[-1].startswith("GET /a\\x1b[31m 404 ")
    client.raw(b"\x1b[31m /a HTTP/1.0\r\n\r\n")
    assert client.access_log[-1].startswith("\\x1b[31m /a 400 ")


def test_a_function_beyond_the_time_limit_is_503(start_gateway: StartGateway, pipe: Path) -> None:
    client = start_gateway(time_limit_seconds=2)
    hanging = client.tell({"do": "say pid and hang", "pipe": str(pipe)})
    assert (hanging.status, hanging.json()) == (503, {"message": "Service Unavailable"})
    assert client.send("GET", "/echo").status == 200


def test_a_function_beyond_its_time_out_is_killed(start_gateway: StartGateway, pipe: Path) -> None:
    client = start_gateway(timeout=0.5)
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(client.tell, {"do": "say pid and hang", "pipe": str(pipe)})
        pid = int(pipe.read_text(encoding="utf-8"))
        assert (answer.result().status, answer.result().json()) == (500, {"message": "Internal Server Error"})
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_requests_at_once_run_in_processes_of_their_own(client: Client, pipe: Path) -> None:
    with ThreadPoolExecutor() as executor:
        both = [
            executor.submit(client.tell, {"do": "meet", "pipe": str(pipe), "first": first}) for first in (True, False)
        ]
        # Each of them waits for the other, so neither would return if they ran one after the other.
        at_once = {answer.result().json()["pid"] for answer in both}
    assert len(at_once) == 2
    in_turn = {client.send("GET", "/echo").json()["pid"] for _ in range(3)}
    assert len(in_turn) == 1


def test_stopping_ends_a_function_in_the_middle_of_a_request(
    start_gateway: StartGateway, pipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(threading.enumerate())
    client = start_gateway()
    with ThreadPoolExecutor() as executor:
        answer = executor.submit(client.tell, {"do": "say pid and hang", "pipe": str(pipe)})
        pid = int(pipe.read_text(encoding="utf-8"))
        client.gateway.stop()
        assert answer.result().status == 503
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert set(threading.enumerate()) <= before
    assert capsys.readouterr() == ("", "")


def test_stopping_closes_a_connection_on_which_nothing_happens(start_gateway: StartGateway) -> None:
    before = set(threading.enumerate())
    client = start_gateway()
    with socket.create_connection(("127.0.0.1", client.gateway.port), timeout=30) as connection:
        connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"message": "Not Found"}'):
            answer += connection.recv(65_536)
        client.gateway.stop()
        assert set(threading.enumerate()) <= before
        assert connection.recv(1) == b""
