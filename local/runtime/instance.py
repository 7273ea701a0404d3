"""One instance of a function, seen from outside: a process."""

import json
import select
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_SECONDS = 60.0
"""Longest wait for the import of a function; as in Lambda, it does not count as part of an invocation."""
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Function:
    """A function as the template describes it; `handler` is a dotted path."""

    name: str
    handler: str
    timeout_seconds: float
    memory_mb: int


class FunctionError(Exception):
    """Raised when a function did not return; `stack_trace` is the function's own if it raised."""

    def __init__(self, message: str, *, kind: str = "Runtime.ExitError", stack_trace: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.stack_trace = stack_trace


class StoppedError(FunctionError):
    """Raised for an invocation that was cut off, or never started, because everything is being stopped."""


class Instance:
    """A process that imports a function's handler and serves one invocation after another.

    The function's standard output and standard error go to `log_file`.

    Raises:
        OSError: the process cannot be started, or the log file cannot be opened.
    """

    def __init__(self, function: Function, log_file: Path) -> None:
        self.function = function
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                # `-E` ignores PYTHONPATH and the like. The working directory is where `-m` finds this package.
                [sys.executable, "-E", "-m", "local.runtime", function.handler],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                # Ctrl-C at the terminal is for the process that started this one, which then stops it.
                start_new_session=True,
            )
        # Popen opens both, which its types do not tell.
        self._events = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait for the import of the handler.

        Raises:
            FunctionError: the import failed or took too long.
        """
        if not self._ready:
            self._receive(START_TIMEOUT_SECONDS)
            self._ready = True

    def invoke(self, event: Any) -> Any:
        """Return the handler's result.

        Raises:
            FunctionError: the handler raised, ended the process, or was killed after its time-out.
        """
        self.wait_until_ready()
        invocation = {
            "event": event,
            "request_id": str(uuid.uuid4()),
            "function_name": self.function.name,
            "memory_mb": str(self.function.memory_mb),
            "timeout_seconds": self.function.timeout_seconds,
        }
        self._send(invocation)
        return self._receive(self.function.timeout_seconds).get("result")

    @property
    def alive(self) -> bool:
        """Return whether it can serve another invocation."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process at once, whatever it is doing. Safe to call again, and from another thread."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Stop the process and close the pipes; no other thread may still read from it."""
        self.stop()
        self._answers.close()
        try:
            self._events.close()
        except BrokenPipeError:
            return  # The process ended before it had read its last event.

    def _send(self, invocation: dict[str, Any]) -> None:
        try:
            self._events.write(json.dumps(invocation).encode() + b"\n")
            self._events.flush()
        except BrokenPipeError:
            raise FunctionError(f"the process ended before the invocation ({self._ending()})") from None

    def _receive(self, timeout_seconds: float) -> dict[str, Any]:
        line = self._read_line(time.monotonic() + timeout_seconds)
        if line is None:
            self.stop()
            raise FunctionError(f"Task timed out after {timeout_seconds:.2f} seconds", kind="Sandbox.Timedout")
        if not line.endswith(b"\n"):
            when = "in the middle of the invocation" if self._ready else "before its handler was imported"
            raise FunctionError(f"the process ended {when} ({self._ending()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            error = answer["error"]
            raise FunctionError(
                error["errorMessage"], kind=error["errorType"], stack_trace="".join(error["stackTrace"])
            )
        return answer

    def _read_line(self, end: float) -> bytes | None:
        """Return a line, less than a line if the process ended, or None after `end`."""
        readable, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
        # An instance writes an answer at once, so the rest of a line that has begun is on its way.
        return self._answers.readline() if readable else None

    def _ending(self) -> str:
        try:
            status = self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return "it closed its output"
        return f"exit status {status}" if status >= 0 else f"killed by signal {-status}"
