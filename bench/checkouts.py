"""Commits of this project to measure: the working tree and, with `--beside`, another commit."""

import io
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.toolchain import ROOT


class UnknownRevisionError(Exception):
    """Raised when git does not know a revision; the message is git's."""


@dataclass(frozen=True)
class Checkout:
    """A source tree of this project, and its name in the tables."""

    name: str
    root: Path


HERE = Checkout("Taskchat", ROOT)


@contextmanager
def checkout(revision: str) -> Iterator[Checkout]:
    """Unpack a commit into a temporary folder, with the benchmark of the working tree in place of its own.

    Both commits run with the packages of the working tree's lock. `sam build` uses the lock of each commit.

    Raises:
        UnknownRevisionError: git does not know the revision.
    """
    commit = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}").decode().strip()
    with tempfile.TemporaryDirectory(prefix="taskchat-bench-") as folder:
        root = Path(folder)
        with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as archive:
            archive.extractall(root, filter="data")
        shutil.rmtree(root / "bench", ignore_errors=True)
        shutil.copytree(ROOT / "bench", root / "bench")
        # Modules of `local` that the benchmark needs inside the checkout; older commits have them elsewhere.
        for name in ("lambda_events.py", "loopback.py", "postgres.py"):
            shutil.copy(ROOT / "local" / name, root / "local" / name)
        # Downloaded tools are shared.
        (root / ".local").symlink_to(ROOT / ".local")
        yield Checkout(f"Taskchat at {commit}", root)


def current_commit() -> str:
    """Return the commit of the working tree, with `-dirty` if there are changes outside the results and docs."""
    commit = _git("rev-parse", "--short", "HEAD").decode().strip()
    changed = _git("status", "--porcelain", "--", "layers", "functions", "migrations", "bench/*.py", "bench/subjects")
    return f"{commit}-dirty" if changed else commit


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)  # noqa: S607 - the git of the developer's PATH
    if done.returncode:
        raise UnknownRevisionError(done.stderr.decode().strip())
    return done.stdout
