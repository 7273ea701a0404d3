"""A model that is loaded while something else goes on."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from taskchat.agent.model import ChatMessage, Completion, Model
from taskchat.errors import TurnInterruptedError


class LateModel:
    """A model that is loaded in a thread, from now on, and waited for when it is first asked.

    A turn's first transaction, which waits for the database, goes on meanwhile, and what is answered without a model
    waits for nothing.
    """

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        self._loaded = self._begin_to_load()

    def complete(
        self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], timeout_seconds: float
    ) -> Completion:
        """Ask, once the model is loaded; both within `timeout_seconds`. A load that failed is tried again first."""
        end = time.monotonic() + timeout_seconds
        if self._loaded.done() and self._loaded.exception() is not None:
            self._loaded = self._begin_to_load()
        try:
            model = self._loaded.result(timeout_seconds)
        except TimeoutError as error:
            raise TurnInterruptedError(
                "The model is still being loaded; send the request again.", retry_after_seconds=1
            ) from error
        return model.complete(messages, tools, end - time.monotonic())

    def close(self) -> None:
        """Close what the model keeps open, once it is loaded."""
        self._loaded.result().close()

    def _begin_to_load(self) -> Future[Model]:
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="load-model")
        loaded = worker.submit(self._load)
        worker.shutdown(wait=False)
        return loaded
