"""Structured logs. No message of a person, no secret and no argument of a tool goes into them."""

import logging

from aws_lambda_powertools import Logger

logger = Logger(use_rfc3339=True, utc=True)

# Mangum reports an error that has been answered and logged already a second time, and each request once more.
logging.getLogger("mangum").setLevel(logging.CRITICAL)
