"""Find or fetch what every verb of the Makefile needs: uv, a Python that works, and the environment `.venv`.

Run by whatever `python3` a fresh machine has, so the standard library is all it uses. `python3 -m local.toolchain`
makes the environment; the build and the emulator ask `interpreter()` for the Python of the Lambda runtime.
"""

import functools
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".local"
RUNTIME = "3.13"
"""The Python of the deployed functions, as in `template.yaml`."""
LAMBDA_PYTHON = os.environ.get("LAMBDA_PYTHON", RUNTIME)
"""The Python that is built for and emulated; a machine without the deployed one can name its own."""

if sys.version_info < (3, 11):  # noqa: UP036 - whoever runs this may have an older one
    sys.exit("taskchat: this python3 is older than 3.11; name a newer one: make PYTHON=python3.13 ...")


class ToolchainError(Exception):
    """Raised when something is missing that cannot be fetched; the message says what to do."""


def uv() -> Path:
    """Return the project's own uv, of the version in the lock, fetched at the first call."""
    locked = _locked_uv()
    home = TOOLS / f"uv-{locked['version']}"
    if not (home / "bin" / "uv").exists():
        TOOLS.mkdir(exist_ok=True)
        # Made beside its final place and renamed, so that two first runs at once do no harm.
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            _install_uv(locked, Path(scratch) / "uv")
            if not home.exists():
                (Path(scratch) / "uv").rename(home)
    return home / "bin" / "uv"


def interpreter(version: str) -> str | None:
    """Return a CPython of this `major.minor` version that really runs, or None."""
    return next((path for path in _candidates(version) if _version_of(path) == version), None)


def interpreter_or_install(version: str) -> str:
    """Return a CPython of this `major.minor` version; uv downloads one where the machine has none.

    Raises:
        ToolchainError: there is none and none can be downloaded.
    """
    if found := interpreter(version):
        return found
    subprocess.run([uv(), "python", "install", "--no-bin", version], check=False)
    if found := interpreter(version):
        return found
    raise ToolchainError(f"no Python {version} here: install one, or pick yours with LAMBDA_PYTHON=3.x")


def install(target: Path, python_version: str, *what: str) -> None:
    """Put packages into a folder, exactly those that are named; the options of `uv pip install` may stand among them.

    Raises:
        subprocess.CalledProcessError: one of them cannot be had; uv has said why.
    """
    # Hard links would tie the folder to uv's cache: whoever changed the one would change the other.
    options = ["--quiet", "--no-deps", "--link-mode", "copy", "--python-version", python_version]
    with tempfile.TemporaryDirectory() as elsewhere:
        # In the project's folder uv would replace what is named by what `override-dependencies` allows.
        command = [str(uv()), "pip", "install", "--python", sys.executable, *options, "--target", str(target), *what]
        subprocess.run(command, cwd=elsewhere, check=True)


def make_environment() -> None:
    """Make or refresh `.venv` from the lock, with the runtime's Python where one works, else this one."""
    python = interpreter(RUNTIME) or sys.executable
    print("taskchat: making the environment in .venv", file=sys.stderr)
    if _version_of(str(ROOT / ".venv" / "bin" / "python")) is None:
        shutil.rmtree(ROOT / ".venv", ignore_errors=True)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([uv(), "sync", "--frozen", "--quiet", "--python", python], cwd=ROOT, check=True, env=environment)


def _candidates(version: str) -> Iterator[str]:
    name = f"python{version}"
    yield str(ROOT / ".venv" / "bin" / "python")
    for folder in os.get_exec_path():
        # A pyenv shim exists for every version that is installed, and fails for those that are not selected.
        yield str(Path(folder) / name)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob(f"versions/{version}*/bin/{name}"), reverse=True))
    yield sys.executable
    managed = subprocess.run(
        [uv(), "python", "find", "--managed-python", "--no-python-downloads", version],
        capture_output=True,
        text=True,
        check=False,
    )
    yield managed.stdout.strip()


def _version_of(path: str) -> str | None:
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([path, "-I", "-c", question], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


@functools.cache
def _locked_uv() -> dict[str, Any]:
    # Not at the top: an older Python lacks it, and is to be told so in one line.
    import tomllib  # noqa: PLC0415

    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return next(package for package in lock["package"] if package["name"] == "uv")


def _install_uv(locked: dict[str, Any], target: Path) -> None:
    pip = [sys.executable, "-m", "pip"]
    requirement = f"uv=={locked['version']}"
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        _download_uv(locked, target)
    elif subprocess.run([*pip, "install", "-qq", "--no-deps", "--target", target, requirement], check=False).returncode:
        raise ToolchainError(f"pip cannot install {requirement}; its words stand above")


def _download_uv(locked: dict[str, Any], target: Path) -> None:
    """Unpack uv's wheel without pip, which Debian's python3 does not bring."""
    platform_tag = f"-manylinux_2_17_{platform.machine()}"
    try:
        wheel = next(wheel for wheel in locked["wheels"] if platform_tag in wheel["url"])
        with urllib.request.urlopen(wheel["url"], timeout=120) as answer:  # noqa: S310
            content = answer.read()
    except (OSError, StopIteration) as error:
        raise ToolchainError("cannot fetch uv for this machine: install pip, or mend the network") from error
    if hashlib.sha256(content).hexdigest() != wheel["hash"].removeprefix("sha256:"):
        raise ToolchainError("uv's wheel arrived damaged: try again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        binary = target / "bin" / "uv"
        binary.parent.mkdir(parents=True)
        binary.write_bytes(archive.read(member))
        binary.chmod(0o755)


if __name__ == "__main__":
    try:
        make_environment()
    except ToolchainError as error:
        sys.exit(f"taskchat: {error}")
    except subprocess.CalledProcessError:
        sys.exit("taskchat: the environment could not be made; uv's words stand above")
