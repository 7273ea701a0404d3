"""Secrets of AWS Secrets Manager, kept in memory for five minutes."""

import logging
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from taskchat.errors import SecretUnavailableError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.parameters import SecretsProvider

LIFETIME_SECONDS = 300
"""Lifetime of a secret in memory. A rotated secret is used after that time, without a new deployment."""
RETRY_AFTER_SECONDS = 5
TIMEOUT_SECONDS = 2.0
"""Longest wait for a connection to Secrets Manager, and again for its answer."""
ATTEMPTS = 2
_logger = logging.getLogger(__name__)


def read_secret(name: str, variable: str) -> str:
    """Return a secret without the white space around it. `variable` is the setting that it is for.

    Raises:
        SecretUnavailableError: Secrets Manager does not return the secret.
    """
    # boto3 takes 0.2 s to import, which a function without secrets does not need. The same holds in `client`.
    from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError  # noqa: PLC0415 - see above
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see above

    try:
        secret = cast("str | bytes", client().get(name, max_age=LIFETIME_SECONDS))
    except (GetParameterError, BotoCoreError) as error:
        # The text is AWS's reason, such as AccessDeniedException. It holds no secret.
        _logger.warning("cannot read the secret for %s: %s", variable, error)
        detail = f"The secret for {variable} cannot be read."
        raise SecretUnavailableError(detail, retry_after_seconds=RETRY_AFTER_SECONDS) from error
    return (secret.decode() if isinstance(secret, bytes) else secret).strip()


@lru_cache(maxsize=1)
def client() -> "SecretsProvider":
    """Return the client of Secrets Manager, which caches secrets.

    Its requests are bounded. botocore's own limits, 60 s and five attempts, outlast an invocation.

    Raises:
        botocore.exceptions.BotoCoreError: no region is configured.
    """
    from aws_lambda_powertools.utilities.parameters import SecretsProvider  # noqa: PLC0415 - see `read_secret`
    from botocore.config import Config  # noqa: PLC0415 - see `read_secret`

    return SecretsProvider(
        boto_config=Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        )
    )


def import_sdk() -> None:
    """Import the AWS SDK before it is needed. Neither a secret nor a credential is requested."""
    import_module("aws_lambda_powertools.utilities.parameters")
