"""Structured logs. They hold no text of a person, no argument of a tool and no secret."""

import logging

from aws_lambda_powertools import Logger

logger = Logger(use_rfc3339=True, utc=True)

# Mangum logs each request, and errors that are answered and logged already.
logging.getLogger("mangum").setLevel(logging.CRITICAL)
