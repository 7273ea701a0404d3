"""Releases: which versions of the functions serve, which served before, and how to move between them.

The record is one parameter in Systems Manager, a list of the last releases that passed the smoke test, oldest first.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from deploy import stacks
from deploy.aws import client, code_of
from deploy.console import DeployError, note
from deploy.stage import Stage

ALIAS = "live"
READY_SECONDS = 300
KEPT = 3
"""Releases to keep: each version with SnapStart costs about $4 a month per GB as long as it exists."""


@dataclass(frozen=True)
class Release:
    """A release that served: its name, the commit, when, and the version of each function by the function's name."""

    name: str
    commit: str
    at: str
    versions: Mapping[str, str]


def functions(stage: Stage) -> Mapping[str, str]:
    """Return the name of each function with an alias `live`, and the version that the stack published for it.

    Raises:
        DeployError: the stack has none.
    """
    found: dict[str, str] = {}
    for kind, physical_id in stacks.resources(stage, stage.stack).values():
        if kind == "AWS::Lambda::Version":
            # arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION
            name, version = physical_id.split(":")[6:8]
            # While the stack is updated the old version is listed, too.
            found[name] = max(version, found.get(name, "0"), key=int)
    if not found:
        raise DeployError(f"the stack {stage.stack} has no functions", f"make deploy STAGE={stage.name}")
    return found


def live(stage: Stage, names: Sequence[str]) -> Mapping[str, str]:
    """Return the version of each function that `live` points to."""
    aws = client("lambda", stage.region)
    return {name: aws.get_alias(FunctionName=name, Name=ALIAS)["FunctionVersion"] for name in names}


def wait_until_ready(stage: Stage, versions: Mapping[str, str]) -> None:
    """Wait until each version can be invoked, and wake those that Lambda put aside.

    Lambda deletes the snapshot of a version that was not invoked for 14 days, and makes it anew at the next invocation.

    Raises:
        DeployError: a version cannot start; the reason is Lambda's.
    """
    aws = client("lambda", stage.region)
    for name, version in versions.items():
        started = time.monotonic()
        while True:
            described = aws.get_function_configuration(FunctionName=name, Qualifier=version)
            state = described.get("State", "Active")
            if state == "Active":
                break
            if state == "Inactive":
                aws.invoke(FunctionName=name, Qualifier=version, InvocationType="Event", Payload="{}")
            elif state == "Failed" or time.monotonic() - started > READY_SECONDS:
                raise DeployError(
                    f"version {version} of {name} is {state}: {described.get('StateReason', 'no reason given')}",
                    "if it serves, make rollback; its log has the error of the start",
                )
            time.sleep(min(1.0, stacks.poll_seconds()))


def move(stage: Stage, versions: Mapping[str, str]) -> None:
    """Point `live` of all functions to these versions, or leave all where they are.

    Raises:
        DeployError: an alias could not be moved. The others were moved back.
    """
    before = live(stage, list(versions))
    moved: list[str] = []
    try:
        for name, version in versions.items():
            if before[name] != version:
                _point(stage, name, version)
                moved.append(name)
                note(f"{name}: version {before[name]} -> {version}")
    except ClientError as error:
        for name in moved:
            _point(stage, name, before[name])
        raise DeployError(
            f"an alias cannot be moved, so all were left where they were: {error}",
            "look whether the version still exists and whether your role may call lambda:UpdateAlias",
        ) from error


def recorded(stage: Stage) -> list[Release]:
    """Return the releases that served, oldest first."""
    try:
        value = client("ssm", stage.region).get_parameter(Name=stage.releases_parameter)["Parameter"]["Value"]
    except ClientError as error:
        if code_of(error) == "ParameterNotFound":
            return []
        raise
    return [Release(**each) for each in json.loads(value)]


def record(stage: Stage, releases: Sequence[Release]) -> None:
    """Store the last releases."""
    client("ssm", stage.region).put_parameter(
        Name=stage.releases_parameter,
        Description=f"Releases of {stage.stack}, oldest first",
        Value=json.dumps([asdict(release) for release in releases[-KEPT:]]),
        Type="String",
        Overwrite=True,
    )


def with_new(releases: Sequence[Release], previous: Mapping[str, str], new: Release) -> list[Release]:
    """Return the record after a deployment. `previous` are the versions that served until then.

    Releases that were left by a rollback are dropped, so that the next rollback does not return to one of them.
    """
    kept = [release for release in releases if release.versions != new.versions]
    for index, release in enumerate(kept):
        if release.versions == previous:
            kept = kept[: index + 1]
            break
    return [*kept, new]


def before(releases: Sequence[Release], serving: Mapping[str, str]) -> Release | None:
    """Return the release to go back to: the one recorded before the one that serves, or None.

    A release that serves without being recorded did not pass its smoke test. The last recorded one is before it.
    """
    for index, release in enumerate(releases):
        if release.versions == serving:
            return releases[index - 1] if index else None
    return releases[-1] if releases else None


def prune(stage: Stage, releases: Sequence[Release]) -> int:
    """Delete the versions that no recorded release, no alias and no stack needs; return how many."""
    aws = client("lambda", stage.region)
    deleted = 0
    published = functions(stage)
    serving = live(stage, list(published))
    for name, current in published.items():
        needed = {current, serving[name], "$LATEST"} | {release.versions.get(name, "") for release in releases[-KEPT:]}
        pages = aws.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        versions: list[dict[str, Any]] = [version for page in pages for version in page["Versions"]]
        for version in versions:
            if version["Version"] not in needed:
                aws.delete_function(FunctionName=name, Qualifier=version["Version"])
                deleted += 1
    return deleted


def _point(stage: Stage, name: str, version: str) -> None:
    client("lambda", stage.region).update_alias(
        FunctionName=name, Name=ALIAS, FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": {}}
    )
