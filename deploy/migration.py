"""Invoke the migrate function."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.aws import INVOKE_ONCE, client, explained
from deploy.console import DeployError, note
from deploy.stage import Stage


def migrate(stage: Stage) -> None:
    """Upgrade the database to the newest revision; the function checks the schema afterwards.

    Raises:
        DeployError: the function failed. The database is as it was, and the functions that serve are, too.
    """
    upgraded = _invoke(stage, {"action": "upgrade"})
    if upgraded.get("ahead"):
        note(f"WARNING: the database is ahead of this release, at {upgraded.get('to_revision')}; left as it is")
    elif upgraded.get("applied"):
        note(f"{upgraded['from_revision']} -> {upgraded['to_revision']}")
    else:
        note("nothing to apply")


def invoke_file(stage: Stage, event: Path) -> None:
    """Invoke the function with the event in a file, and print its answer.

    Raises:
        DeployError: there is no such event, or the function failed.
    """
    try:
        parsed = json.loads(event.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DeployError(f"{event} holds no event: {error}", "EVENT=events/migrate-current.json") from error
    print(json.dumps(_invoke(stage, {"action": "upgrade", **parsed}), indent=2, ensure_ascii=False))


def _invoke(stage: Stage, event: Mapping[str, Any]) -> Mapping[str, Any]:
    with explained(f"cannot invoke {stage.migrate_stack}", "look at the function in Lambda's console; try again"):
        answer = client("lambda", stage.region, INVOKE_ONCE).invoke(
            FunctionName=stage.migrate_stack, Payload=json.dumps(event)
        )
        content: Mapping[str, Any] = json.loads(answer["Payload"].read() or b"{}")
    if "FunctionError" in answer:
        raise DeployError(
            f"the action {event['action']} failed: {content.get('errorMessage', content)}",
            f"nothing is half applied and the release before goes on serving: read the log /taskchat/"
            f"{stage.migrate_stack}, correct the cause and try again",
        )
    return content
