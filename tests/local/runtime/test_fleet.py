"""Instances of a function: they are kept, there are few, and they end when they should."""

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


def test_an_invocation_waits_if_no_more_instances_may_start(single: Fleet) -> None:
    invocations = [single.invoke(event()) for _ in range(4)]
    assert len({pid_of(invocation.result(TIMEOUT_SECONDS)) for invocation in invocations}) == 1


def test_a_waiting_invocation_can_be_cancelled(single: Fleet, pipe: Path) -> None:
    hanging = single.invoke(event(do="say pid and hang", pipe=str(pipe)))
    hanging_pid = int(pipe.read_text(encoding="utf-8"))
    waiting = single.invoke(event(do="print", text="never said"))
    assert waiting.cancel()
    os.kill(hanging_pid, signal.SIGKILL)
    with pytest.raises(FunctionError, match=r"ended in the middle of the invocation \(killed by signal 9\)"):
        hanging.result(TIMEOUT_SECONDS)
    assert pid_of(single.invoke(event()).result(TIMEOUT_SECONDS)) != hanging_pid
    single.stop()
    assert "never said" not in single.log_file.read_text(encoding="utf-8")


def test_an_idle_instance_that_was_killed_is_replaced(single: Fleet) -> None:
    first = pid_of(single.invoke(event()).result(TIMEOUT_SECONDS))
    # Not `waitid`, because the fleet may have waited for the process before.
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
def test_a_handler_that_cannot_be_imported_is_reported(log_file: Path, handler: str, kind: str) -> None:
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


def test_an_instance_is_killed_after_its_time_out(log_file: Path, pipe: Path) -> None:
    instance = Instance(function(timeout_seconds=0.1), log_file)
    instance.wait_until_ready()
    try:
        with pytest.raises(FunctionError, match=r"Task timed out after 0\.10 seconds"):
            instance.invoke(event(do="say pid and hang", pipe=str(pipe)))
        assert not instance.alive
    finally:
        instance.close()


def test_an_instance_that_exits_says_with_which_status(log_file: Path) -> None:
    instance = Instance(function(), log_file)
    try:
        with pytest.raises(FunctionError, match=r"ended in the middle of the invocation \(exit status 3\)"):
            instance.invoke(event(do="exit"))
    finally:
        instance.close()


def test_an_instance_that_dies_during_the_import_says_so(log_file: Path) -> None:
    instance = Instance(function(), log_file)
    instance.stop()
    try:
        with pytest.raises(FunctionError, match=r"ended before its handler was imported \(killed by signal 15\)"):
            instance.wait_until_ready()
    finally:
        instance.close()


def test_control_characters_are_escaped_in_the_log(single: Fleet) -> None:
    single.invoke(event(do="print", text="\x1b[31mred\r\x00\x9b grün\ttab")).result(TIMEOUT_SECONDS)
    assert single.log_file.read_text(encoding="utf-8") == "\\x1b[31mred\\x0d\\x00\\x9b grün\ttab\n"


def test_a_full_disk_under_the_log_fails_no_invocation(tmp_path: Path) -> None:
    full = tmp_path / "full.log"
    full.symlink_to("/dev/full")
    with Fleet(function(), full) as fleet:
        assert fleet.invoke(event(do="print", text="lost")).result(TIMEOUT_SECONDS)["statusCode"] == 200


def test_an_instance_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    fleet = Fleet(function(), tmp_path / "no" / "such" / "folder.log")
    with pytest.raises(FunctionError, match="an instance cannot be started"):
        fleet.invoke(event()).result(TIMEOUT_SECONDS)


def test_python_variables_of_the_shell_do_not_reach_a_function(log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/no/such")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    with Fleet(function(), log_file) as fleet:
        assert pid_of(fleet.invoke(event()).result(TIMEOUT_SECONDS))
