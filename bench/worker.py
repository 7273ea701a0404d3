"""Worker processes that take commands as lines of JSON; each subject and the model run in one of their own."""

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
    """Raised when a command failed; the message ends with the last lines of the worker's log."""


class Worker:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def ask(self, command: str, *, within_seconds: float = 600, **arguments: Any) -> Any:
        """Run a command in the worker and return its result.

        Raises:
            WorkerError: the command failed or took too long, or the process ended.
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
    module: str, environment: Mapping[str, str] | None = None, arguments: Sequence[str] = (), root: Path = ROOT
) -> Iterator[Worker]:
    """Run `python -m module` in a checkout until the end of the block."""
    with tempfile.NamedTemporaryFile(prefix="taskchat-bench-", suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=root,
            # The environment has the working tree's package installed; that of the checkout goes first.
            env={**os.environ, **(environment or {}), "PYTHONPATH": str(root / "layers" / "taskchat")},
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
    """Serve commands from standard input until it ends; anything else that is printed goes to the log."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    commands = make_commands()
    for line in sys.stdin:
        command, arguments = json.loads(line)
        try:
            answer = {"result": commands[command](**arguments)}
        except Exception as error:  # noqa: BLE001 - the outermost layer of the process: the caller gets the error
            answer = {"error": f"{type(error).__name__}: {error}"[:2_000]}
        answers.write(json.dumps(answer) + "\n")
