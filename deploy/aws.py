"""AWS clients of a stage, and the errors of AWS in an operator's words."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from deploy.console import DeployError

_CONFIG = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})
INVOKE_ONCE = Config(connect_timeout=10, read_timeout=320, retries={"mode": "standard", "max_attempts": 1})
"""For invocations of 300 s that must not be sent twice."""


@cache
def client(service: str, region: str, config: Config = _CONFIG) -> Any:
    """Return the client of a service."""
    # The stubs of boto3 know a client by the literal name of its service.
    return boto3.client(service, region_name=region, config=config)  # type: ignore[call-overload]


@cache
def account(region: str) -> str:
    """Return the id of the account that the credentials belong to.

    Raises:
        DeployError: nobody is signed in.
    """
    try:
        return str(client("sts", region).get_caller_identity()["Account"])
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DeployError("no AWS credentials", "sign in, or set AWS_PROFILE, and try again") from error


def code_of(error: ClientError) -> str:
    """Return the code by which AWS names an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def explained(doing: str, what_next: str) -> Iterator[None]:
    """Turn an error of AWS into a `DeployError`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise DeployError(f"{doing}: {error}", what_next) from error
