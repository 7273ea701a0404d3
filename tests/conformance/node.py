"""`python -m tests.conformance.node`: Node 22 and the programs of others that test the MCP function, under .local/.

They come from npm as `package-lock.json` pins them; npm itself has to be here, its own Node may be older.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parents[1] / ".local" / "conformance"
BIN = HOME / "node_modules" / ".bin"
LOCK = "package-lock.json"
INSTALL_SECONDS = 600


def is_installed() -> bool:
    """Return whether what the lock pins is here."""
    copy = HOME / "node_modules" / LOCK
    return copy.exists() and copy.read_bytes() == (HERE / LOCK).read_bytes()


def environment() -> Mapping[str, str]:
    """Return this process's environment with the installed Node first on its path."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def install() -> None:
    """Install what the lock pins, from nothing."""
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("taskchat: there is no npm here to install Node 22 and the conformance suite with")
    HOME.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", LOCK):
        shutil.copy(HERE / name, HOME)
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    status = subprocess.run([npm, "ci", *quiet], cwd=HOME, timeout=INSTALL_SECONDS, check=False).returncode
    if status:
        sys.exit("taskchat: npm could not install Node 22 and the conformance suite; its words stand above")
    # Last, so that an installation that was cut off does not count as one.
    shutil.copy(HERE / LOCK, HOME / "node_modules")


if __name__ == "__main__" and not is_installed():
    install()
