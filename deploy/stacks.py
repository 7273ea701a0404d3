"""CloudFormation stacks: deployed by change sets, read and deleted."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, WaiterError

from deploy import artifacts
from deploy.aws import client, explained
from deploy.console import DeployError, note
from deploy.stage import Stage
from local.gateway.template_yaml import load

NEVER_MADE = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"}
"""States of a stack whose first deployment failed. Such a stack is empty, and CloudFormation refuses to update it."""
GOOD = {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
BUSY = "_IN_PROGRESS"
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
"""Texts by which CloudFormation reports a change set without changes."""
DELETE_SECONDS = 1800
QUIET_SECONDS = 30.0
"""Time after which a wait says what it is waiting for."""


def deploy(stage: Stage, stack: str, template: Path, *, capability: str = "CAPABILITY_IAM") -> None:
    """Create or update a stack from a built template, and wait for it.

    A parameter that the stage does not name has its default, whatever it had before.

    Raises:
        DeployError: CloudFormation refused, or rolled back.
    """
    state = status(stage, stack)
    if state in NEVER_MADE:
        note(f"{stack} is {state}: its first deployment failed. Deleting what is left of it.")
        delete(stage, stack)
        state = None
    elif state is not None and state.endswith(BUSY):
        raise DeployError(f"{stack} is {state}", "another deployment is running: wait for it and try again")
    declared = load(template.read_text(encoding="utf-8")).get("Parameters", {})
    request = {
        "StackName": stack,
        "ChangeSetName": f"release-{time.time_ns()}",
        "ChangeSetType": "CREATE" if state is None else "UPDATE",
        "TemplateURL": artifacts.upload(stage, template),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in stage.parameters.items()
            if name in declared
        ],
        "Capabilities": [capability],
        "Tags": [{"Key": name, "Value": value} for name, value in stage.tags.items()],
    }
    next_step = "correct the template or samconfig.toml and deploy again"
    with explained(f"CloudFormation refuses the change of {stack}", next_step):
        _change(stage, stack, request)
        if stage.is_protected:
            client("cloudformation", stage.region).update_termination_protection(
                StackName=stack, EnableTerminationProtection=True
            )


def _change(stage: Stage, stack: str, request: Mapping[str, Any]) -> None:
    cloudformation = client("cloudformation", stage.region)
    change_set = cloudformation.create_change_set(**request)["Id"]
    described = cloudformation.describe_change_set(ChangeSetName=change_set)
    while described["Status"] in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
        time.sleep(poll_seconds())
        described = cloudformation.describe_change_set(ChangeSetName=change_set)
    if described["Status"] != "CREATE_COMPLETE":
        reason = described.get("StatusReason", "")
        cloudformation.delete_change_set(ChangeSetName=change_set)
        if any(part in reason for part in NO_CHANGES):
            note("nothing to change")
            return
        raise DeployError(
            f"CloudFormation refuses the change of {stack}: {reason}",
            "correct the template or samconfig.toml and deploy again",
        )
    actions = [
        change["ResourceChange"]["Action"]
        for page in cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=change_set)
        for change in page["Changes"]
    ]
    counted = (f"{actions.count(action)} to {action.lower()}" for action in ("Add", "Modify", "Remove"))
    note(", ".join(counted))
    before = {event["EventId"] for event in _events(stage, stack)}
    cloudformation.execute_change_set(ChangeSetName=change_set)
    state = _wait(stage, stack)
    if state not in GOOD:
        failures = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for event in reversed(_events(stage, stack))
            if event["EventId"] not in before and event["ResourceStatus"].endswith("_FAILED")
        ]
        raise DeployError(
            f"{stack} is {state}: CloudFormation went back. " + "; ".join(failures),
            "the first reason is the cause and the others follow from it; correct it and deploy again",
        )


def _wait(stage: Stage, stack: str) -> str:
    """Wait until nothing is in progress, and return the status."""
    started = told = time.monotonic()
    while True:
        time.sleep(poll_seconds())
        state = status(stage, stack)
        if state is None or not state.endswith(BUSY):
            return str(state)
        if time.monotonic() - told > QUIET_SECONDS:
            told = time.monotonic()
            last = _events(stage, stack)[0]
            note(
                f"{told - started:.0f} s: {state}, {last['LogicalResourceId']} {last['ResourceStatus']}"
                f" {last.get('ResourceStatusReason', '')}".rstrip()
            )


def _events(stage: Stage, stack: str) -> list[dict[str, Any]]:
    """Return the newest events of a stack, the newest first."""
    found: list[dict[str, Any]] = client("cloudformation", stage.region).describe_stack_events(StackName=stack)[
        "StackEvents"
    ]
    return found


def poll_seconds() -> float:
    """Return the time between two looks at what AWS is doing."""
    return float(os.environ.get("POLL_SECONDS", "5"))


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
                StackName=stack,
                WaiterConfig={"Delay": poll_seconds(), "MaxAttempts": int(DELETE_SECONDS / poll_seconds())},
            )
        except WaiterError as error:
            raise DeployError(f"{stack} was not deleted: {error}", next_step) from error
