"""Make what every verb of the Makefile needs: uv, a Python that works, and the environment in `.venv`.

`python3 -m local.toolchain` makes `.venv`, and `python3 -m local.toolchain bench` the benchmark's environment. Both do
nothing if the environment is complete. This module runs on any `python3` of a fresh machine, so it imports the standard
library alone.
"""

import fcntl
import functools
import hashlib
import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.installers import pip_environment, unusable_certificates, uv_environment, without_credentials

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".local"
RUNTIME = "3.13"
"""The Python of the deployed functions, as in `template.yaml`."""
LAMBDA_PYTHON = os.environ.get("LAMBDA_PYTHON") or RUNTIME
"""The Python to build for and to emulate; set it on a machine without the deployed one."""

_ANSWER_SECONDS = 20
_INPUTS = ("pyproject.toml", "uv.lock", "local/toolchain.py")


class ToolchainError(Exception):
    """Raised when something is missing that cannot be fetched; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment that uv makes from the lock.

    `packages` are some that it must hold, one of each group. An environment that lacks one is made again.
    """

    folder: Path
    packages: Sequence[str]
    groups: Sequence[str] = ()

    @property
    def python(self) -> str:
        """Return the path of its interpreter."""
        return str(self.folder / "bin" / "python")


DEVELOPMENT = Environment(ROOT / ".venv", ("taskchat", "sqlmodel", "openai", "mcp", "alembic", "samcli", "pytest"))
BENCHMARK = Environment(TOOLS / "bench", ("taskchat", "sqlmodel", "pytest", "langchain", "dbos"), ("bench",))


def make(environment: Environment) -> None:
    """Make or refresh an environment from the lock, unless it is complete.

    It gets the Python of the runtime if this machine has one that works, else the one that runs this. An environment
    that came here with a moved or copied folder names its old place, so it is made anew.

    Raises:
        ToolchainError: a package cannot be installed, the environment is still incomplete, or it cannot work in this
            folder.
    """
    if _is_complete(environment):
        return
    _check_path(ROOT)
    TOOLS.mkdir(exist_ok=True)
    with _locked(TOOLS / "toolchain.lock"):
        # Another start may have made it while this one waited.
        if _is_complete(environment):
            return
        name = os.path.relpath(environment.folder, ROOT)
        print(f"taskchat: making the environment in {name}", file=sys.stderr)
        stamp = environment.folder / ".ready"
        reusable = _read(stamp).splitlines()[:1] == [_place()] and _version_of(environment.python) is not None
        if reusable:
            stamp.unlink()
        else:
            _remove(environment.folder)
        _sync(environment, reusable=reusable)
        if not _holds_its_packages(environment):
            raise ToolchainError(f"{name} lacks packages that were installed; remove the folder and try again")
        stamp.write_text(_expected_stamp(), encoding="utf-8")


def uv() -> Path:
    """Return the project's own uv, of the version in the lock, fetched at the first call."""
    locked = _locked_uv()
    home = TOOLS / f"uv-{locked['version']}"
    if not (home / "bin" / "uv").exists():
        TOOLS.mkdir(exist_ok=True)
        # Made beside its final place and renamed, so that an interrupted download leaves nothing half done.
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            _install_uv(locked, Path(scratch) / "uv")
            if not home.exists():
                (Path(scratch) / "uv").rename(home)
    return home / "bin" / "uv"


def run_uv(*arguments: str, cwd: Path = ROOT, capture: bool = False, variables: Mapping[str, str] | None = None) -> str:
    """Run uv with this machine's network settings, no other of the developer's, and `variables`.

    Return its standard output if `capture` is set, else an empty string.

    Raises:
        subprocess.CalledProcessError: uv failed and has said why on standard error.
    """
    TOOLS.mkdir(exist_ok=True)
    ran = subprocess.run(
        [uv(), *arguments],
        cwd=cwd,
        env={**uv_environment(_inherited(), ROOT), **(variables or {})},
        check=True,
        stdout=subprocess.PIPE if capture else None,
        text=True,
    )
    return ran.stdout or ""


