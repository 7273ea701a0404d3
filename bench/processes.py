"""Processes as the kernel sees them: their peak memory, and a share of a processor to run on."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1024 * 1024
FULL_PROCESSOR_MB = 1769
"""The memory size at which a function has one whole vCPU (AWS Lambda Developer Guide, "Configure memory")."""
_PERIOD_MICROSECONDS = 10_000
"""Short, so that a throttled process waits often for a little and not now and then for long."""
_LONGEST_END_SECONDS = 10.0
_VERSION_1 = Path("/sys/fs/cgroup/cpu")
_VERSION_2 = Path("/sys/fs/cgroup")


class NoQuotaError(Exception):
    """Raised where this account may not limit a process's share of the processors."""


def peak_memory_mb(process_id: int, word: str) -> float:
    """Return the peak resident memory of the child, at any depth, whose command line has `word` in it."""
    for child in _descendants(process_id):
        if word.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
            status = Path(f"/proc/{child}/status").read_text()
            return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    raise LookupError(f"no process runs {word}")


@contextmanager
def processor_share(share: float) -> Iterator["Share"]:
    """Make a control group whose processes together get this share of one processor.

    Raises:
        NoQuotaError: this account may not.
    """
    version_1 = (_VERSION_1 / "cpu.cfs_quota_us").exists()
    folder = (_VERSION_1 if version_1 else _VERSION_2) / f"taskchat-bench-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
        quota = max(1_000, int(share * _PERIOD_MICROSECONDS))
        if version_1:
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
    except OSError as error:
        raise NoQuotaError("no right to make a control group with a CPU quota here") from error
    group = Share(folder)
    try:
        yield group
    finally:
        group.release()
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a control group, which stays busy until the last process that was killed in it is gone."""
    end = time.monotonic() + _LONGEST_END_SECONDS
    while True:
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


class Share:
    """A control group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, process_id: int) -> None:
        """Put a process, and whatever it will start, into the group."""
        (self._folder / "cgroup.procs").write_text(str(process_id))

    def release(self) -> None:
        """Put whoever is left back to where the others are."""
        for process_id in (self._folder / "cgroup.procs").read_text().split():
            try:
                (self._folder.parent / "cgroup.procs").write_text(process_id)
            except ProcessLookupError:
                continue


def _descendants(process_id: int) -> Iterator[int]:
    for thread in os.listdir(f"/proc/{process_id}/task"):  # noqa: PTH208 - a path only to the kernel
        for child in Path(f"/proc/{process_id}/task/{thread}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))
