"""The verbs of the Makefile: `python -m deploy VERB STAGE …`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from deploy import build, console, destroy, migration, people, preview, release, role, secret_values
from deploy.console import DeployError
from deploy.stage import CONFIG, read_stage

VERBS = ("release", "rollback", "destroy", "secrets", "preview", "preview-delete", "user", "token", "migrate", "role")


def main(arguments: Sequence[str]) -> int:
    """Run a verb and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("stage")
    parser.add_argument("--email", default="")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the stages, in the form of samconfig.toml")
    parser.add_argument("--event", type=Path, help="migrate: a file with the event")
    parser.add_argument("--repository", default="", help="role: OWNER/NAME on GitHub")
    parser.add_argument("--built", type=Path, help="take this build instead of making one")
    parser.add_argument("--test", action="store_true", help="user: make the test person of the smoke test")
    given = parser.parse_args(arguments)
    return console.run(lambda: _run(given))


def _run(given: argparse.Namespace) -> None:
    stage = read_stage(given.stage, given.config)
    if given.verb in {"user", "token"} and not given.email:
        raise DeployError("whose?", f"make {given.verb} STAGE={given.stage} EMAIL=ann@example.com")
    verbs: dict[str, Callable[[], None]] = {
        "release": lambda: release.release(stage, given.built or build.BUILD, is_built=given.built is not None),
        "rollback": lambda: release.rollback(stage),
        "destroy": lambda: destroy.destroy(stage),
        "secrets": lambda: secret_values.store(stage),
        "user": lambda: people.invite(stage, given.email, is_test=given.test),
        "preview": lambda: preview.make(stage, given.built or build.BUILD, is_built=given.built is not None),
        "preview-delete": lambda: preview.delete(stage),
        "migrate": lambda: migration.invoke_file(stage, given.event),
        "role": lambda: role.deploy(stage, given.repository),
        "token": lambda: print(people.token(stage, given.email)),
    }
    try:
        verbs[given.verb]()
    except (ClientError, BotoCoreError) as error:
        raise DeployError(f"AWS refused: {error}", "docs/operations.md lists what the role must be allowed") from error


if __name__ == "__main__":
    # Written at once, also into the log of a pipeline.
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main(sys.argv[1:]))
