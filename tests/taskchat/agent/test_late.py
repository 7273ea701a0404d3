"""A model that is loaded while something else goes on."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from taskchat.agent import ChatMessage, Completion, LateModel
from taskchat.errors import TurnInterruptedError

HELLO = Completion("Hello.", [], "known", 1, 1)


class KnownModel:
    """Answers hello, and keeps what it was asked with."""

    def __init__(self) -> None:
        self.timeouts_seconds: list[float] = []
        self.closed = False

    def complete(
        self, _messages: Sequence[ChatMessage], _tools: Sequence[dict[str, Any]], timeout_seconds: float
    ) -> Completion:
        """Answer."""
        self.timeouts_seconds.append(timeout_seconds)
        return HELLO

    def close(self) -> None:
        """Close nothing."""
        self.closed = True


def test_it_is_loaded_at_once_and_not_in_the_thread_that_made_it() -> None:
    loaded = threading.Event()
    threads: list[int] = []

    def load() -> KnownModel:
        threads.append(threading.get_ident())
        loaded.set()
        return KnownModel()

    LateModel(load)
    assert loaded.wait(10)
    assert threads != [threading.get_ident()]


def test_who_asks_waits_until_it_is_loaded_and_has_the_rest_of_the_time() -> None:
    known, may_load = KnownModel(), threading.Event()

    def load() -> KnownModel:
        may_load.wait(10)
        return known

    late = LateModel(load)
    threading.Timer(0.05, may_load.set).start()
    assert late.complete([], [], 20.0) is HELLO
    assert known.timeouts_seconds[0] < 19.96


def test_who_asks_waits_no_longer_than_the_answer_may_take() -> None:
    may_load = threading.Event()

    def load() -> KnownModel:
        may_load.wait(10)
        return KnownModel()

    late = LateModel(load)
    with pytest.raises(TurnInterruptedError):
        late.complete([], [], 0.01)
    may_load.set()
    assert late.complete([], [], 20.0) is HELLO


def test_to_close_it_waits_for_it_and_closes_it() -> None:
    known = KnownModel()
    LateModel(lambda: known).close()
    assert known.closed


def test_what_fails_while_it_is_loaded_is_raised_where_it_is_asked() -> None:
    def load() -> KnownModel:
        raise ImportError

    with pytest.raises(ImportError):
        LateModel(load).complete([], [], 20.0)


def test_a_load_that_failed_is_tried_again_by_who_asks_next() -> None:
    faults = [ImportError()]

    def load() -> KnownModel:
        if faults:
            raise faults.pop()
        return KnownModel()

    late = LateModel(load)
    with pytest.raises(ImportError):
        late.close()
    assert late.complete([], [], 20.0) is HELLO
