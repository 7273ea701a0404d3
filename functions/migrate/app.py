"""Migrations, invoked by a pipeline. The event `{}` upgrades; `events` has the other actions."""

import traceback
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import URL

from functions.migrate.actions import run
from functions.migrate.errors import MigrateError, MigrationFailedError
from functions.migrate.events import read_request
from migrations.transaction import Limits
from taskchat.database import conceal_passwords, driver_url
from taskchat.settings import settings

SPARE_SECONDS = 3.0
"""Time before the end of the invocation that is kept for rolling back and reporting why."""

_HINTS = {
    "25006": "The database, or the role's default_transaction_read_only, refuses changes.",
    "3F000": "The role's search_path names no schema that exists. Create one, or set the search_path.",
    "42501": "Grant the role CREATE on the schema that comes first in its search_path, or migrate as the owner.",
    "55P03": "Another transaction holds the lock. Nothing was changed, so the migration can be repeated.",
    "57014": "Nothing was changed, so the migration can be repeated with more time.",
}
"""Advice by SQLSTATE (PostgreSQL, appendix A)."""

logger = Logger(use_rfc3339=True, utc=True)


def handler(event: object, context: LambdaContext | None) -> dict[str, Any]:
    """Carry out the event's action and return its answer.

    Raises:
        MigrateError: nothing was changed. Lambda reports a function error, so that a pipeline stops.
    """
    url: URL | None = None
    try:
        request = read_request(event)
        url = driver_url(settings().resolve_migration_url())
        answer = run(request, url, _limits(context))
    except Exception as error:
        logger.error(  # noqa: TRY400 - the stack has to be redacted, too
            "the migration failed",
            error=_redacted(str(error), url),
            stack=_redacted("".join(traceback.format_exception(error)), url),
        )
        if isinstance(error, MigrateError):
            raise
        raise MigrationFailedError(_redacted(f"{type(error).__name__}: {error}{_hint(error)}", url)) from None
    told = {name: answer[name] for name in ("action", "to_revision", "applied", "warning") if name in answer}
    (logger.warning if "warning" in answer else logger.info)("the migration is done", **told)
    return answer


def _limits(context: LambdaContext | None) -> Limits:
    if context is None:
        return Limits()
    return Limits().within(context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS)


def _redacted(text: str, url: URL | None) -> str:
    return text if url is None else conceal_passwords(text, url)


def _hint(error: Exception) -> str:
    """Return advice for a failure that a person can act on, an empty text for others."""
    state = getattr(getattr(error, "orig", None), "pgcode", None)
    return f". {_HINTS[state]}" if state in _HINTS else ""
