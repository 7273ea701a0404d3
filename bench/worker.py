"""Processes that do what lines of JSON say: each subject, the model and the proxy run in one of their own."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.toolchain import ROOT

Command = Callable[..., Any]


class WorkerError(Exception):
    """Raised when a worker could not do what it was told, with the last lines of its log."""


class Worker:
    """A running process."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process_id = process.pid
        self._process = process
        self._log = log

    def ask(self, command: str, *, within_seconds: float = 600, **arguments: Any) -> Any:
        """Have a command done and return its answer.

        Raises:
            WorkerError: it failed, took too long, or the process is gone.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], within_seconds)[0]:
            raise WorkerError(f"no answer within {within_seconds:.0f} s")
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])
            raise WorkerError(f"{answer['error']}\n{tail}")
        return answer["result"]


@contextmanager
def worker(
    module: str, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> Iterator[Worker]:
    """Run `python -m module` until the end of the block."""
    with tempfile.NamedTemporaryFile(prefix="taskchat-bench-", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield Worker(process, Path(log.name))
        finally:
            process.kill()
            process.communicate()


def serve(make_commands: Callable[[], Mapping[str, Command]]) -> None:
    """Do what standard input asks for until it ends; what libraries print, from now on, goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    commands = make_commands()
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            answer = {"result": commands[command](**arguments)}
        # The one outermost layer of the process: whatever it is, the other side is told, and decides.
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}"[:2_000]}
        answers.write(json.dumps(answer) + "\n")
