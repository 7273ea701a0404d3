"""Hooks of Lambda SnapStart, registered with the runtime's `snapshot_restore_py`.

A published version is initialised once. Lambda keeps its memory, and many instances start from that snapshot. The hooks
before a snapshot load everything that all instances share, and drop connections. The hooks after a restore set random
number generators apart and open a connection.

Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import importlib
import importlib.util
import logging
import os
import random
import ssl
import time
from collections.abc import Callable

from taskchat import secrets_manager
from taskchat.database import database
from taskchat.settings import settings

RUNTIME_MODULE = "snapshot_restore_py"
RESTORE_SECONDS = 8.0
"""Time for the hooks after a restore. Lambda allows 10 s, loading the runtime included, and ends a late instance."""
CONNECT_SECONDS = 5.0
SEED_BYTES = 32
_logger = logging.getLogger(__name__)


def around_snapshot(*prepare: Callable[[], object]) -> None:
    """Register the hooks, if this runtime has them.

    `prepare` runs before a snapshot. It loads everything that the first request would otherwise wait for.
    """
    if importlib.util.find_spec(RUNTIME_MODULE) is None:
        return
    runtime = importlib.import_module(RUNTIME_MODULE)
    # The runtime calls the hooks before a snapshot in reverse order, so connections are dropped last.
    runtime.register_before_snapshot(_disconnect)
    for step in (_import_aws_sdk, *prepare):
        runtime.register_before_snapshot(step)
    runtime.register_after_restore(_seed_anew)
    runtime.register_after_restore(_connect)


def _import_aws_sdk() -> None:
    if settings().names_a_secret:
        secrets_manager.import_sdk()


def _disconnect() -> None:
    database().dispose()


def _seed_anew() -> None:
    """Seed the generators whose state the snapshot holds; `uuid` and `secrets` ask the kernel each time."""
    random.seed()
    # OpenSSL's generator is in the snapshot since certificates were loaded.
    ssl.RAND_add(os.urandom(SEED_BYTES), SEED_BYTES)


def _connect() -> None:
    """Read the database's secret and open a connection, if both succeed in time.

    The first request tries again, so no error may leave this hook: Lambda would end the instance.
    """
    end = time.monotonic() + RESTORE_SECONDS
    try:
        # Secrets Manager is asked here, apart from the connection, because its wait has a limit of its own.
        settings().resolve_database_url()
        database().connect(min(CONNECT_SECONDS, end - time.monotonic()))
    except Exception as error:  # noqa: BLE001 - the outermost layer of a restore
        _logger.warning("no connection after the restore; the first request tries again: %s", type(error).__name__)
