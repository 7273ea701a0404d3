"""Delete a stage, and say what is left of it."""

import os
import sys

from deploy import stacks
from deploy.artifacts import bucket_name
from deploy.aws import account, client
from deploy.console import DeployError, note, step
from deploy.page import empty
from deploy.stage import Stage

SECRET_DOLLARS_A_MONTH = 0.40


def destroy(stage: Stage) -> None:
    """Delete both stacks and the record of releases, after a confirmation.

    CONFIRM holds the confirmation where there is no terminal. The protection of staging and prod is taken off with
    UNPROTECT=yes.

    Raises:
        DeployError: it was not confirmed, or a stack could not be deleted.
    """
    step(f"{stage.stack} in account {account(stage.region)}, {stage.region}")
    there = [stack for stack in (stage.stack, stage.migrate_stack) if stacks.status(stage, stack) is not None]
    if there:
        note(f"deletes {' and '.join(there)}: functions, API, logs, alarms, and the people of its Cognito pool")
        _confirm(stage)
    for stack in there:
        step(f"deleting {stack}")
        if stack == stage.stack:
            empty(stage)
        _unprotect(stage, stack)
        stacks.delete(stage, stack)
    _delete_parameters(stage)
    step("what is left")
    _tell_what_is_left(stage)


def _confirm(stage: Stage) -> None:
    given = os.environ.get("CONFIRM")
    if given is None and sys.stdin.isatty():
        given = input(f"  Type {stage.stack} to delete it: ")
    if given != stage.stack:
        raise DeployError("not confirmed, so nothing was deleted", f"make destroy ... CONFIRM={stage.stack}")
    if stage.is_protected and os.environ.get("UNPROTECT") != "yes":
        raise DeployError(f"{stage.stack} is protected, so nothing was deleted", "add UNPROTECT=yes if you mean it")


def _unprotect(stage: Stage, stack: str) -> None:
    client("cloudformation", stage.region).update_termination_protection(
        StackName=stack, EnableTerminationProtection=False
    )
    pools = [
        physical_id for kind, physical_id in stacks.resources(stage, stack).values() if kind == "AWS::Cognito::UserPool"
    ]
    for pool in pools:
        cognito = client("cognito-idp", stage.region)
        if cognito.describe_user_pool(UserPoolId=pool)["UserPool"].get("DeletionProtection") == "ACTIVE":
            cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE", AutoVerifiedAttributes=["email"])


def _delete_parameters(stage: Stage) -> None:
    """Delete the record of releases, and the passwords that were made here."""
    ssm = client("ssm", stage.region)
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=f"/{stage.prefix.rstrip('/')}", Recursive=True)
    for page in pages:
        for parameter in page["Parameters"]:
            ssm.delete_parameter(Name=parameter["Name"])


def forget_secrets(stage: Stage) -> None:
    """Delete the secrets of a stage at once, beyond recovery."""
    for name in _secrets(stage):
        client("secretsmanager", stage.region).delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        note(f"deleted the secret {name}")


def _secrets(stage: Stage) -> list[str]:
    pages = (
        client("secretsmanager", stage.region)
        .get_paginator("list_secrets")
        .paginate(Filters=[{"Key": "name", "Values": [stage.prefix]}])
    )
    return [secret["Name"] for page in pages for secret in page["SecretList"]]


def _tell_what_is_left(stage: Stage) -> None:
    for name in _secrets(stage):
        note(f"secret {name}: ${SECRET_DOLLARS_A_MONTH:.2f} a month")
    note("database at Neon, with everything in it: as your plan says; delete its branch or project there")
    note(f"bucket {bucket_name(stage)}, shared by all stages of this account: some cents a month")
