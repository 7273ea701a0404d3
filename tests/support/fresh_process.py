"""A program in a process of its own, where nothing has been imported yet."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any


def result_of(program: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run a Python program, in another environment where one is given, and return the JSON that it prints."""
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
