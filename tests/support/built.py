"""The build of both stacks, made once for all workers of a test run."""

import fcntl
import os
import sys
from pathlib import Path

import pytest

from deploy.build import build

PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The version to build for: this interpreter's own, so that no other need be here."""


def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the folders `build` and `migrate`, from nothing; the first worker that asks makes it.

    Do not change it. A test that has to changes a copy.
    """
    own = tmp_path_factory.getbasetemp()
    # A worker has a folder below that of the run.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder = shared / "built"
    with (shared / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = shared / "building"
            with pytest.MonkeyPatch.context() as patch:
                for name in [name for name in os.environ if name.startswith("AWS_")]:
                    patch.delenv(name)
                patch.setenv("LAMBDA_PYTHON", PYTHON_VERSION)
                build(making, "x86_64")
            making.rename(folder)
    return folder
