"""The end of a stage: nothing is deleted by accident, and nothing is left but what is told."""

from tests.deployed.conftest import STACK, Account


def test_nothing_is_deleted_without_a_confirmation(released: Account) -> None:
    unasked = released.run("destroy")
    other = released.run("destroy", CONFIRM="taskchat-prod")

    assert (unasked.status, other.status) == (1, 1)
    assert f"CONFIRM={STACK}" in unasked.output
    assert released.call("GET", "/conversations").status == 401


def test_a_destroyed_stage_leaves_its_secrets_and_says_so(released: Account) -> None:
    destroyed = released.run("destroy", CONFIRM=STACK)

    assert destroyed.status == 0, destroyed.output
    stacks = released.client("cloudformation").describe_stacks()["Stacks"]
    functions = released.client("lambda").list_functions()["Functions"]
    parameters = released.client("ssm").describe_parameters()["Parameters"]
    logs = released.client("logs").describe_log_groups(logGroupNamePrefix="/taskchat")["logGroups"]
    pools = released.client("cognito-idp").list_user_pools(MaxResults=10)["UserPools"]
    assert (stacks, functions, parameters, logs, pools) == ([], [], [], [], [])
    secrets = [secret["Name"] for secret in released.client("secretsmanager").list_secrets()["SecretList"]]
    assert secrets
    for name in secrets:
        assert f"secret {name}: $0.40 a month" in destroyed.output
    assert "database at Neon" in destroyed.output
    buckets = [bucket["Name"] for bucket in released.client("s3").list_buckets()["Buckets"]]
    assert all(f"bucket {name}" in destroyed.output for name in buckets)


def test_a_second_destruction_finds_nothing(released: Account) -> None:
    assert released.run("destroy").status == 0
