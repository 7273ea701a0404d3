"""Deploy the role that GitHub assumes to deploy a stage."""

from deploy import stacks
from deploy.aws import account, client
from deploy.console import DeployError, note, step
from deploy.stage import PREVIEW, Stage
from local.toolchain import ROOT

TEMPLATE = ROOT / "deploy" / "role.yaml"
PROVIDER = "token.actions.githubusercontent.com"


def deploy(stage: Stage, repository: str) -> None:
    """Create or update the role of a stage; all previews share one. An administrator's credentials are needed.

    Raises:
        DeployError: no repository was named, or CloudFormation refused.
    """
    if "/" not in repository:
        raise DeployError("which repository?", f"make role STAGE={stage.name} REPOSITORY=OWNER/NAME")
    environment = PREVIEW if stage.is_preview else stage.name
    stack = f"taskchat-deploy-{environment}"
    step(f"{stack} in account {account(stage.region)}, {stage.region}")
    parameters = {
        "Repository": repository,
        "Environment": environment,
        "Names": "pr-" if stage.is_preview else stage.name,
        "MakesProvider": str(_makes_provider(stage, stack)).lower(),
    }
    named = Stage(stage.name, stack, stage.region, parameters, stage.tags)
    stacks.deploy(named, stack, TEMPLATE, capability="CAPABILITY_NAMED_IAM")
    note(f"AWS_ROLE_ARN of the GitHub environment {environment}: {stacks.outputs(named, stack)['RoleArn']}")


def _makes_provider(stage: Stage, stack: str) -> bool:
    """Return whether the stack has to hold GitHub's provider: none is there, or the stack made it."""
    providers = client("iam", stage.region).list_open_id_connect_providers()["OpenIDConnectProviderList"]
    if not any(provider["Arn"].endswith(f"/{PROVIDER}") for provider in providers):
        return True
    return stacks.status(stage, stack) is not None and "Provider" in stacks.resources(stage, stack)
