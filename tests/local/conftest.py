"""`make run` as a person starts it: a process of its own, in a copy of what it needs."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("local", "functions", "migrations", "template.yaml")
LONGEST_START_SECONDS = 90
OURS = ("OPENAI_", "DATABASE_", "POWERTOOLS_", "PORT")


@dataclass(frozen=True)
class Running:
    """A started Taskchat; `welcome` is what it said until it was ready."""

    process: subprocess.Popen[str]
    welcome: str

    @property
    def url(self) -> str:
        """Return where it answers."""
        return self.welcome.split()[3]

    @property
    def port(self) -> int:
        """Return its port."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Signal it as a terminal does, wait for it and all that it started; return its status and its complaints.

        Everything it started holds the other end of its standard error, which therefore ends with the last of them.
        """
        os.killpg(self.process.pid, number)
        _, complaints = self.process.communicate(timeout=20)
        return self.process.returncode, complaints


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like a fresh clone, whose state is its own."""
    folder = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with none of Taskchat's variables but those given."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**inherited, "PORT": "0", **variables}


def run(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m local` where it cannot start, until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=clone,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=LONGEST_START_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def start(clone: Path) -> Iterator[Start]:
    """Return what starts Taskchat and waits until it is ready; whatever still runs is killed in the end."""
    with ExitStack() as stack:

        def start_one(**variables: str) -> Running:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "local"],
                    cwd=clone,
                    env=environment(**variables),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(process.kill)
            return Running(process, _read_welcome(process))

        yield start_one


def _read_welcome(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    watchdog = threading.Timer(LONGEST_START_SECONDS, process.kill)
    watchdog.start()
    said = ""
    try:
        for line in process.stdout:
            said += line
            if "curl" in said and not line.rstrip().endswith("\\"):
                return said
    finally:
        watchdog.cancel()
        watchdog.join()
    raise AssertionError(f"it ended before it was ready: {said}{process.stderr.read() if process.stderr else ''}")
