"""People of the stage's own Cognito pool: invite one, and get a token to try the API with."""

import getpass
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deploy import stacks
from deploy.aws import client, code_of
from deploy.console import DeployError, note, step
from deploy.stage import Stage
from local.toolchain import TOOLS

TEST_PERSON = "test-person"
"""The last part of the name of the secret with the test person's password."""


@dataclass(frozen=True)
class Person:
    """A person of the pool, whose password is known."""

    email: str
    password: str


@dataclass(frozen=True)
class _Pool:
    id: str
    client_id: str


def invite(stage: Stage, email: str, *, is_test: bool) -> None:
    """Invite a person by e-mail, or make the test person, as whom the smoke test signs in."""
    pool = _pool(stage)
    cognito = client("cognito-idp", stage.region)
    known = _find(stage, pool, email)
    if is_test:
        step(f"making the test person {email}")
        if known is None:
            cognito.admin_create_user(
                UserPoolId=pool.id, Username=email, UserAttributes=_attributes(email), MessageAction="SUPPRESS"
            )
        person = Person(email, _new_password())
        cognito.admin_set_user_password(UserPoolId=pool.id, Username=email, Password=person.password, Permanent=True)
        _store_test_person(stage, person)
        note(f"password stored in the secret {stage.prefix}{TEST_PERSON}; the smoke test now tries a turn")
    elif known is not None:
        step(f"{email} is there already ({known['UserStatus']})")
    else:
        step(f"inviting {email}")
        cognito.admin_create_user(
            UserPoolId=pool.id,
            Username=email,
            UserAttributes=_attributes(email),
            DesiredDeliveryMediums=["EMAIL"],
        )
        note("Cognito sends a password that has to be changed at the first sign-in")
    note(f"sign in at {stacks.outputs(stage, stage.stack)['SignInUrl']}")


def token(stage: Stage, email: str) -> str:
    """Return an access token of a person.

    Someone who was only invited gets a password that this machine keeps under .local; they choose their own by
    "Forgot your password?". For anyone else the password is asked for, or taken from PASSWORD.

    Raises:
        DeployError: there is no such person, or no password.
    """
    pool = _pool(stage)
    known = _find(stage, pool, email)
    if known is None:
        raise DeployError(f"{email} is not in the pool", f"make user STAGE={stage.name} EMAIL={email}")
    password = os.environ.get("PASSWORD") or _kept_password(stage, email)
    if password is None and known["UserStatus"] == "FORCE_CHANGE_PASSWORD":
        password = _new_password()
        client("cognito-idp", stage.region).admin_set_user_password(
            UserPoolId=pool.id, Username=email, Password=password, Permanent=True
        )
        _keep_password(stage, email, password)
    if password is None and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {email}: ")
    if password is None:
        raise DeployError(f"{email} chose a password, and it is not known here", "give it as PASSWORD=...")
    return token_of(stage, Person(email, password))


def token_of(stage: Stage, person: Person) -> str:
    """Return an access token of a person whose password is known.

    Raises:
        DeployError: the password is not the right one.
    """
    pool = _pool(stage)
    try:
        answer = client("cognito-idp", stage.region).admin_initiate_auth(
            UserPoolId=pool.id,
            ClientId=pool.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": person.email, "PASSWORD": person.password},
        )
    except ClientError as error:
        if code_of(error) in {"NotAuthorizedException", "PasswordResetRequiredException"}:
            next_step = "give the right password as PASSWORD=..."
            raise DeployError(f"{person.email} cannot sign in: {error}", next_step) from error
        raise
    if "AuthenticationResult" not in answer:
        raise DeployError(f"{person.email} has to {answer.get('ChallengeName')} first", "sign in once in a browser")
    return str(answer["AuthenticationResult"]["AccessToken"])


def test_person(stage: Stage) -> Person | None:
    """Return the test person, or None where there is none."""
    try:
        text = client("secretsmanager", stage.region).get_secret_value(SecretId=stage.prefix + TEST_PERSON)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise
    return Person(**json.loads(text["SecretString"]))


def _pool(stage: Stage) -> _Pool:
    outputs = stacks.outputs(stage, stage.stack)
    if "UserPoolId" not in outputs:
        raise DeployError(
            f"{stage.stack} takes tokens of {outputs['Issuer']} and has no people of its own",
            "invite people and get tokens there",
        )
    return _Pool(outputs["UserPoolId"], outputs["PageClientId"])


def _find(stage: Stage, pool: _Pool, email: str) -> Any:
    try:
        return client("cognito-idp", stage.region).admin_get_user(UserPoolId=pool.id, Username=email)
    except ClientError as error:
        if code_of(error) == "UserNotFoundException":
            return None
        raise


def _attributes(email: str) -> list[dict[str, str]]:
    return [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}]


def _new_password() -> str:
    # One of each kind, for pools that ask for them.
    return secrets.token_urlsafe(24) + "aA1-"


def _store_test_person(stage: Stage, person: Person) -> None:
    manager = client("secretsmanager", stage.region)
    name, value = stage.prefix + TEST_PERSON, json.dumps({"email": person.email, "password": person.password})
    try:
        manager.put_secret_value(SecretId=name, SecretString=value)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        manager.create_secret(Name=name, SecretString=value, Description="The person as whom the smoke test signs in")


def _passwords_file(stage: Stage) -> Path:
    return TOOLS / f"passwords-{stage.stack}.json"


def _kept_password(stage: Stage, email: str) -> str | None:
    file = _passwords_file(stage)
    kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return kept.get(email)


def _keep_password(stage: Stage, email: str, password: str) -> None:
    file = _passwords_file(stage)
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.touch(mode=0o600)
    file.write_text(json.dumps(kept | {email: password}), encoding="utf-8")
