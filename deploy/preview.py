"""A preview: a stage named pr-NUMBER, on a branch of its own of a Neon project."""

import os
from pathlib import Path

from deploy import secret_values
from deploy.console import DeployError, note, step
from deploy.destroy import destroy, forget_secrets
from deploy.neon import API, Neon
from deploy.release import release
from deploy.stage import Stage

DATABASE, ROLE = "neondb", "neondb_owner"
"""The names that Neon gives by default; NEON_DATABASE and NEON_ROLE name others."""


def make(stage: Stage, folder: Path, *, is_built: bool) -> None:
    """Make the database's branch, store its secrets, and release to the stage.

    Raises:
        DeployError: it is no preview, a variable is missing, or a step failed.
    """
    neon = _neon(stage)
    step(f"branch {stage.name} of the Neon project {neon.project_id}")
    branch = neon.make_branch(stage.name, _variable("NEON_PARENT_BRANCH_ID"))
    database, role = os.environ.get("NEON_DATABASE") or DATABASE, os.environ.get("NEON_ROLE") or ROLE
    os.environ["DATABASE_URL"] = neon.connection_uri(branch, database, role, pooled=True)
    os.environ["DATABASE_URL_UNPOOLED"] = neon.connection_uri(branch, database, role, pooled=False)
    _variable("OPENAI_API_KEY")
    secret_values.store(stage)
    release(stage, folder, is_built=is_built)


def delete(stage: Stage) -> None:
    """Delete the stage, its secrets and the database's branch.

    Raises:
        DeployError: it is no preview, a variable is missing, or a step failed.
    """
    neon = _neon(stage)
    os.environ["CONFIRM"] = stage.stack
    destroy(stage)
    forget_secrets(stage)
    branch = neon.find_branch(stage.name)
    if branch is None:
        note("there is no branch of the database")
    else:
        step(f"deleting the branch {stage.name} of the Neon project {neon.project_id}")
        neon.delete_branch(branch)


def _neon(stage: Stage) -> Neon:
    if not stage.is_preview:
        raise DeployError(f"{stage.name} is no preview", "name it after its pull request: STAGE=pr-12")
    return Neon(_variable("NEON_PROJECT_ID"), _variable("NEON_API_KEY"), os.environ.get("NEON_API") or API)


def _variable(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise DeployError(f"{name} is not set", "docs/operations.md, Previews, lists the variables")
    return value
