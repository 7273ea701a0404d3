"""Migrations, invoked by a pipeline: `{}` upgrades; the other actions stand in `events`."""

import traceback
from typing import Any
from urllib.parse import quote, quote_plus

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import URL

from functions.migrate.actions import run
from functions.migrate.errors import MigrateError, MigrationFailedError
from functions.migrate.events import read_request
from migrations.transaction import Limits
from taskchat.database import driver_url
from taskchat.settings import settings

SPARE_SECONDS = 3.0
"""Kept back from the time that Lambda leaves, to undo everything and say why."""

logger = Logger(use_rfc3339=True, utc=True)


def handler(event: object, context: LambdaContext | None) -> dict[str, Any]:
    """Do what the event asks for, and return what was done.

    Raises:
        MigrateError: nothing was done. Lambda reports a function error, so that a pipeline stops.
    """
    secrets: list[str] = []
    try:
        request = read_request(event)
        text = settings().resolve_migration_url()
        secrets.append(text)
        url = driver_url(text)
        secrets += _passwords(url)
        answer = run(request, url, _limits(context))
    except Exception as error:
        logger.error(  # noqa: TRY400 - the stack, too, is shown without secrets
            "the migration failed",
            error=_conceal(str(error), secrets),
            stack=_conceal("".join(traceback.format_exception(error)), secrets),
        )
        if isinstance(error, MigrateError):
            raise
        raise MigrationFailedError(_conceal(f"{type(error).__name__}: {error}", secrets)) from None
    told = {name: answer[name] for name in ("action", "to_revision", "applied", "warning") if name in answer}
    (logger.warning if "warning" in answer else logger.info)("the migration is done", **told)
    return answer


def _limits(context: LambdaContext | None) -> Limits:
    if context is None:
        return Limits()
    return Limits().within(context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS)


def _passwords(url: URL) -> list[str]:
    """Return each password of the URL in the forms in which it may be met."""
    given = [url.password, *url.normalized_query.get("password", ())]
    return [
        form for password in given if password for form in (password, quote(password, safe=""), quote_plus(password))
    ]


def _conceal(message: str, secrets: list[str]) -> str:
    for secret in secrets:
        message = message.replace(secret, "***")
    return message
