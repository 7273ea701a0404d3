"""`python -m local.invoke FUNCTION EVENT_FILE`: one invocation of a built function; its log goes to standard error.

Variables that the template declares for the function are taken from this environment, as `sam local invoke` does.
Without DATABASE_URL the database is the laptop's SQLite file, and without a provider the model is the offline one.
"""

import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import make_url

from local.checks import check_settings
from local.emulator import BuiltFunction, EmulatorError, built_function, start
from local.environment import StartError, choose_database
from local.model.server import offline_model
from local.toolchain import ToolchainError

PROVIDER = ("OPENAI_API_KEY", "OPENAI_BASE_URL")


def main(arguments: Sequence[str]) -> int:
    """Print the function's answer; return 1 if the function failed, 2 if it could not be invoked, else 0."""
    try:
        name, event_path = arguments
        answer = _invoke(built_function(name), _read_event(Path(event_path)))
    except (EmulatorError, StartError, ToolchainError, OSError, ValueError, http.client.HTTPException) as error:
        print(f"taskchat: {error}", file=sys.stderr)
        return 2
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    return int(isinstance(answer, Mapping) and "errorType" in answer)


def _read_event(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartError(f"the event {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"the event {path} is not JSON in UTF-8: {error}") from error


def variables_for(function: BuiltFunction, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of `environment` that the template declares for a function, and a database for it.

    Raises:
        StartError: one of them cannot work.
    """
    variables = {name: environment[name] for name in function.environment if environment.get(name)}
    check_settings(variables)
    choose_database(variables)
    for name in ("DATABASE_URL", "DATABASE_URL_UNPOOLED"):
        if name in variables:
            variables[name] = _absolute(variables[name])
    return variables


def _invoke(function: BuiltFunction, event: object) -> object:
    environment = variables_for(function, os.environ)
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


def _absolute(database_url: str) -> str:
    """Return a URL that names the same SQLite file from any working directory: a built function has one of its own."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return database_url
    return url.set(database=str(Path(url.database).absolute())).render_as_string(hide_password=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