def interpreter(version: str) -> str | None:
    """Return a CPython of this `major.minor` version that runs and has the modules that Taskchat needs, or None."""
    return next((path for path in _candidates(version) if _version_of(path) == version), None)


def interpreter_or_install(version: str) -> str:
    """Return a CPython of this `major.minor` version; uv downloads one if the machine has none.

    Raises:
        ToolchainError: there is none and none can be downloaded.
    """
    if found := interpreter(version):
        return found
    # If that fails, uv says why, and the error below says what to do.
    with suppress(subprocess.CalledProcessError):
        run_uv("python", "install", "--no-bin", version)
    if found := interpreter(version):
        return found
    raise ToolchainError(f"there is no Python {version} here; install one, or name yours: LAMBDA_PYTHON=3.x make ...")


def install(target: Path, python_version: str, *what: str) -> None:
    """Install packages into a folder, without their dependencies; `what` may hold options of `uv pip install`.

    Raises:
        subprocess.CalledProcessError: a package cannot be installed; uv has said why.
    """
    # Copied, because hard links would let a change in the folder change uv's cache.
    options = ["--quiet", "--no-deps", "--link-mode", "copy", "--python-version", python_version]
    with tempfile.TemporaryDirectory() as elsewhere:
        # In the project's folder uv would apply the `override-dependencies` of pyproject.toml.
        run_uv(
            "pip", "install", "--python", sys.executable, *options, "--target", str(target), *what, cwd=Path(elsewhere)
        )


def _check_path(folder: Path) -> None:
    """Refuse the two kinds of paths that uv or Python's path configuration files cannot hold."""
    try:
        lines = len(str(folder).encode().decode().splitlines())
    except UnicodeError:
        raise ToolchainError("the path of this folder is not valid UTF-8; move or rename the folder") from None
    if lines > 1:
        raise ToolchainError("the path of this folder holds a line break; move or rename the folder")


def _is_complete(environment: Environment) -> bool:
    return _read(environment.folder / ".ready") == _expected_stamp() and _holds_its_packages(environment)


def _expected_stamp() -> str:
    """Return two lines: where the environment was made, and from which inputs."""
    inputs = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in _INPUTS)).hexdigest()
    return f"{_place()}\n{inputs}\n"


def _place() -> str:
    return hashlib.sha256(os.fsencode(ROOT)).hexdigest()


def _holds_its_packages(environment: Environment) -> bool:
    question = f"""
from importlib.util import find_spec
import sys
sys.exit(not all(map(find_spec, {list(environment.packages)})))
"""
    return _answer(environment.python, question) is not None


def _sync(environment: Environment, *, reusable: bool) -> None:
    python = interpreter(RUNTIME) or sys.executable
    groups = [f"--group={name}" for name in environment.groups]
    try:
        if not reusable:
            # Relocatable scripts find their interpreter beside themselves, whatever characters its path holds.
            run_uv("venv", "--quiet", "--relocatable", "--python", python, str(environment.folder))
        run_uv(
            *("sync", "--frozen", "--quiet", "--python", environment.python, *groups),
            variables={"UV_PROJECT_ENVIRONMENT": str(environment.folder)},
        )
    except subprocess.CalledProcessError as error:
        raise ToolchainError(f"the environment could not be made; see uv's message above{_network_hint()}") from error


