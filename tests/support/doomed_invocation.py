"""One invocation of the chat function in a process of its own, ended by SIGKILL at a point of its statements.

    python -m tests.support.doomed_invocation POINT < event.json

Prints how many points it passed, if it lived: a point of 0 is never reached.
"""

import json
import sys

from functions.chat import app
from local.lambda_events import invoke
from taskchat.database import database
from taskchat.process import provider
from tests.support.kill_switch import KillSwitch, process_is_killed
from tests.support.owner import as_owner


def main() -> None:
    """Invoke, and die on the way."""
    as_owner(database(), lambda _: None)
    switch = KillSwitch(int(sys.argv[1]), process_is_killed)
    switch.install(database().engine())
    invoke(app.handler, json.load(sys.stdin))
    database().dispose()
    provider.close()
    sys.stdout.write(f"\n{switch.passed}")


if __name__ == "__main__":
    main()
