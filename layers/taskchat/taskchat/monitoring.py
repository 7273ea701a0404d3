"""Log lines and metrics about failed requests, for the people who operate Taskchat."""

import traceback
from contextlib import suppress

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from sqlalchemy.exc import DBAPIError

from taskchat.errors import InternalError, TaskchatError
from taskchat.logs import logger

METRICS_NAMESPACE = "Taskchat"
PROBLEMS_METRIC = "Problems"
"""Counts problems, with the dimensions `service` and `code`; alarms in `template.yaml` watch it."""

_OUR_PACKAGES = ("taskchat", "functions", "migrations")
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"


def note_problem(error: TaskchatError) -> None:
    """Log and count a problem that an operator may have to act on: every 5xx, and 429."""
    if error.status >= 500 or error.status == 429:
        logger.warning("request failed", code=error.code, reason=str(error), cause=type(error.__cause__).__name__)
        _count(error)


def note_defect(error: Exception) -> InternalError:
    """Log a defect with its stack trace, count it, and return the error that callers are told instead.

    Exceptions of the language and of libraries quote values, such as a person's text. So only their types are logged
    above debug.
    """
    logger.error("defect", exception=stack_trace(error), exception_name=type(error).__name__)
    logger.debug("the defect's text", exc_info=error)
    bare = InternalError("The request failed because of an error in the service. The error was logged.")
    _count(bare)
    return bare


def stack_trace(error: BaseException) -> str:
    """Return the stack of an exception and of its causes, with the text of those exceptions that quote no value."""
    parts = []
    if error.__cause__ is not None:
        parts.append(stack_trace(error.__cause__) + _CAUSED)
    elif error.__context__ is not None and not error.__suppress_context__:
        parts.append(stack_trace(error.__context__) + _DURING)
    parts += ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    kind = type(error)
    parts.append(f"{kind.__qualname__}: {error}\n" if _quotes_nothing(error) else f"{kind.__qualname__}\n")
    return "".join(parts)


def _quotes_nothing(error: BaseException) -> bool:
    # `taskchat.database` removes values from the errors of PostgreSQL, and SQLite's have none.
    package = type(error).__module__.partition(".")[0]
    return package in _OUR_PACKAGES or isinstance(error, DBAPIError | OSError)


def _count(error: TaskchatError) -> None:
    # A metric is a line of standard output. A full disk or a closed pipe must not cost the caller the answer.
    with suppress(OSError), single_metric(PROBLEMS_METRIC, MetricUnit.Count, 1, namespace=METRICS_NAMESPACE) as metric:
        metric.add_dimension("service", logger.service)
        metric.add_dimension("code", error.code)
