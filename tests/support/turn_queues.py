"""A queue of turns in memory, and the worker and the sweep that a test lets run."""

import uuid
from collections import deque
from contextlib import suppress

from taskchat.chat import Chat
from taskchat.database import Database
from taskchat.errors import TaskchatError
from tests.support.kill_switch import KillSwitch
from tests.support.leases import let_every_wait_run_out

MOST_ROUNDS = 20


class MemoryQueue:
    """Keeps messages until they are deleted. Sending and deleting are points of `switch`, if there is one."""

    def __init__(self, switch: KillSwitch | None = None) -> None:
        self.messages: deque[uuid.UUID] = deque()
        self.delays: list[float] = []
        self.switch = switch

    def send(self, turn_id: uuid.UUID, delay_seconds: float = 0.0) -> None:
        self._pass_by()
        self.messages.append(turn_id)
        self.delays.append(delay_seconds)
        self._pass_by()

    def delete_first(self) -> None:
        """Delete a message, as the worker does after it has worked on it."""
        self._pass_by()
        self.messages.popleft()
        self._pass_by()

    def _pass_by(self) -> None:
        if self.switch is not None:
            self.switch.pass_by_outside_of_the_database()


def plenty() -> float:
    return 25.0


def work(chat: Chat, queue: MemoryQueue) -> None:
    """Play the worker until the queue is empty."""
    while queue.messages:
        with suppress(TaskchatError):
            chat.resume(queue.messages[0], plenty)
        queue.delete_first()


def work_and_sweep(database: Database, chat: Chat, queue: MemoryQueue) -> None:
    """Play worker and schedule until the sweep finds nothing more."""
    for _ in range(MOST_ROUNDS):
        work(chat, queue)
        let_every_wait_run_out(database)
        if chat.sweep(plenty) == 0:
            return
    raise AssertionError("a turn does not come to its end")
