"""Work in other threads that a test watches: it goes on when more is done, and not after a pause."""

import threading

LONGEST_WAIT_SECONDS = 60.0


class Progress:
    """Counts what threads have done."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def add(self) -> None:
        """Count one."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait_for_more(self, number: int) -> None:
        """Wait until `number` more are counted from now on.

        Raises:
            TimeoutError: they took too long.
        """
        with self._changed:
            target = self._count + number
            if not self._changed.wait_for(lambda: self._count >= target, LONGEST_WAIT_SECONDS):
                raise TimeoutError(f"no {number} more within {LONGEST_WAIT_SECONDS:.0f} s")
