"""Reading the header fields and the body of an HTTP/1.1 request (RFC 9112, sections 5 and 6)."""

import re
from collections.abc import Sequence
from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

LARGEST_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's quota for the payload of an HTTP API; it cannot be raised."""
LARGEST_DISCARD_BYTES = 100 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_LONGEST_LINE = 1024
_LINE_FOLDING = re.compile(r"\r?\n[ \t]+")
_NEVER_IN_A_VALUE = re.compile(r"[\0\r\n]")


class RequestError(Exception):
    """Raised for a request that is not taken; what follows on its connection cannot be understood any more."""

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
    """Read a body by its length or in chunks; none where the headers announce none.

    Raises:
        RequestError: it is too large, cut short, or its headers make no sense.
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
        pass  # Trailers carry nothing that an HTTP API passes on.
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
    """Read away what a client still sends, so that it gets to read the answer; the caller sets a time-out."""
    left = LARGEST_DISCARD_BYTES
    try:
        while left > 0 and (chunk := stream.read1(_CHUNK_BYTES)):
            left -= len(chunk)
    except OSError:
        return  # It stopped sending, or went away: either way the answer has been sent.
