"""Reading the header fields and the body of an HTTP/1.1 request (RFC 9112, sections 5 and 6)."""

import re
from collections.abc import Sequence
from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

LARGEST_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's quota for the payload of an HTTP API, which cannot be raised."""
LARGEST_DISCARD_BYTES = 100 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_LONGEST_LINE = 1024
_LINE_FOLDING = re.compile(r"\r?\n[ \t]+")
_NEVER_IN_A_VALUE = re.compile(r"[\0\r\n]")


class RequestError(Exception):
    """Raised for a malformed or oversized request, after which its connection cannot be used any more."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def read_headers(headers: Message) -> Sequence[tuple[str, str]]:
    """Return names and values in order, without blanks around a value and without line folding.

    Raises:
        RequestError: a value holds NUL or a line break.
    """
    read = [(name, _LINE_FOLDING.sub(" ", value).strip(" \t")) for name, value in headers.items()]
    if any(_NEVER_IN_A_VALUE.search(value) for _, value in read):
        raise RequestError(HTTPStatus.BAD_REQUEST)
    return read


def read_body(headers: Message, stream: BufferedIOBase) -> bytes:
    """Read a body by its length or in chunks; empty if the headers announce none.

    Raises:
        RequestError: the body is too large or incomplete, or its headers are not valid.
    """
    encodings = headers.get_all("Transfer-Encoding") or []
    lengths = {length.strip() for length in headers.get_all("Content-Length") or []}
    if encodings:
        if [encoding.strip().lower() for encoding in encodings] != ["chunked"] or lengths:
            raise RequestError(HTTPStatus.BAD_REQUEST)
        return _read_chunks(stream)
    if not lengths:
        return b""
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdecimal()):
        raise RequestError(HTTPStatus.BAD_REQUEST)
    return _read(stream, int(length[:20]))


def _read_chunks(stream: BufferedIOBase) -> bytes:
    body = bytearray()
    while size := _chunk_size(stream):
        body += _read(stream, size, already=len(body))
        if stream.readline(_LONGEST_LINE).strip():
            raise RequestError(HTTPStatus.BAD_REQUEST)
    while stream.readline(_LONGEST_LINE).strip():
        pass  # An HTTP API does not pass trailers on.
    return bytes(body)


def _chunk_size(stream: BufferedIOBase) -> int:
    size = stream.readline(_LONGEST_LINE).partition(b";")[0].strip()
    try:
        return int(size, 16) if size.isalnum() else _refuse()
    except ValueError:
        return _refuse()


def _refuse() -> int:
    raise RequestError(HTTPStatus.BAD_REQUEST)


def _read(stream: BufferedIOBase, length: int, *, already: int = 0) -> bytes:
    if length + already > LARGEST_BODY_BYTES:
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = stream.read(length)
    if len(body) < length:
        raise RequestError(HTTPStatus.BAD_REQUEST)
    return body


def discard(stream: BufferedIOBase) -> None:
    """Read and drop the rest of a request, so that the client reads the answer. The caller sets a timeout.

    A connection that is closed with unread bytes is reset, and the client may lose the answer.
    """
    left = LARGEST_DISCARD_BYTES
    try:
        while left > 0 and (chunk := stream.read1(_CHUNK_BYTES)):
            left -= len(chunk)
    except OSError:
        return  # The client stopped sending or disconnected. The answer was sent before.
