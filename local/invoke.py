"""`python -m local.invoke FUNCTION EVENT_FILE`: one invocation of a built function; its log goes to standard error.

Variables that the template declares for the function are taken from this environment, as `sam local invoke`
does. Without DATABASE_URL it is the laptop's SQLite file; without a provider, the offline model.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from local.emulator import BuiltFunction, EmulatorError, built_function, start
from local.environment import SQLITE_FILE
from local.model.server import offline_model
from local.toolchain import ToolchainError

PROVIDER = ("OPENAI_API_KEY", "OPENAI_BASE_URL")


def main(arguments: Sequence[str]) -> int:
    """Print the function's answer, and return 1 where it failed, else 0."""
    try:
        name, event_path = arguments
        event = json.loads(Path(event_path).read_text(encoding="utf-8"))
        answer = _invoke(built_function(name), event)
    except (EmulatorError, ToolchainError, OSError, ValueError) as error:
        print(f"taskchat: {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return int(isinstance(answer, Mapping) and "errorType" in answer)


def _invoke(function: BuiltFunction, event: object) -> object:
    environment = {variable: os.environ[variable] for variable in function.environment if os.environ.get(variable)}
    environment.setdefault("DATABASE_URL", f"sqlite:///{SQLITE_FILE}")
    with ExitStack() as stack:
        if "OPENAI_BASE_URL" in function.environment and not any(name in environment for name in PROVIDER):
            model = stack.enter_context(offline_model())
            environment |= {"OPENAI_BASE_URL": f"{model.url}/v1", "OPENAI_API_KEY": "offline"}
        elif "OPENAI_BASE_URL" in environment:
            environment.setdefault("OPENAI_API_KEY", "none")
        emulator = stack.enter_context(start(function, environment))
        try:
            return emulator.invoke(event)
        finally:
            print(emulator.log(), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
