"""The end of a stage: nothing is deleted by accident, and nothing is left but what is told."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.deployed.conftest import STACK, Account

DOOMED = "staging"


@pytest.fixture
def doomed(released: Account, database: str) -> Iterator[Account]:
    """Return a second stage of the account after its first release."""
    stage = replace(released, stage=DOOMED, folder=released.folder / DOOMED, tokens={}, original={})
    stage.folder.mkdir()
    stored = stage.run("secrets", DATABASE_URL=database, DATABASE_URL_UNPOOLED=database, OPENAI_API_KEY="offline")
    assert stored.status == 0, stored.output
    stage.deploy()
    yield stage
    ended = stage.run("destroy", CONFIRM=stage.stack, UNPROTECT="yes")
    assert ended.status == 0, ended.output


def test_nothing_is_deleted_without_a_confirmation(released: Account) -> None:
    unasked = released.run("destroy")
    other = released.run("destroy", CONFIRM="taskchat-prod")

    assert (unasked.status, other.status) == (1, 1)
    assert f"CONFIRM={STACK}" in unasked.output
    assert released.call("GET", "/conversations").status == 401


def test_a_destroyed_stage_leaves_its_secrets_and_says_so(doomed: Account, released: Account) -> None:
    protected = doomed.run("destroy", CONFIRM=doomed.stack)
    destroyed = doomed.run("destroy", CONFIRM=doomed.stack, UNPROTECT="yes")
    again = doomed.run("destroy")

    assert protected.status == 1
    assert "protected, so nothing was deleted" in protected.output
    assert destroyed.status == 0, destroyed.output
    # There is nothing left to confirm.
    assert again.status == 0, again.output
    stacks = [stack["StackName"] for stack in doomed.client("cloudformation").describe_stacks()["Stacks"]]
    functions = [function["FunctionName"] for function in doomed.client("lambda").list_functions()["Functions"]]
    parameters = [parameter["Name"] for parameter in doomed.client("ssm").describe_parameters()["Parameters"]]
    logs = [group["logGroupName"] for group in doomed.client("logs").describe_log_groups()["logGroups"]]
    pools = [pool["Name"] for pool in doomed.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"]]
    secrets = [secret["Name"] for secret in doomed.client("secretsmanager").list_secrets()["SecretList"]]
    for names in (stacks, functions, parameters, logs, pools):
        assert names, "the other stage stays"
        assert not [name for name in names if DOOMED in name]
    left = [name for name in secrets if DOOMED in name]
    assert len(left) == 3
    for name in left:
        assert f"secret {name}: $0.40 a month" in destroyed.output
    assert "database at Neon" in destroyed.output
    buckets = [bucket["Name"] for bucket in doomed.client("s3").list_buckets()["Buckets"]]
    pages = [name for name in buckets if "page" in name.lower()]
    assert not [name for name in pages if DOOMED in name]
    assert set(buckets) - set(pages)
    assert all(f"bucket {name}" in destroyed.output for name in set(buckets) - set(pages))
    assert released.call("GET", "/conversations").status == 401
