"""Tell an operator what happens, step by step, and what to do when it stops."""

import sys
from collections.abc import Callable

_STEP = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}"


class DeployError(Exception):
    """Raised when a verb cannot go on. `what_next` tells the operator what to do."""

    def __init__(self, message: str, what_next: str) -> None:
        super().__init__(message)
        self.what_next = what_next


def step(text: str) -> None:
    """Print the beginning of a step."""
    print(f"{_STEP} {text}", flush=True)


def note(text: str) -> None:
    """Print a line that belongs to the current step."""
    for line in text.splitlines():
        print(f"  {line}", flush=True)


def run(verb: Callable[[], None]) -> int:
    """Run a verb; return the exit status of the process, and print a failure in red where there is a terminal."""
    try:
        verb()
    except DeployError as error:
        red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
        print(f"{red}FAILED: {error}{plain}\nNext: {error.what_next}", file=sys.stderr)
        return 1
    return 0
