"""The instances of one function: one is kept, and more start while several invocations run at once."""

import threading
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.runtime.instance import Function, FunctionError, Instance, StoppedError

MOST_INSTANCES = 8
"""Most invocations of one function at once; more wait until one of them ends."""
PATIENCE_SECONDS = 0.25
"""Longest wait for a busy instance before another is started, which takes longer than this."""

_FAREWELL_SECONDS = 2.0


class Fleet:
    """Serves invocations of one function from any thread."""

    def __init__(self, function: Function, log_file: Path, *, most_instances: int = MOST_INSTANCES) -> None:
        self.function = function
        self._most_instances = most_instances
        self.log_file = log_file
        self._idle: list[Instance] = []
        self._all: set[Instance] = set()
        self._stopped = False
        self._changed = threading.Condition()

    def warm_up(self) -> None:
        """Start the first instance without waiting for it.

        Raises:
            OSError: its process cannot be started.
        """
        with self._changed:
            self._idle.append(self._start())

    def wait_until_ready(self) -> None:
        """Wait for the first instance.

        Raises:
            FunctionError: the function cannot be imported.
        """
        for instance in tuple(self._idle):
            instance.wait_until_ready()

    def invoke(self, event: Any) -> "Future[Any]":
        """Invoke the function in a thread of its own; the future holds its result or a `FunctionError`.

        An invocation can be cancelled while it waits for an instance.
        """
        future: Future[Any] = Future()
        threading.Thread(target=self._serve, args=(event, future), name=self.function.name, daemon=True).start()
        return future

    def stop(self) -> None:
        """End every instance, idle or busy."""
        with self._changed:
            self._stopped = True
            idle, busy = set(self._idle), self._all - set(self._idle)
            self._idle.clear()
            self._changed.notify_all()
        for instance in busy:
            instance.stop()
        for instance in idle:
            self._dismiss(instance)
        with self._changed:
            self._changed.wait_for(lambda: not self._all, timeout=_FAREWELL_SECONDS)

    def __enter__(self) -> Self:
        self.warm_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _serve(self, event: Any, future: "Future[Any]") -> None:
        instance = None
        try:
            instance = self._take()
            if not future.set_running_or_notify_cancel():
                return
            if instance is None:
                raise StoppedError("stopped")
            future.set_result(instance.invoke(event))
        except FunctionError as error:
            future.set_exception(StoppedError("stopped") if self._stopped else error)
        except OSError as error:
            future.set_exception(FunctionError(f"an instance cannot be started: {error}"))
        finally:
            if instance is not None:
                self._give_back(instance)

    def _take(self) -> Instance | None:
        """Wait for an instance that is free; return None after the stop."""
        with self._changed:
            patience = PATIENCE_SECONDS if self._all else 0
            self._changed.wait_for(lambda: self._idle or self._stopped, timeout=patience)
            self._changed.wait_for(lambda: self._idle or self._stopped or len(self._all) < self._most_instances)
            if self._stopped:
                return None
            while self._idle:
                instance = self._idle.pop()
                if instance.alive:
                    return instance
                self._dismiss(instance)
            return self._start()

    def _start(self) -> Instance:
        instance = Instance(self.function, self.log_file)
        self._all.add(instance)
        return instance

    def _give_back(self, instance: Instance) -> None:
        with self._changed:
            if instance.alive and not self._stopped:
                self._idle.append(instance)
                self._changed.notify()
                return
        self._dismiss(instance)

    def _dismiss(self, instance: Instance) -> None:
        instance.close()
        with self._changed:
            self._all.discard(instance)
            self._changed.notify_all()
