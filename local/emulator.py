"""Run a built function in Lambda's own Runtime Interface Emulator, without Docker.

The emulator comes with the SAM CLI, the runtime client is `awslambdaric`. A function sees the same as in Lambda: its
package as the working directory, the layers as one `python` folder on `PYTHONPATH`, the runtime's own packages after
them, the variables of the template, and no other package of this machine.
"""

import hashlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local.gateway.template_yaml import load
from local.loopback import free_port
from local.toolchain import LAMBDA_PYTHON, ROOT, TOOLS, install, interpreter_or_install

BUILD = ROOT / ".aws-sam"
HOST = "127.0.0.1"
START_SECONDS = 10
START_ATTEMPTS = 5
PSEUDO_PARAMETERS = {
    "AWS::StackName": "taskchat-local",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "amazonaws.com",
}
_LISTENING = "0A"
"""TCP_LISTEN in the tables of /proc."""
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
RUNTIME_SDK = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")


# Loopback never goes through a proxy, whatever the environment says.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class EmulatorError(Exception):
    """Raised when there is nothing to run, or the emulator does not start; the message says why."""


@dataclass(frozen=True)
class BuiltFunction:
    """A function as `sam build` left it; `environment` holds the template's values that are known before deploying."""

    name: str
    handler: str
    package: Path
    layers: Sequence[Path]
    timeout_seconds: int
    memory_mb: int
    environment: Mapping[str, str]


class Emulator:
    """A running function. It initialises at the first invocation, as a cold start does.

    `process_id` is the emulator's; the function runs in a child of it.
    """

    def __init__(self, url: str, log_path: Path, process_id: int) -> None:
        self._url = url
        self._log_path = log_path
        self.process_id = process_id

    def invoke(self, event: object) -> Any:
        """Send one event and return the answer; a failed one is `{"errorType": …, "errorMessage": …}`, as in Lambda."""
        request = urllib.request.Request(self._url, data=json.dumps(event).encode(), method="POST")  # noqa: S310 - our own
        with _opener.open(request) as answer:
            content = answer.read().decode()
        try:
            return json.loads(content) if content else None
        except json.JSONDecodeError:
            # The emulator reports a time-out and a crash of the process as plain text.
            return {"errorType": "Emulator", "errorMessage": content}

    def log(self) -> str:
        """Return all output of the function and the emulator so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def init_ms(self) -> float:
        """Return the duration of the cold start in milliseconds; the REPORT line's `Init Duration` is wrong."""
        report = re.search(r"INIT REPORT\(durationMs: ([\d.]+)", self.log())
        if report is None:
            raise EmulatorError("the function has not been invoked yet: its log has no INIT REPORT")
        return float(report[1])


def built_function(name: str, build: Path = BUILD) -> BuiltFunction:
    """Read a function from a template that `sam build` wrote: in the folder, or in one of its folders, a stack each.

    Raises:
        EmulatorError: nothing is built in that folder, or no function of this name.
    """
    names: set[str] = set()
    for path in sorted([*build.glob("template.yaml"), *build.glob("*/template.yaml")]):
        template = load(path.read_text(encoding="utf-8"))
        functions = {
            name: resource
            for name, resource in template["Resources"].items()
            if resource["Type"] == "AWS::Serverless::Function"
        }
        if name in functions:
            return _function(name, functions[name]["Properties"], template, path.parent)
        names |= functions.keys()
    if not names:
        raise EmulatorError(f"nothing is built in {build}: run `make build`")
    raise EmulatorError(f"no function {name}; there are {', '.join(sorted(names))}")


def _function(name: str, own: Mapping[str, Any], template: Mapping[str, Any], build: Path) -> BuiltFunction:
    shared = template["Globals"]["Function"]
    variables = {**_variables(shared), **_variables(own)}
    layers = [template["Resources"][layer["Ref"]]["Properties"]["ContentUri"] for layer in shared["Layers"]]
    return BuiltFunction(
        name=name,
        handler=own["Handler"],
        package=(build / own["CodeUri"]).resolve(),
        layers=[(build / layer).resolve() for layer in layers],
        timeout_seconds=own["Timeout"],
        memory_mb=own["MemorySize"],
        environment={variable: _value(given, template.get("Parameters", {})) for variable, given in variables.items()},
    )


@contextmanager
def start(
    function: BuiltFunction, environment: Mapping[str, str], python_version: str = LAMBDA_PYTHON
) -> Iterator[Emulator]:
    """Start a function with `environment` beside the variables of its template, and stop it at the end.

    `python_version` is the version it was built for. An interpreter of that version is downloaded if there is none.

    Raises:
        EmulatorError: the emulator does not start, or this machine cannot run what is built for Lambda.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise EmulatorError("the functions are built for Linux on x86_64, and run nowhere else")
    python = interpreter_or_install(python_version)
    with tempfile.TemporaryDirectory(prefix="taskchat-lambda-") as folder:
        # Links, because the emulator takes its working directory for a URL, and PYTHONPATH ends an entry at a colon:
        # this project's own path may hold any character.
        task, runtime = Path(folder) / "task", Path(folder) / "runtime"
        task.symlink_to(function.package)
        runtime.symlink_to(_runtime_packages(python, python_version))
        opt = _merge_layers(function.layers, Path(folder) / "opt" / "python")
        # `-S` hides the packages of the interpreter, which Lambda does not have.
        command = [python, "-S", "-m", "awslambdaric", function.handler]
        log_path = Path(folder) / "log"
        variables = {
            **_lambda_variables(function, task, opt, runtime),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{python_version}",
            **function.environment,
            **environment,
        }
        with _running(command, task, variables, log_path) as (process, port):
            yield Emulator(f"http://{HOST}:{port}/2015-03-31/functions/function/invocations", log_path, process.pid)


def _lambda_variables(function: BuiltFunction, task: Path, opt: Path, runtime: Path) -> dict[str, str]:
    """Return the variables that Lambda itself sets, and none of this process's own."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": f"{opt}:{runtime}",
        "LAMBDA_TASK_ROOT": str(task),
        # A program that is told a link in PWD keeps to it.
        "PWD": str(task),
        "AWS_REGION": PSEUDO_PARAMETERS["AWS::Region"],
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout_seconds),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }


