"""The offline model over HTTP: Responses, Chat Completions and the list of models."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from local.loopback import LoopbackServer
from local.model.plans import MODEL_NAME
from local.model.protocols import chat_completion, response
from local.model.rules import RefusedError

LARGEST_BODY_BYTES = 10_000_000
_IDLE_SECONDS = 60
_ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": chat_completion,
    "/v1/responses": response,
}
_MODEL = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "taskchat", "shutdown_date": None}


def offline_model(port: int = 0) -> LoopbackServer:
    """Return the server, not yet started; its base URL for clients is `url` + `/v1`."""
    return LoopbackServer(OfflineModelHandler, port)


class OfflineModelHandler(BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # The head and the body are two writes, and the second must not wait for an answer to the first.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer the list of models, or one model."""
        if self.path == "/v1/models":
            self._send(HTTPStatus.OK, {"object": "list", "data": [_MODEL]})
        elif self.path == f"/v1/models/{MODEL_NAME}":
            self._send(HTTPStatus.OK, _MODEL)
        else:
            self._refuse(_nothing_at(self.path))

    def do_POST(self) -> None:
        """Answer a request for a completion."""
        try:
            body = self._body()
            if self.path not in _ANSWERS:
                raise _nothing_at(self.path)
            self._send(HTTPStatus.OK, _ANSWERS[self.path](_parsed(body)))
        except RefusedError as error:
            self._refuse(error)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY_BYTES:
            self.close_connection = True
            raise RefusedError("Send a Content-Length of at most 10 MB.", status=HTTPStatus.LENGTH_REQUIRED)
        return self.rfile.read(int(length))

    def _refuse(self, error: RefusedError) -> None:
        document = {
            "message": str(error),
            "type": "invalid_request_error",
            "param": error.param,
            "code": error.code,
        }
        self._send(error.status, {"error": document})

    def _send(self, status: HTTPStatus, document: Mapping[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the console quiet: the gateway's line about the request is enough."""


def _nothing_at(path: str) -> RefusedError:
    return RefusedError(f"Invalid URL: there is nothing at {path}.", status=HTTPStatus.NOT_FOUND)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError:
        raise RefusedError("We could not parse the JSON body of your request.") from None
    if not isinstance(request, dict):
        raise RefusedError("The body of a request is a JSON object.")
    return request
