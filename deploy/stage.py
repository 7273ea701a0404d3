"""A stage: where it is deployed, and with which parameters, as samconfig.toml says."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.console import DeployError
from local.toolchain import ROOT

CONFIG = ROOT / "samconfig.toml"
PROD = "prod"
PREVIEW = "preview"
_ENVIRONMENTS = {"dev": "default", "staging": "staging", PROD: PROD}
"""The section of samconfig.toml for each stage. A preview takes `preview`."""
_PREVIEW_NAME = re.compile(r"pr-[0-9]+")
SECRETS = {
    "database-url": "DatabaseUrlSecret",
    "database-url-unpooled": "DatabaseUrlUnpooledSecret",
    "openai-api-key": "OpenAiApiKeySecret",
}
"""The last part of each secret's usual name, and the parameter that names another."""


@dataclass(frozen=True)
class Stage:
    """One deployment of Taskchat in an account and a region."""

    name: str
    stack: str
    region: str
    parameters: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def migrate_stack(self) -> str:
        """Return the name of the stack that holds the migrate function, and of the function."""
        return f"{self.stack}-migrate"

    @property
    def is_protected(self) -> bool:
        """Return whether its stacks are protected from deletion."""
        return self.name in {"staging", PROD}

    @property
    def is_preview(self) -> bool:
        """Return whether it belongs to a pull request."""
        return _PREVIEW_NAME.fullmatch(self.name) is not None

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of everything that belongs to the stage: `taskchat/STAGE/`."""
        return f"taskchat/{self.name}/"

    @property
    def releases_parameter(self) -> str:
        """Return the name of the parameter in Systems Manager that records the releases."""
        return f"/{self.prefix}releases"

    def secret(self, usual_name: str) -> str:
        """Return the name of a secret, given its usual last part."""
        return self.parameters.get(SECRETS[usual_name]) or self.prefix + usual_name


def read_stage(name: str, config: Path = CONFIG) -> Stage:
    """Return a stage.

    Raises:
        DeployError: there is no such stage, or its section is not complete.
    """
    section = PREVIEW if _PREVIEW_NAME.fullmatch(name) else _ENVIRONMENTS.get(name)
    if section is None:
        raise DeployError(f"there is no stage {name!r}", "name one of dev, staging, prod, pr-12: make deploy STAGE=dev")
    try:
        given = tomllib.loads(config.read_text(encoding="utf-8"))[section]
        shared, deploy = given["global"]["parameters"], given["deploy"]["parameters"]
        parameters = dict(_pair(text) for text in deploy.get("parameter_overrides", []))
        tags = dict(_pair(text) for text in deploy.get("tags", []))
        stack = shared["stack_name"] if section != PREVIEW else f"{shared['stack_name']}-{name}"
        region = shared["region"]
    except (OSError, ValueError, KeyError, tomllib.TOMLDecodeError) as error:
        raise DeployError(
            f"{config.name} does not describe the stage {name}: {type(error).__name__}: {error}",
            f"correct [{section}.global.parameters] and [{section}.deploy.parameters]",
        ) from error
    return Stage(name, stack, region, {**parameters, "Stage": name}, {**tags, "stage": name})


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{text!r} lacks an =")
    return name, value
