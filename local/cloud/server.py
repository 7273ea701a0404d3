"""Start the emulator on the loopback interface, in an environment of its own.

The emulator runs each Lambda function with its own interpreter and shows it its own packages behind the layers. Build
the functions for the Python that runs this module.
"""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local.loopback import HOST, free_port
from local.tool_environment import tool_python

REGION = "eu-central-1"
KEY = "test"
"""The access key and its secret: the root of account 000000000000, where the emulator's Cognito always signs in."""
START_SECONDS = 60
STOP_SECONDS = 10
_FOLDER = Path(__file__).parent
_REQUIREMENTS = _FOLDER / "requirements.txt"


class CloudError(Exception):
    """Raised when the emulator does not start; the message has its log."""


@dataclass(frozen=True)
class Cloud:
    """A running emulator."""

    url: str
    port: int
    log: Path
    process_id: int

    @property
    def environment(self) -> Mapping[str, str]:
        """Return the variables that point an AWS client to the emulator, and away from any real account."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Start an emulator that keeps its files in `folder`, and end it with every function that it started.

    Raises:
        CloudError: it ended, or did not answer in time.
    """
    python = tool_python("cloud", _REQUIREMENTS)
    port = free_port()
    url = f"http://{HOST}:{port}"
    log = folder / "cloud.log"
    settings = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "IOT_MTLS_ENABLED": "0",
        # Functions act as their roles, so a policy that lacks something is found.
        "AUTH": "true",
        "LAMBDA_WARM_TTL_SECONDS": "600",
        "TMPDIR": str(folder),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_DEFAULT_REGION": REGION,
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-I", _FOLDER / "main.py"],
            env=kept | settings,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(url, process, log)
        yield Cloud(url, port, log, process.pid)
    finally:
        with suppress(ProcessLookupError):  # It may have ended by itself.
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/_ministack/health", timeout=1):  # noqa: S310 - it is our own # nosec B310
                return
        except OSError:
            time.sleep(0.05)
    raise CloudError(f"the emulator did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-4000:]}")
