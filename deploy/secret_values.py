"""Store the three secrets of a stage."""

import getpass
import os
import sys

from botocore.exceptions import ClientError

from deploy.aws import account, client, code_of
from deploy.console import DeployError, note, step
from deploy.stage import SECRETS, Stage

_QUESTIONS = {
    "database-url": ("DATABASE_URL", "Neon's pooled connection string (postgresql://...-pooler...)"),
    "database-url-unpooled": ("DATABASE_URL_UNPOOLED", "Neon's direct connection string (without -pooler)"),
    "openai-api-key": ("OPENAI_API_KEY", "key of the model's provider"),
}


def store(stage: Stage) -> None:
    """Ask for each secret and store it; an empty answer leaves a secret as it is.

    Where there is no terminal, the values are the environment variables DATABASE_URL, DATABASE_URL_UNPOOLED and
    OPENAI_API_KEY.

    Raises:
        DeployError: there is no terminal, and no such variable.
    """
    step(f"secrets of {stage.name} in account {account(stage.region)}, {stage.region}")
    for usual_name in SECRETS:
        variable, question = _QUESTIONS[usual_name]
        value = os.environ.get(variable, "").strip()
        if not value and sys.stdin.isatty():
            value = getpass.getpass(f"  {question}, not shown, empty to leave it as it is: ").strip()
        name = stage.secret(usual_name)
        if value:
            note(f"{name}: {_put(stage, name, value)}")
        else:
            note(f"{name}: left as it is")
    if not sys.stdin.isatty() and not any(os.environ.get(variable) for variable, _ in _QUESTIONS.values()):
        raise DeployError("no value was given", "run it in a terminal, or set DATABASE_URL, ...")


def _put(stage: Stage, name: str, value: str) -> str:
    manager = client("secretsmanager", stage.region)
    try:
        manager.put_secret_value(SecretId=name, SecretString=value)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        manager.create_secret(Name=name, SecretString=value, Tags=[{"Key": "stage", "Value": stage.name}])
        return "made"
    return "changed; functions take it up within five minutes"
