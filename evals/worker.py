"""A process that runs cases, one at a time, over a database of its own."""

import os
from pathlib import Path
from typing import Any

from evals.case import Outcome
from evals.cases import BY_NAME
from local.environment import sqlite_url
from local.lambda_events import LambdaContext


def start(folder: str) -> None:
    """Give this process a migrated SQLite database in a folder."""
    os.environ["DATABASE_URL"] = sqlite_url(Path(folder) / f"{os.getpid()}.sqlite3")
    os.environ.update(POWERTOOLS_LOG_LEVEL="CRITICAL", POWERTOOLS_METRICS_DISABLED="true")
    from functions.migrate import app as migrate  # noqa: PLC0415 - it reads the environment when it is imported

    context: Any = LambdaContext(function_name="migrate")
    migrate.handler({}, context)


def run(name: str) -> Outcome:
    """Run the case of that name."""
    from evals.runner import run_case  # noqa: PLC0415 - its functions read the environment when they are imported

    return run_case(BY_NAME[name])
