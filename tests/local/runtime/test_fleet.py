"""Instances of a function: processes that are kept, that are few, and that end when they are told to."""

import json
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.runtime.fleet import Fleet
from local.runtime.instance import Function, FunctionError, Instance, StoppedError

HANDLER = "tests.local.lambda_function.handler"
TIMEOUT_SECONDS = 30


def function(handler: str = HANDLER, timeout_seconds: float = TIMEOUT_SECONDS) -> Function:
    return Function("Test", handler, timeout_seconds=timeout_seconds, memory_mb=128)


def event(**command: Any) -> dict[str, Any]:
    return {"body": json.dumps(command)}


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "functions.log"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def single(log_file: Path) -> Iterator[Fleet]:
    """Return a fleet of one instance at most."""
    with Fleet(function(), log_file, most_instances=1) as fleet:
        yield fleet


def pid_of(result: Any) -> int:
    pid = json.loads(result["body"])["pid"]
    assert isinstance(pid, int)
    return pid


def test_an_invocation_waits_for_a_free_instance_where_there_may_be_no_more(single: Fleet) -> None:
    invocations = [single.invoke(event()) for _ in range(4)]
    assert len({pid_of(invocation.result(TIMEOUT_SECONDS)) for invocation in invocations}) == 1


def test_an_invocation_that_waits_can_be_cancelled_and_never_runs(single: Fleet, pipe: Path) -> None:
    hanging = single.invoke(event(do="say pid and hang", pipe=str(pipe)))
    hanging_pid = int(pipe.read_text(encoding="utf-8"))
    waiting = single.invoke(event(do="print", text="never said"))
    assert waiting.cancel()
    os.kill(hanging_pid, signal.SIGKILL)
    with pytest.raises(FunctionError, match="ended in the middle"):
        hanging.result(TIMEOUT_SECONDS)
    assert pid_of(single.invoke(event()).result(TIMEOUT_SECONDS)) != hanging_pid
    single.stop()
    assert "never said" not in single.log_file.read_text(encoding="utf-8")


def test_an_idle_instance_that_was_killed_is_replaced(single: Fleet) -> None:
    first = pid_of(single.invoke(event()).result(TIMEOUT_SECONDS))
    # Not `waitid`: the fleet may have collected the process first.
    process = os.pidfd_open(first)
    try:
        os.kill(first, signal.SIGKILL)
        assert select.select([process], [], [], TIMEOUT_SECONDS)[0]
    finally:
        os.close(process)
    assert pid_of(single.invoke(event()).result(TIMEOUT_SECONDS)) != first


def test_after_the_stop_nothing_is_invoked(single: Fleet) -> None:
    single.stop()
    with pytest.raises(StoppedError):
        single.invoke(event()).result(TIMEOUT_SECONDS)


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("tests.local.no_such_module.handler", "ModuleNotFoundError"),
        ("tests.local.lambda_function.no_such_name", "AttributeError"),
    ],
)
def test_a_handler_that_cannot_be_imported_is_told(log_file: Path, handler: str, kind: str) -> None:
    with Fleet(function(handler), log_file) as fleet, pytest.raises(FunctionError) as caught:
        fleet.wait_until_ready()
    assert caught.value.kind == kind
    assert "Traceback" in caught.value.stack_trace


def test_a_large_event_and_a_large_result_pass(log_file: Path) -> None:
    instance = Instance(function(), log_file)
    text = "grüße " * 200_000
    try:
        answer = instance.invoke(event(do="return", value=text))
    finally:
        instance.close()
    assert answer == text


def test_an_instance_that_is_beyond_its_time_is_killed(log_file: Path, pipe: Path) -> None:
    instance = Instance(function(timeout_seconds=0.1), log_file)
    instance.wait_until_ready()
    try:
        with pytest.raises(FunctionError, match=r"Task timed out after 0\.10 seconds"):
            instance.invoke(event(do="say pid and hang", pipe=str(pipe)))
        assert not instance.alive
    finally:
        instance.close()
