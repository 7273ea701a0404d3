"""The gateway's HTTP/1.1 server: a thread for each connection, an instance of a function for each request."""

import concurrent.futures
import re
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from local.gateway.authorizer import UnauthorizedError, verified_claims
from local.gateway.bodies import RequestError, discard, read_body, read_headers
from local.gateway.events import Request, event
from local.gateway.page import Page
from local.gateway.responses import MalformedResponseError, Response, plain, response
from local.gateway.template import Api, Route
from local.loopback import HOST, LoopbackServer
from local.runtime.fleet import Fleet
from local.runtime.instance import Function, FunctionError, StoppedError

TIME_LIMIT_SECONDS = 30.0
"""API Gateway's integration timeout, which cannot be raised."""
_IDLE_SECONDS = 60
_DISCARD_SECONDS = 1
_FORBIDDEN = plain(HTTPStatus.FORBIDDEN)
_OWN_NAME = re.compile(rf"({re.escape(HOST)}|localhost)(:\d+)?", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A method (RFC 9110, section 5.6.2)."""
_NOT_FOUND = plain(HTTPStatus.NOT_FOUND)
_UNAUTHORIZED = plain(HTTPStatus.UNAUTHORIZED, ("www-authenticate", "Bearer"))
_INTERNAL = plain(HTTPStatus.INTERNAL_SERVER_ERROR)
_UNAVAILABLE = plain(HTTPStatus.SERVICE_UNAVAILABLE)

AccessLog = Callable[[str], None]


class Gateway:
    """Serves an API on a port of the loopback interface; port 0 picks a free one. Use it as a context manager.

    `access_log` is called with a line for each request: method, path, status, milliseconds. `make_fleet` makes what
    runs a function. `page` is the folder of the page, which has the paths that no route has.

    Raises:
        OSError: the port is in use, or this user may not bind it.
    """

    def __init__(
        self,
        api: Api,
        *,
        log_file: Path,
        port: int = 0,
        time_limit_seconds: float = TIME_LIMIT_SECONDS,
        access_log: AccessLog = print,
        make_fleet: Callable[[Function, Path], Fleet] = Fleet,
        page: Path | None = None,
    ) -> None:
        self.api = api
        self._page = None if page is None else Page(page, api.page_headers)
        self.access_log = access_log
        self._time_limit_seconds = time_limit_seconds
        with_a_route = {route.function.name: route.function for route in api.routes}
        self._fleets: Mapping[str, Fleet] = {
            name: make_fleet(function, log_file) for name, function in with_a_route.items()
        }
        self._server = LoopbackServer(_handler_for(self), port)

    @property
    def url(self) -> str:
        """Return the base URL, as in `http://127.0.0.1:3000`."""
        return self._server.url

    @property
    def port(self) -> int:
        """Return the port."""
        return self._server.server_port

    def warm_up(self) -> None:
        """Start an instance of each function without waiting. Requests are not served yet."""
        for fleet in self._fleets.values():
            fleet.warm_up()

    def start(self) -> None:
        """Wait until every function is imported, and serve.

        Raises:
            FunctionError: a function cannot be imported.
        """
        for fleet in self._fleets.values():
            fleet.wait_until_ready()
        self._server.start()

    def stop(self) -> None:
        """Stop the functions, also in the middle of a request, and close the port."""
        for fleet in self._fleets.values():
            fleet.stop()
        self._server.stop()

    def __enter__(self) -> Self:
        self.warm_up()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answer(self, request: Request) -> Response:
        """Answer a request as API Gateway does."""
        headers = request.joined_headers()
        # A page whose domain resolves to loopback (DNS rebinding) sends its own name as Host.
        if not _OWN_NAME.fullmatch(headers.get("host", HOST)):
            return _FORBIDDEN
        if self._page is not None and self.api.find(request.method, request.path) is None:
            file = self._page.answer(request)
            if file is not None:
                return file
        cors = self.api.cors
        if cors and cors.answers_preflight(request.method, headers):
            return Response(HTTPStatus.NO_CONTENT, tuple(cors.response_headers(headers, preflight=True).items()), b"")
        answer = self._route(request, headers)
        added = {"apigw-requestid": request.id}
        if cors:
            added |= cors.response_headers(headers, preflight=False)
            # API Gateway ignores CORS headers of a function if the API has rules.
            answer = answer.without("access-control-")
        return Response(answer.status, (*answer.headers, *added.items()), answer.body)

    def _route(self, request: Request, headers: Mapping[str, str]) -> Response:
        found = self.api.find(request.method, request.path)
        if found is None:
            return _NOT_FOUND
        route, path_parameters = found
        try:
            claims = verified_claims(headers.get("authorization")) if route.needs_token else None
        except UnauthorizedError:
            return _UNAUTHORIZED
        return self._invoke(route, event(request, route_key=route.key, path_parameters=path_parameters, claims=claims))

    def _invoke(self, route: Route, event: dict[str, Any]) -> Response:
        invocation = self._fleets[route.function.name].invoke(event)
        try:
            return response(invocation.result(self._time_limit_seconds))
        except concurrent.futures.TimeoutError:
            invocation.cancel()
            return _UNAVAILABLE
        except StoppedError:
            return _UNAVAILABLE
        except FunctionError as error:
            trouble = error.stack_trace or f"{error.kind}: {error}"
        except MalformedResponseError as error:
            trouble = f"malformed response: {error}"
        print(f"{route.function.name}: {printable(trouble)}", file=sys.stderr)
        return _INTERNAL


def printable(text: str) -> str:
    """Return text with its control characters escaped, line breaks apart, so that no client writes to a terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def _handler_for(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        command = ""
        protocol_version = "HTTP/1.1"
        timeout = _IDLE_SECONDS
        # Head and body are two writes, and Nagle's algorithm would hold back the second.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            begin = time.perf_counter()
            try:
                answer = gateway.answer(self._request())
            except RequestError as error:
                self.close_connection = True
                self._log(error.status, begin)
                self._send(plain(error.status))
                self.connection.settimeout(_DISCARD_SECONDS)
                discard(self.rfile)
            else:
                self._log(answer.status, begin)
                self._send(answer)

        def __getattr__(self, name: str) -> Callable[[], None]:
            # The base class answers 501 to a method without a `do_METHOD`. API Gateway answers 404, as to any route.
            if name.startswith("do_"):
                return self._serve
            raise AttributeError(name)

        def _request(self) -> Request:
            try:
                target = urlsplit(self.path)
            except ValueError:
                raise RequestError(HTTPStatus.BAD_REQUEST) from None
            if not _TOKEN.fullmatch(self.command):
                raise RequestError(HTTPStatus.BAD_REQUEST)
            return Request(
                method=self.command,
                path=target.path or "/",
                query=target.query,
                headers=read_headers(self.headers),
                body=read_body(self.headers, self.rfile),
                source_ip=self.client_address[0],
                port=gateway.port,
            )

        def _log(self, status: int, begin: float) -> None:
            milliseconds = round((time.perf_counter() - begin) * 1000)
            # A query may hold a person's text, and control characters would reach the terminal.
            path = printable(self.path.partition("?")[0])
            gateway.access_log(f"{printable(self.command)} {path} {status} {milliseconds} ms")

        def _send(self, answer: Response) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            has_body = answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
            if has_body:
                self.send_header("content-length", str(len(answer.body)))
            if self.close_connection:
                self.send_header("connection", "close")
            self.end_headers()
            if has_body and self.command != "HEAD":
                self.wfile.write(answer.body)

        def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002 - the base class passes them
            """Answer a malformed request in the form of API Gateway instead of a page of HTML."""
            self.close_connection = True
            self.request_version = self.protocol_version
            self._send(plain(HTTPStatus(code)))

        def version_string(self) -> str:
            return "taskchat-local"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Write nothing: `access_log` gets the line."""

    return Handler
