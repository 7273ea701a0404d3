"""People of the stage's own Cognito pool: invite one, and get a token to try the API with.

A password that is made here is kept in Systems Manager as a SecureString, where the functions cannot read it.
"""

import getpass
import os
import secrets
import sys
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from deploy import stacks
from deploy.aws import client, code_of
from deploy.console import DeployError, note, step
from deploy.stage import Stage

INVITED = "FORCE_CHANGE_PASSWORD"
"""State of a person who has not chosen a password yet."""


@dataclass(frozen=True)
class _Pool:
    id: str
    client_id: str


def invite(stage: Stage, email: str, *, is_test: bool) -> None:
    """Invite a person by e-mail, or make the test person, as whom the smoke test signs in.

    Raises:
        DeployError: the stage has no pool of its own.
    """
    pool = _pool(stage)
    known = _find(stage, pool, email)
    if known is not None:
        step(f"{email} is there already ({known['UserStatus']})")
    else:
        step(f"{'making the test person' if is_test else 'inviting'} {email}")
        delivery = {"MessageAction": "SUPPRESS"} if is_test else {"DesiredDeliveryMediums": ["EMAIL"]}
        client("cognito-idp", stage.region).admin_create_user(
            UserPoolId=pool.id,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            **delivery,
        )
    if is_test:
        client("ssm", stage.region).put_parameter(
            Name=_test_person_parameter(stage), Value=email, Type="String", Overwrite=True
        )
        note("the smoke test now tries a turn as this person")
    else:
        note("Cognito sends a password by e-mail, to be changed at the first sign-in")
    note(f"sign in at {stacks.outputs(stage, stage.stack)['SignInUrl']}")


def token(stage: Stage, email: str) -> str:
    """Return an access token of a person.

    A person who was invited and has not signed in yet gets a password that is kept for the next time. They choose their
    own by "Forgot your password?". For anyone else the password is asked for, or taken from the variable PASSWORD.

    Raises:
        DeployError: there is no such person, or no password, or a wrong one.
    """
    pool = _pool(stage)
    known = _find(stage, pool, email)
    if known is None:
        raise DeployError(f"{email} is not in the pool", f"make user STAGE={stage.name} EMAIL={email}")
    parameter = f"/{stage.prefix}passwords/{known['Username']}"
    password = os.environ.get("PASSWORD")
    if not password and known["UserStatus"] == INVITED:
        password = _make_password(stage, pool, email, parameter)
    password = password or _read(stage, parameter)
    if not password and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {email}: ")
    if not password:
        raise DeployError(f"{email} chose a password, and it is not known here", "give it as PASSWORD=...")
    return _sign_in(stage, pool, email, password)


def test_person(stage: Stage) -> str | None:
    """Return the e-mail address of the test person, or None where there is none."""
    return _read(stage, _test_person_parameter(stage))


def _test_person_parameter(stage: Stage) -> str:
    return f"/{stage.prefix}test-person"


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


def _make_password(stage: Stage, pool: _Pool, email: str, parameter: str) -> str:
    # One of each kind of character at the end, for pools that ask for it.
    password = secrets.token_urlsafe(24) + "aA1-"
    client("cognito-idp", stage.region).admin_set_user_password(
        UserPoolId=pool.id, Username=email, Password=password, Permanent=True
    )
    client("ssm", stage.region).put_parameter(Name=parameter, Value=password, Type="SecureString", Overwrite=True)
    return password


def _read(stage: Stage, parameter: str) -> str | None:
    try:
        answer = client("ssm", stage.region).get_parameter(Name=parameter, WithDecryption=True)
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            return None
        raise
    return str(answer["Parameter"]["Value"])


def _sign_in(stage: Stage, pool: _Pool, email: str, password: str) -> str:
    try:
        answer = client("cognito-idp", stage.region).admin_initiate_auth(
            UserPoolId=pool.id,
            ClientId=pool.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )
    except ClientError as error:
        if code_of(error) in {"NotAuthorizedException", "PasswordResetRequiredException"}:
            raise DeployError(f"{email} cannot sign in: {error}", "give the right password as PASSWORD=...") from error
        raise
    if "AuthenticationResult" not in answer:
        raise DeployError(f"{email} has to answer {answer.get('ChallengeName')}", "sign in once in a browser")
    return str(answer["AuthenticationResult"]["AccessToken"])
