"""Log lines and metrics about failed requests, for the people who operate Taskchat."""

from contextlib import suppress

from aws_lambda_powertools.metrics import MetricUnit, single_metric

from taskchat.errors import InternalError, TaskchatError
from taskchat.logs import logger

METRICS_NAMESPACE = "Taskchat"
PROBLEMS_METRIC = "Problems"
"""Counts problems, with the dimensions `service` and `code`; alarms in `template.yaml` watch it."""


def note_problem(error: TaskchatError) -> None:
    """Log and count a problem that an operator may have to act on: every 5xx, and 429."""
    if error.status >= 500 or error.status == 429:
        logger.warning("request failed", code=error.code, reason=str(error), cause=type(error.__cause__).__name__)
        _count(error)


def note_defect(error: Exception) -> InternalError:
    """Log a defect with its stack trace, count it, and return the error that callers are told instead."""
    logger.error("defect", exc_info=error)
    bare = InternalError("The request failed because of an error in the service. The error was logged.")
    _count(bare)
    return bare


def _count(error: TaskchatError) -> None:
    # A metric is a line of standard output. A full disk or a closed pipe must not cost the caller the answer.
    with suppress(OSError), single_metric(PROBLEMS_METRIC, MetricUnit.Count, 1, namespace=METRICS_NAMESPACE) as metric:
        metric.add_dimension("service", logger.service)
        metric.add_dimension("code", error.code)