def _candidates(version: str) -> Iterator[str]:
    name = f"python{version}"
    yield DEVELOPMENT.python
    for folder in os.get_exec_path():
        # A pyenv shim exists for every version that is installed, and fails for those that are not selected.
        yield str(Path(folder) / name)
    home = os.environ.get("HOME", os.devnull)
    pyenv = os.environ.get("PYENV_ROOT") or f"{home}/.pyenv"
    yield from _matches(Path(pyenv) / "versions", f"{version}*/bin/{name}")
    yield from _matches(Path(os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"), f"uv/python/*/bin/{name}")
    yield sys.executable
    with suppress(subprocess.CalledProcessError):
        managed = run_uv("-qq", "python", "find", "--managed-python", "--no-python-downloads", version, capture=True)
        yield managed.strip()


def _matches(folder: Path, pattern: str) -> Sequence[str]:
    try:
        return sorted((str(path) for path in folder.glob(pattern)), reverse=True)
    except OSError:
        return ()  # A home that may not be read has no interpreter to offer.


def _version_of(path: str) -> str | None:
    # A Python that was compiled without SQLite or OpenSSL runs, and fails later.
    question = """
import ctypes, sqlite3, ssl, sys, zlib
print("%d.%d" % sys.version_info[:2] if sys.implementation.name == "cpython" else "")
"""
    return _answer(path, question)


def _answer(python: str, question: str) -> str | None:
    """Return what an interpreter prints when it runs `question`, or None if it fails."""
    try:
        answer = subprocess.run(
            [python, "-I", "-c", question], capture_output=True, text=True, check=True, timeout=_ANSWER_SECONDS
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer.stdout.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _remove(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)
    else:
        folder.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def _inherited() -> Mapping[str, str]:
    """Return this process's environment without variables that name unusable certificates, which are reported."""
    faults = unusable_certificates(os.environ)
    for fault in faults.values():
        print(f"taskchat: {fault}; it is ignored", file=sys.stderr)
    return {name: value for name, value in os.environ.items() if name not in faults}


def _network_hint() -> str:
    """Return a sentence about the proxies that are set, because a stale one is a usual reason for a failed download."""
    proxies = {
        f"{name}={without_credentials(value)}"
        for name, value in os.environ.items()
        if name.upper() in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY") and value
    }
    return f"; downloads go through {', '.join(sorted(proxies))}: unset it if no proxy answers there" if proxies else ""


@functools.cache
def _locked_uv() -> dict[str, Any]:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return next(package for package in lock["package"] if package["name"] == "uv")


def _install_uv(locked: dict[str, Any], target: Path) -> None:
    pip = [sys.executable, "-Es", "-m", "pip"]
    requirement = f"uv=={locked['version']}"
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        _download_uv(locked, target)
        return
    command = [*pip, "install", "-qq", "--no-deps", "--target", str(target), requirement]
    ran = subprocess.run(command, env=pip_environment(_inherited()), stderr=subprocess.PIPE, text=True, check=False)
    if not ran.returncode:
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        # pip fails with a SOCKS proxy, and with an index that lacks uv.
        _download_uv(locked, target)
    except ToolchainError as error:
        print(ran.stderr, end="", file=sys.stderr)
        raise ToolchainError(f"pip cannot install {requirement}; see its message above{_network_hint()}") from error


def _download_uv(locked: dict[str, Any], target: Path) -> None:
    """Unpack uv's wheel without pip, which Debian's python3 lacks."""
    platform_tag = f"-manylinux_2_17_{platform.machine()}"
    try:
        wheel = next(wheel for wheel in locked["wheels"] if platform_tag in wheel["url"])
        with urllib.request.urlopen(wheel["url"], timeout=120) as answer:  # nosec B310 # noqa: S310 - the lock's URL
            content = answer.read()
    except (OSError, StopIteration) as error:
        raise ToolchainError(f"uv cannot be downloaded; install pip, or repair the network{_network_hint()}") from error
    if hashlib.sha256(content).hexdigest() != wheel["hash"].removeprefix("sha256:"):
        raise ToolchainError("the download of uv is damaged; try again")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        binary = target / "bin" / "uv"
        binary.parent.mkdir(parents=True)
        binary.write_bytes(archive.read(member))
        binary.chmod(0o755)


def main(arguments: Sequence[str]) -> int:
    """Make the environment that the argument names, `.venv` without one; return the exit status."""
    try:
        make(BENCHMARK if "bench" in arguments else DEVELOPMENT)
    except ToolchainError as error:
        print(f"taskchat: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"taskchat: the environment could not be made: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