def _merge_layers(layers: Sequence[Path], target: Path) -> Path:
    target.mkdir(parents=True)
    for layer in layers:
        for entry in (layer / "python").iterdir():
            (target / entry.name).symlink_to(entry)
    return target


def _runtime_packages(python: str, python_version: str) -> Path:
    """Return a folder with the runtime's own packages, its client and the AWS SDK, with bytecode; made once."""
    exactly = [f"{name}=={version(name)}" for name in (*RUNTIME_CLIENT, *RUNTIME_SDK)]
    digest = hashlib.sha256(" ".join(exactly).encode()).hexdigest()[:12]
    home = TOOLS / f"runtime-python{python_version}-{digest}"
    if not home.exists():
        TOOLS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            target = Path(scratch) / home.name
            install(target, python_version, *exactly)
            subprocess.run([python, "-I", "-m", "compileall", "-q", "-j", "0", str(target)], check=True)
            if not home.exists():
                target.rename(home)
    return home


def _emulator_binary() -> str:
    samcli = find_spec("samcli")
    if samcli is None or samcli.origin is None:
        raise EmulatorError("the SAM CLI, which ships the emulator, is not installed here")
    return str(Path(samcli.origin).parent / "local" / "rapid" / "aws-lambda-rie-x86_64")


def _variables(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    variables: Mapping[str, Any] = properties.get("Environment", {}).get("Variables", {})
    return variables


def _value(given: Any, parameters: Mapping[str, Any]) -> str:
    """Return a variable's value as far as it is known before a deployment: conditions and resources give nothing."""
    known = PSEUDO_PARAMETERS | {name: str(each.get("Default", "")) for name, each in parameters.items()}
    match given:
        case {"Ref": name}:
            return known.get(name, "")
        case {"Fn::Join": [_, listed]}:
            return _value(listed, parameters)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: known[found[1]], text)
        case {"Fn::If": _}:
            return ""
    return str(given)


@contextmanager
def _running(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], log_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the emulator around a command; yield its process and the port that takes invocations.

    The emulator chooses that port itself, but its runtime API needs a port that is known before. If another process
    takes that one first, the emulator ends, and another port is tried.
    """
    for attempt in range(1, START_ATTEMPTS + 1):
        api_port = free_port()
        addresses = [
            *("--runtime-interface-emulator-address", f"{HOST}:0"),
            *("--runtime-api-address", f"{HOST}:{api_port}"),
        ]
        process = _launch([_emulator_binary(), *addresses, *command], folder, variables, log_path)
        try:
            port = _wait_for_port(process, api_port)
            if port is not None:
                yield process, port
                return
        finally:
            # The emulator may have ended by itself, and all that it started with it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        reason = _reason(log_path)
        if attempt == START_ATTEMPTS or "address already in use" not in reason:
            raise EmulatorError(f"the emulator did not start (status {status}): {reason}")


def _launch(
    command: Sequence[str], folder: Path, variables: Mapping[str, str], log_path: Path
) -> subprocess.Popen[bytes]:
    with log_path.open("wb") as log:
        try:
            return subprocess.Popen(
                command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            raise EmulatorError(f"the emulator cannot be run: {error}") from error


def _wait_for_port(process: subprocess.Popen[bytes], api_port: int) -> int | None:
    """Return the port that takes invocations as soon as the emulator listens, or None if it ends or takes too long."""
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        ports = _listening_ports(process.pid)
        if api_port in ports and len(ports) > 1:
            return (ports - {api_port}).pop()
        time.sleep(0.02)
    return None


def _listening_ports(process_id: int) -> set[int]:
    """Return the ports on which this very process listens, from the tables of proc_pid_net(5)."""
    process = Path(f"/proc/{process_id}")
    try:
        files = {os.readlink(entry) for entry in (process / "fd").iterdir()}  # noqa: PTH115 - not a path
        sockets = [line.split() for line in (process / "net" / "tcp").read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return set()  # It ended, or closed one of its files meanwhile.
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in sockets
        if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in files
    }


def _reason(log_path: Path) -> str:
    """Return the line of the log that says why the emulator ended: the first error, else the last line."""
    lines = [line for line in log_path.read_text(encoding="utf-8", errors="replace").split("\n") if line.strip()]
    errors = (line for line in lines if re.search(r"\b(panic|error)\b", line, re.IGNORECASE))
    return next(errors, lines[-1] if lines else "it wrote nothing")
