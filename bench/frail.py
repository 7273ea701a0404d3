"""Instances of the functions that may be killed or frozen, as Lambda does it, for `bench.chaos`."""

import multiprocessing
import os
import queue
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from local.lambda_events import LambdaContext
from local.toolchain import ROOT

MODULES = ("functions.chat.app", "functions.worker.app")
LOG = ROOT / ".local" / "chaos.log"
INVOCATION_SECONDS = 12.0
"""Time-out of an invocation. It covers two model calls and some retries of the database."""
PATIENCE_SECONDS = 20.0
"""As API Gateway, a client gives up later than Lambda. A busy machine needs the time, too."""
# A fork of a process that has imported the functions is an instance that starts without their imports.
CONTEXT = multiprocessing.get_context("forkserver")


class InstanceLostError(Exception):
    """Raised when no answer came: the instance was killed, or is frozen."""


class Instance:
    """A process that serves one invocation after the other."""

    def __init__(self) -> None:
        self._pipe, theirs = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def invoke(self, module: str, event: Mapping[str, Any], patience_seconds: float) -> Any:
        """Return what the handler returns.

        Raises:
            InstanceLostError: the process died, or it did not answer in time.
        """
        try:
            self._pipe.send((module, event))
            if self._pipe.poll(patience_seconds):
                return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise InstanceLostError from error
        raise InstanceLostError

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it lives."""
        if self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


class Fleet:
    """Instances, each of which serves one invocation at a time."""

    def __init__(self, size: int) -> None:
        # A SnapStart snapshot holds the AWS SDK, too.
        CONTEXT.set_forkserver_preload([*MODULES, "boto3"])
        self._idle: queue.Queue[Instance] = queue.Queue()
        self._busy: set[Instance] = set()
        for _ in range(size):
            self._idle.put(Instance())

    def invoke(self, module: str, event: Mapping[str, Any], patience_seconds: float = PATIENCE_SECONDS) -> Any:
        """Invoke a function in an idle instance; an instance that does not answer is replaced.

        A frozen instance is left alone: it goes on when it is thawed, and nobody listens any more.

        Raises:
            InstanceLostError: no answer came.
        """
        instance = self._idle.get()
        self._busy.add(instance)
        try:
            answer = instance.invoke(module, event, patience_seconds)
        except InstanceLostError:
            self._idle.put(Instance())
            raise
        finally:
            self._busy.discard(instance)
        self._idle.put(instance)
        return answer

    def busy(self) -> list[Instance]:
        """Return the instances that serve an invocation right now."""
        return list(self._busy)


def _serve(pipe: Connection) -> None:
    """Serve invocations until the harness is gone. Their output goes to `LOG`."""
    with LOG.open("a") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    while True:
        try:
            module, event = pipe.recv()
        except EOFError:
            return
        answer = _answer(module, event)
        with suppress(OSError):
            pipe.send(answer)


def _answer(module: str, event: dict[str, Any]) -> Any:
    """Return what a handler returns, or what Lambda answers in place of an exception."""
    end = time.monotonic() + INVOCATION_SECONDS
    context = LambdaContext(remaining_ms=lambda: int((end - time.monotonic()) * 1000))
    try:
        return import_module(module).handler(event, context)
    except Exception as error:  # noqa: BLE001 - the outermost layer of the process, as in Lambda's runtime
        return {"errorType": type(error).__name__, "errorMessage": str(error)}
