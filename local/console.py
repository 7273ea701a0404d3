"""Write to the console from any thread, without ever waiting for it or failing because of it.

`make run | head -3` closes the console while requests are served, and `make run | less` stops reading it. Neither may
delay an answer or cut it off. So a thread of its own does the writing, and drops what the console does not take.
"""

import io
import os
import queue
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

MOST_WAITING_TEXTS = 1_000
"""More are dropped, so that a console that is not read does not fill the memory."""
_FLUSH_SECONDS = 1.0


class Console(io.TextIOBase):
    """A text stream in place of `stream`, which may be closed, full, or go away at any time.

    Characters that the encoding of `stream` lacks are written as escapes.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._file = _file_number(stream)
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._texts: queue.Queue[str | None] = queue.Queue(MOST_WAITING_TEXTS)
        self._writer = threading.Thread(target=self._write_all, name="console", daemon=True)
        self._writer.start()

    def writable(self) -> bool:
        """Return true, as a text stream for writing does."""
        return True

    def write(self, text: str) -> int:
        """Hand `text` over to be written, or drop it if too much waits already."""
        try:
            self._texts.put_nowait(text)
        except queue.Full:
            return 0
        return len(text)

    def finish(self) -> None:
        """Wait a moment for what has been handed over, then write no more."""
        try:
            self._texts.put(None, timeout=_FLUSH_SECONDS)
        except queue.Full:
            return
        self._writer.join(_FLUSH_SECONDS)

    def _write_all(self) -> None:
        while (text := self._texts.get()) is not None:
            if self._file is None:
                continue
            try:
                _write(self._file, text.encode(self._encoding, errors="backslashreplace"))
            except OSError:
                self._file = None  # The reader has closed the pipe. Everything else is dropped.


@contextmanager
def safe_console() -> Iterator[None]:
    """Put a `Console` in place of standard output and standard error."""
    reserve_standard_files()
    streams = sys.stdout, sys.stderr
    output, errors = Console(sys.stdout), Console(sys.stderr)
    sys.stdout, sys.stderr = output, errors
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        output.finish()
        errors.finish()


def reserve_standard_files() -> None:
    """Open the null device for each standard file that is closed, as after `make run <&- >&-`.

    Otherwise a socket would get its number, and a child process would take the socket for its standard output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _file_number(stream: TextIO | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError):
        return None


def _write(file: int, content: bytes) -> None:
    while content:
        try:
            content = content[os.write(file, content) :]
        except BlockingIOError:
            # A program that shares the terminal may have made it non-blocking.
            select.select([], [file], [])
