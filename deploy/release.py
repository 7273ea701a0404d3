"""The steps of a release, in order. A failed step ends the release and leaves the earlier steps as they are."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import ClientError

from deploy import build, migration, page, releases, stacks
from deploy.aws import account, client, code_of
from deploy.console import DeployError, note, step
from deploy.smoke import endpoint_of, smoke
from deploy.stage import PROD, SECRETS, Stage
from deploy.stamp import TEMPLATE
from local.toolchain import ROOT


def release(stage: Stage, folder: Path, *, is_built: bool) -> None:
    """Release what is checked out, or what is built in `folder`, to a stage.

    Raises:
        DeployError: a step failed.
    """
    step(f"{stage.stack} in account {account(stage.region)}, {stage.region}")
    _check(stage)
    if is_built:
        step(f"taking the build in {folder}")
    else:
        step("building")
        build.build(folder, stage.parameters.get("Architecture", "x86_64"))
    name = build.stamp_for(folder, stage)
    note(f"release {name}")

    step(f"deploying the migrations, {stage.migrate_stack}")
    stacks.deploy(stage, stage.migrate_stack, folder / build.MIGRATE / TEMPLATE)
    step("migrating the database")
    migration.migrate(stage)

    is_first = stacks.status(stage, stage.stack) in {None, *stacks.NEVER_MADE}
    served = {} if is_first else releases.live(stage, list(releases.functions(stage)))
    step(f"deploying the API, {stage.stack}")
    template = folder / build.API / TEMPLATE
    stacks.deploy(page.with_own_url(_at_once_after_rollback(stage, served)), stage.stack, template)
    if is_first:
        step("telling the user pool where the page is")
        stacks.deploy(page.with_own_url(stage), stage.stack, template)
    versions = releases.functions(stage)
    releases.wait_until_ready(stage, versions)
    # CloudFormation does not notice that a rollback moved the aliases.
    releases.move(stage, versions)

    step("uploading the page")
    page.publish(stage)

    step("smoke test")
    smoke(stage)

    step("recording the release")
    known = releases.recorded(stage)
    if not known or known[-1].name != name or known[-1].versions != versions:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        known = releases.with_new(known, served, releases.Release(name, _commit(), now, versions))
        releases.record(stage, known)
    deleted = releases.prune(stage, known)
    note(f"{len(known[-releases.KEPT :])} kept, {deleted} old versions deleted")
    step(f"release {name} serves at {endpoint_of(stage)}")
    note(f"the page: {stacks.outputs(stage, stage.stack)['PageUrl']}")


def rollback(stage: Stage) -> None:
    """Point all functions back to the release before, together.

    Raises:
        DeployError: there is none, or an alias could not be moved.
    """
    step(f"{stage.stack} in account {account(stage.region)}, {stage.region}")
    serving = releases.live(stage, list(releases.functions(stage)))
    known = releases.recorded(stage)
    target = releases.before(known, serving)
    if target is None:
        raise DeployError("no release is recorded before the one that serves", "deploy the commit that you want back")
    step(f"going back to release {target.name} of {target.at}, commit {target.commit}")
    releases.wait_until_ready(stage, target.versions)
    releases.move(stage, target.versions)
    step("smoke test")
    smoke(stage)
    step(f"release {target.name} serves; the database stays as it is, and the next make deploy goes forward again")


def _check(stage: Stage) -> None:
    """Refuse a release that would fail later: a secret is missing, or prod has no address for alarms."""
    if stage.name == PROD and not stage.parameters.get("AlarmEmail"):
        raise DeployError("prod has no address for alarms", 'put "AlarmEmail=..." into samconfig.toml')
    missing = []
    for usual_name in SECRETS:
        name = stage.secret(usual_name)
        if not name.startswith(stage.prefix):
            raise DeployError(
                f"the functions of {stage.name} cannot read the secret {name}",
                f"give it a name that begins with {stage.prefix}",
            )
        try:
            client("secretsmanager", stage.region).describe_secret(SecretId=name)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            missing.append(name)
    if missing:
        raise DeployError(f"there is no secret {', '.join(missing)}", f"make secrets STAGE={stage.name}")


def _at_once_after_rollback(stage: Stage, served: Mapping[str, str]) -> Stage:
    """Return the stage, without steps in its traffic if a rollback moved the aliases.

    CodeDeploy would begin at the version that CloudFormation published last, which is the one that was left.
    """
    if served and stage.parameters.get("ShiftsTraffic") == "true" and served != releases.functions(stage):
        note("the last thing here was a rollback, so all traffic moves at once")
        return Stage(stage.name, stage.stack, stage.region, {**stage.parameters, "ShiftsTraffic": "false"}, stage.tags)
    return stage


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - the git of the developer's PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"
