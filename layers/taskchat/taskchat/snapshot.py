"""What a function does around a snapshot of Lambda SnapStart: the hooks of the runtime's `snapshot_restore_py`.

A published version is initialised once; its memory is kept, and many instances go on from there. So before the snapshot
everything is made ready that is the same for all of them, and nothing is kept that is not: no connection, no secret,
no state of a random number generator.
"""

import importlib
import importlib.util
import logging
import os
import random
import ssl
from collections.abc import Callable

from taskchat.database import database
from taskchat.errors import DatabaseUnavailableError
from taskchat.settings import settings

RUNTIME_MODULE = "snapshot_restore_py"
CONNECT_SECONDS = 5.0
"""What a connection may take after a restore: Lambda gives all hooks together 10 s, and then fails the request."""
SEED_BYTES = 32
_logger = logging.getLogger(__name__)


def around_snapshot(*prepare: Callable[[], object]) -> None:
    """Have a function made ready before a snapshot and connected after each restore; without SnapStart, neither.

    `prepare` loads and keeps what is the same for all instances, and what the first request would otherwise wait for.
    """
    if importlib.util.find_spec(RUNTIME_MODULE) is None:
        return
    runtime = importlib.import_module(RUNTIME_MODULE)
    # Lambda runs those of before a snapshot in reverse order.
    runtime.register_before_snapshot(_disconnect)
    for step in (_load_what_reads_secrets, *prepare):
        runtime.register_before_snapshot(step)
    runtime.register_after_restore(_seed_anew)
    runtime.register_after_restore(_connect)


def _load_what_reads_secrets() -> None:
    settings().load_what_reads_secrets()


def _disconnect() -> None:
    database().dispose()


def _seed_anew() -> None:
    """Set generators apart whose state is the same in every instance; `uuid` and `secrets` ask the kernel each time."""
    random.seed()
    # That of TLS: a snapshot holds it as it was when the certificates were loaded.
    ssl.RAND_add(os.urandom(SEED_BYTES), SEED_BYTES)


def _connect() -> None:
    try:
        database().connect(CONNECT_SECONDS)
    except DatabaseUnavailableError:
        _logger.warning("no connection after the restore; the first request tries again")
