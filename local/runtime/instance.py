"""One instance of a function: a process, from the outside."""

import json
import os
import select
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

START_TIMEOUT_SECONDS = 60.0
"""The time to import a function; Lambda does not count it as part of an invocation either."""
_STOP_SECONDS = 2.0


@dataclass(frozen=True)
class Function:
    """A function as the template describes it; `handler` is a dotted path."""

    name: str
    handler: str
    timeout_seconds: float
    memory_mb: int


class FunctionError(Exception):
    """Raised when a function did not return; `stack_trace` is the function's own, where it raised."""

    def __init__(self, message: str, *, kind: str = "Runtime.ExitError", stack_trace: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.stack_trace = stack_trace


class StoppedError(FunctionError):
    """Raised for an invocation that was cut off, or not begun, because everything is being stopped."""


class Instance:
    """A process that has imported a function's handler and serves one invocation after the other."""

    def __init__(self, function: Function, log_file: Path) -> None:
        self.function = function
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.runtime", function.handler, str(log_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            # Ctrl-C is for whoever started this process, who then stops it.
            start_new_session=True,
        )
        # Popen makes both, because it is told to; its types do not know.
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
        """Return what the handler returns.

        Raises:
            FunctionError: it raised, ended the process, or was killed because its time-out had passed.
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
        """Stop it and close the pipes; no other thread may be reading from it any more."""
        self.stop()
        self._answers.close()
        try:
            self._events.close()
        except BrokenPipeError:
            return  # It ended before it had read all of its last event.

    def _send(self, invocation: dict[str, Any]) -> None:
        try:
            self._events.write(json.dumps(invocation).encode() + b"\n")
            self._events.flush()
        except BrokenPipeError:
            raise FunctionError("the process had ended before the invocation") from None

    def _receive(self, timeout_seconds: float) -> dict[str, Any]:
        line = self._read_line(time.monotonic() + timeout_seconds)
        if line is None:
            self.stop()
            raise FunctionError(f"Task timed out after {timeout_seconds:.2f} seconds", kind="Sandbox.Timedout")
        if not line.endswith(b"\n"):
            self.stop()
            raise FunctionError("the process ended in the middle of the invocation")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            error = answer["error"]
            raise FunctionError(
                error["errorMessage"], kind=error["errorType"], stack_trace="".join(error["stackTrace"])
            )
        return answer

    def _read_line(self, end: float) -> bytes | None:
        """Return a line, less than a line when the process ended, or nothing when the time is up."""
        readable, _, _ = select.select([self._answers], [], [], max(0.0, end - time.monotonic()))
        # An instance writes its answer in one go, so the rest of a line that has begun is on its way.
        return self._answers.readline() if readable else None
