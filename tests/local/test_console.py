"""The console never delays or fails the one who writes to it."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.console import Console

ROOT = Path(__file__).parents[2]
LINES = 20_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """Return a pipe: the number of its read end, and a text stream on its write end."""
    read_end, write_end = os.pipe()
    with open(write_end, "w", encoding="latin-1") as stream:  # noqa: PTH123 - a file number
        yield read_end, stream
    os.close(read_end)


def test_texts_arrive_in_order(pipe: tuple[int, io.TextIOWrapper]) -> None:
    read_end, stream = pipe
    console = Console(stream)

    for number in range(3):
        console.write(f"line {number}\n")
    console.finish()

    assert os.read(read_end, 1_000) == b"line 0\nline 1\nline 2\n"


def test_unknown_characters_are_escaped(pipe: tuple[int, io.TextIOWrapper]) -> None:
    read_end, stream = pipe
    console = Console(stream)

    console.write("grün 茶 \udcff\n")
    console.finish()

    assert os.read(read_end, 1_000).decode("latin-1") == "grün \\u8336 \\udcff\n"


def test_a_console_that_is_not_read_delays_nobody(pipe: tuple[int, io.TextIOWrapper]) -> None:
    _, stream = pipe
    console = Console(stream)
    begin = time.monotonic()

    for number in range(LINES):
        console.write(f"a line that fills the pipe, number {number}\n")

    assert time.monotonic() - begin < 5
    console.finish()


def test_a_console_without_reader_fails_nobody() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a file number
        console = Console(stream)
        console.write("to nobody\n")
        console.write("to nobody again\n")
        console.finish()


def test_a_closed_stream_fails_nobody(tmp_path: Path) -> None:
    stream = (tmp_path / "console").open("w", encoding="utf-8")
    stream.close()

    for console in (Console(stream), Console(None)):
        console.write("to nobody\n")
        console.finish()


def test_closed_standard_files_are_reserved() -> None:
    show = """
import os
from local.console import reserve_standard_files
reserve_standard_files()
print(os.open(os.devnull, os.O_RDONLY), [os.path.exists(f"/dev/fd/{number}") for number in range(3)], file=open(3, "w"))
"""
    read_end, write_end = os.pipe()
    command = 'exec "$0" -c "$1" 3>&"$2" <&- >&- 2>&-'

    subprocess.run(
        ["/bin/bash", "-c", command, sys.executable, show, str(write_end)],
        cwd=ROOT,
        pass_fds=[write_end],
        check=True,
    )

    os.close(write_end)
    with open(read_end, encoding="utf-8") as shown:  # noqa: PTH123 - a file number
        first_free, are_open = shown.read().split(maxsplit=1)
    assert int(first_free) > 2
    assert are_open == "[True, True, True]\n"
