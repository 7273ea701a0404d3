"""The emulator starts whatever the path, never shares a port, and says why it did not start."""

import os
import platform
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import emulator
from local.emulator import HOST, BuiltFunction, EmulatorError, built_function, start
from local.loopback import free_port
from tests.local.conftest import ODD_NAME

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STARTS = 6
HANDLER = """
import os

def handler(event, context):
    return {"event": event, "folder": os.getcwd()}
"""

pytestmark = [
    pytest.mark.xdist_group("lambda_runtime"),
    pytest.mark.skipif(
        (sys.platform, platform.machine()) != ("linux", "x86_64"),
        reason="the emulator runs on Linux on x86_64",
    ),
]


@pytest.fixture
def function(tmp_path: Path) -> BuiltFunction:
    """Return a function in a folder with an odd name."""
    package = tmp_path / ODD_NAME
    package.mkdir()
    (package / "app.py").write_text(HANDLER, encoding="utf-8")
    return BuiltFunction("Test", "app.handler", package, [], timeout_seconds=10, memory_mb=128, environment={})


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Return a port of another program."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def program(folder: Path, script: str) -> str:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_function_runs_whatever_the_path_of_its_folder(function: BuiltFunction) -> None:
    with start(function, {}, PYTHON_VERSION) as running:
        assert running.invoke({"a": 1}) == {"event": {"a": 1}, "folder": str(function.package)}


def test_starts_at_the_same_time_never_share_a_port(function: BuiltFunction) -> None:
    def answer(number: int) -> object:
        with start(function, {}, PYTHON_VERSION) as running:
            return running.invoke(number)["event"]

    with ThreadPoolExecutor(STARTS) as executor:
        assert list(executor.map(answer, range(STARTS))) == list(range(STARTS))


def test_a_port_that_is_taken_meanwhile_is_replaced(
    function: BuiltFunction, taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([taken_port])
    monkeypatch.setattr(emulator, "free_port", lambda: next(ports, None) or free_port())

    with start(function, {}, PYTHON_VERSION) as running:
        assert running.invoke(None)["event"] is None


def test_the_emulator_is_reached_past_a_proxy(function: BuiltFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    with start(function, {}, PYTHON_VERSION) as running:
        assert running.invoke("hi")["event"] == "hi"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo info; echo '[PANIC] no memory'; echo goroutine 1; exit 2", r"\(status 2\): \[PANIC\] no memory"),
        ("echo one; echo two; exit 3", r"\(status 3\): two"),
        ("exit 0", r"\(status 0\): it wrote nothing"),
        ("kill -9 $$", r"\(status -9\)"),
    ],
)
def test_an_emulator_that_dies_at_its_start_says_why(
    function: BuiltFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    path = program(tmp_path, script)
    monkeypatch.setattr(emulator, "_emulator_binary", lambda: path)

    with pytest.raises(EmulatorError, match=reason), start(function, {}, PYTHON_VERSION):
        pass


def test_an_emulator_that_is_missing_is_named(
    function: BuiltFunction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulator, "_emulator_binary", lambda: str(tmp_path / "no-such-program"))

    with pytest.raises(EmulatorError, match="no-such-program"), start(function, {}, PYTHON_VERSION):
        pass


def test_a_missing_build_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="run `make build`"):
        built_function("ChatFunction", tmp_path)


def test_an_emulator_that_was_killed_is_cleaned_up(function: BuiltFunction) -> None:
    with start(function, {}, PYTHON_VERSION) as running:
        os.kill(running.process_id, signal.SIGKILL)
