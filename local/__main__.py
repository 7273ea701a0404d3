"""`python -m local`, which is `make run`: Taskchat on this machine, until Ctrl-C.

The exit status is 0 after Ctrl-C and SIGTERM. If Taskchat cannot start, it is 1 and a line on standard error says why.
"""

import errno
import os
import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType
from urllib.parse import urlsplit

from local.checks import check_settings
from local.console import safe_console
from local.environment import (
    LARGEST_PORT,
    ROOT,
    STATE,
    StartError,
    choose_database,
    describe_model,
    provider_url,
    read_port,
    use_offline_model,
    wants_offline_model,
)
from local.gateway.server import Gateway
from local.gateway.template import Api, TemplateError, read_template
from local.model.server import offline_model
from local.network import prepare_network, proxy_for
from local.queue import Background, Queue
from local.runtime.fleet import Fleet
from local.runtime.instance import FunctionError, Instance

LOG_FILE = STATE / "functions.log"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run until a signal; return the exit status."""
    for number in _STOP_SIGNALS:
        # `nohup` ignores SIGHUP, and a script's `&` ignores SIGINT: both mean that it is to go on.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    with safe_console():
        try:
            with ExitStack() as stack:
                _start(stack)
                threading.Event().wait()
        except KeyboardInterrupt:
            return 0
        except (StartError, TemplateError) as error:
            print(f"taskchat: {error}", file=sys.stderr)
            return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the stopping.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _start(stack: ExitStack) -> None:
    port = read_port(os.environ)
    check_settings(os.environ)
    api = read_template(ROOT / "template.yaml")
    # The port comes first: if it is taken, nothing else has been touched.
    gateway = _open(api, port)
    stack.callback(gateway.stop)
    try:
        STATE.mkdir(exist_ok=True)
        LOG_FILE.touch()
        database = choose_database(os.environ)
        model = _choose_model(stack)
        has_proxy = proxy_for(os.environ, urlsplit(gateway.url)) is not None
        prepare_network(os.environ, provider_url(os.environ))
        os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "taskchat")
        queue = stack.enter_context(Queue())
        queue.configure(os.environ)
        background = Background(api, queue, lambda function: Fleet(function, LOG_FILE))
        stack.callback(background.stop)
        gateway.warm_up()
        background.warm_up()
        _migrate()
        gateway.start()
        background.start()
    except FunctionError as error:
        reason = f"{error.kind}: {_first_line(error)}"
        raise StartError(f"cannot start: {reason} (see {os.path.relpath(LOG_FILE)})") from error
    except OSError as error:
        raise StartError(f"cannot start: {error}") from error
    _welcome(gateway.url, model, database, curl="curl --noproxy '*' -s" if has_proxy else "curl -s")


def _open(api: Api, port: int) -> Gateway:
    try:
        return Gateway(api, port=port, log_file=LOG_FILE, access_log=_say, page=ROOT / "web")
    except OSError as error:
        advice = (
            "Choose one above 1023, as in: PORT=3000 make run"
            if error.errno == errno.EACCES
            else f"Stop what listens there, or try PORT={port + 1 if port < LARGEST_PORT else 3000} make run"
        )
        raise StartError(f"port {port} cannot be used: {error.strerror}. {advice}") from error


def _choose_model(stack: ExitStack) -> str:
    if not wants_offline_model(os.environ):
        return describe_model(os.environ)
    server = stack.enter_context(offline_model())
    use_offline_model(os.environ, f"{server.url}/v1")
    return "offline, for simple commands; set OPENAI_API_KEY or OPENAI_BASE_URL for a real one"


def _migrate() -> None:
    (function,) = read_template(ROOT / "functions" / "migrate" / "template.yaml").functions.values()
    instance = Instance(function, LOG_FILE)
    try:
        instance.invoke({"action": "upgrade"})
    finally:
        instance.close()


def _welcome(url: str, model: str, database: str, *, curl: str) -> None:
    _say(
        f"Taskchat answers at {url} (Ctrl-C stops it): open it in a browser\n"
        f"  model     {model}\n"
        f"  database  {database}\n"
        f"  log       {os.path.relpath(LOG_FILE)}\n"
        "Or try this in another terminal:\n"
        f"  {curl} {url}/chat -H 'Content-Type: application/json' \\\n"
        '    -d \'{"message": "Add a task to buy groceries"}\''
    )


def _say(text: str) -> None:
    # In one piece, because threads may write at the same time.
    sys.stdout.write(f"{text}\n")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]


if __name__ == "__main__":
    sys.exit(main())
