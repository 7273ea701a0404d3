"""`make run` as a person starts it: a process of its own, in a copy of the files that it needs."""

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
PARTS = ("local", "functions", "migrations", "web", "template.yaml")
ODD_NAME = "odd %41 #1 ?x=1 $HOME `id` 'q' \"d\" & ; {a} [b] \\ ü:é"
"""A folder name of characters that mean something to a URL, a shell, make, PYTHONPATH or a format string."""
LONGEST_START_SECONDS = 90
OURS = ("OPENAI_", "DATABASE_", "POWERTOOLS_", "PORT")


@dataclass(frozen=True)
class Running:
    """A started Taskchat; `welcome` is its output until it was ready, and `folder` its working directory."""

    process: subprocess.Popen[str]
    welcome: str
    folder: Path

    @property
    def url(self) -> str:
        """Return the address at which it answers."""
        return self.welcome.split()[3]

    @property
    def port(self) -> int:
        """Return its port."""
        return int(self.url.rpartition(":")[2])

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal as a terminal does and wait for the end; return the exit status and all error output."""
        os.killpg(self.process.pid, number)
        _, complaints = self.process.communicate(timeout=20)
        return self.process.returncode, complaints


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like a fresh clone, with a name that is easily misread."""
    folder = tmp_path_factory.mktemp("clone") / ODD_NAME
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without variables of Taskchat, and with `variables`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**inherited, "PORT": "0", **variables}


def run(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m local` with settings that it refuses, until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "local"],
        cwd=clone,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=LONGEST_START_SECONDS,
        check=False,
    )


def instances(process_id: int) -> list[int]:
    """Return the ids of the processes that run functions for `process_id`: its children."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # It is not a process, or it has just ended.
        if int(status.rpartition(")")[2].split()[1]) == process_id:
            found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def start(clone: Path) -> Iterator[Start]:
    """Return a function that starts Taskchat and waits until it is ready; processes left over are killed."""
    with ExitStack() as stack:

        def start_one(command: tuple[str, ...] = (), **variables: str) -> Running:
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, sys.executable, "-m", "local"],
                    cwd=clone,
                    env=environment(**variables),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            )
            stack.callback(process.kill)
            return Running(process, _read_welcome(process), clone)

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
