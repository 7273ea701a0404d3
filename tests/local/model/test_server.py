"""The offline model's manners over HTTP."""

import http.client
import json
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from local.loopback import LoopbackServer
from local.model.server import offline_model


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with offline_model() as server:
        yield server


@pytest.fixture
def connection(server: LoopbackServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()


def test_a_stream_is_declined_in_words(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not stream"):
        client.chat.completions.create(model="offline", messages=[{"role": "user", "content": "hi"}], stream=True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages": "hi"}', b'{"messages": [1]}', b"\xff"])
def test_a_body_that_is_no_request_is_400_and_the_connection_goes_on(
    connection: http.client.HTTPConnection, body: bytes
) -> None:
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", body)
        answer = connection.getresponse()
        assert answer.status == 400
        assert json.loads(answer.read())["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_path_is_404(connection: http.client.HTTPConnection, method: str) -> None:
    connection.request(method, "/v1/responses", b"{}")
    assert connection.getresponse().status == 404


def test_a_body_without_a_length_is_411(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    assert connection.getresponse().status == 411
