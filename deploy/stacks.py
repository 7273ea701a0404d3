"""CloudFormation stacks: deployed through the SAM CLI, read and deleted through boto3."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from botocore.exceptions import ClientError, WaiterError

from deploy.aws import client, explained
from deploy.console import DeployError, note
from deploy.stage import Stage
from local.gateway.template_yaml import load

NEVER_MADE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}
"""States of a stack whose first deployment failed. It holds nothing, and CloudFormation refuses to update it."""
BUSY = "_IN_PROGRESS"


def deploy(stage: Stage, stack: str, template: Path) -> None:
    """Create or update a stack from a built template, and wait for it.

    Raises:
        DeployError: CloudFormation refused, or rolled back.
    """
    state = status(stage, stack)
    if state in NEVER_MADE:
        note(f"{stack} is {state}: its first deployment failed. Deleting what is left of it.")
        delete(stage, stack)
    elif state is not None and state.endswith(BUSY):
        raise DeployError(f"{stack} is {state}", "another deployment is running: wait for it and try again")
    declared = load(template.read_text(encoding="utf-8")).get("Parameters", {})
    parameters = {name: value for name, value in stage.parameters.items() if name in declared}
    command = [
        *(sys.executable, "-m", "samcli", "deploy"),
        *("--template-file", str(template), "--stack-name", stack, "--region", stage.region),
        *("--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *_pairs(parameters)),
        *("--tags", *_pairs(stage.tags)),
    ]
    # In the build folder there is no samconfig.toml, whose parameters would be merged with these.
    process = subprocess.Popen(
        command,
        cwd=template.parent,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if process.stdout is not None:
        for line in process.stdout:
            if line.strip():
                note(f"| {line.rstrip()}")
    if process.wait() != 0:
        raise DeployError(
            f"the stack {stack} was not deployed; CloudFormation went back to what it was",
            "the reason stands above, at the first CREATE_FAILED or UPDATE_FAILED; correct it and deploy again",
        )
    if stage.is_protected:
        with explained("cannot protect the stack", "allow cloudformation:UpdateTerminationProtection"):
            client("cloudformation", stage.region).update_termination_protection(
                StackName=stack, EnableTerminationProtection=True
            )


def status(stage: Stage, stack: str) -> str | None:
    """Return the status of a stack, None where there is none."""
    try:
        stacks = client("cloudformation", stage.region).describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return str(stacks[0]["StackStatus"])


def outputs(stage: Stage, stack: str) -> Mapping[str, str]:
    """Return the outputs of a stack.

    Raises:
        DeployError: there is no such stack.
    """
    if status(stage, stack) is None:
        raise DeployError(f"there is no stack {stack} in {stage.region}", f"make deploy STAGE={stage.name}")
    described = client("cloudformation", stage.region).describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def resources(stage: Stage, stack: str) -> Mapping[str, tuple[str, str]]:
    """Return type and physical id of each resource of a stack, by logical id."""
    pages = client("cloudformation", stage.region).get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        resource["LogicalResourceId"]: (resource["ResourceType"], resource.get("PhysicalResourceId", ""))
        for page in pages
        for resource in page["StackResourceSummaries"]
    }


def delete(stage: Stage, stack: str) -> None:
    """Delete a stack and wait until it is gone.

    Raises:
        DeployError: something in it could not be deleted.
    """
    cloudformation = client("cloudformation", stage.region)
    next_step = f"read the events of {stack} in CloudFormation's console, delete what is in the way, and try again"
    with explained(f"cannot delete {stack}", next_step):
        cloudformation.delete_stack(StackName=stack)
        try:
            cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=stack, WaiterConfig={"Delay": _poll_seconds(), "MaxAttempts": 360}
            )
        except WaiterError as error:
            raise DeployError(f"{stack} was not deleted: {error}", next_step) from error


def _poll_seconds() -> float:
    """Return the time between two looks at a stack; the SAM CLI's own variable serves both."""
    return float(os.environ.get("SAM_CLI_POLL_DELAY", "5"))


def _pairs(values: Mapping[str, str]) -> list[str]:
    # The form that the SAM CLI reads with blanks and commas in it.
    return ['{}="{}"'.format(name, value.replace('"', '\\"')) for name, value in values.items()]
