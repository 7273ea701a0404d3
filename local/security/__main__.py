"""Scan code with bandit, templates with checkov, and the deployed dependencies with pip-audit, all at once.

A scan is repeated only if its inputs changed since it last passed. pip-audit asks a service on the internet for
advisories. Without that service its scan is skipped, except on GitHub, where it fails.
"""

import datetime
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.tool_environment import tool_python
from local.toolchain import ROOT, TOOLS, ToolchainError, run_uv

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER / "requirements.txt"
CHECKOV_SETTINGS = FOLDER / "checkov.yaml"
CODE = ("functions", "layers/taskchat", "migrations", "local", "deploy", "evals")
"""Folders of Python code. Tests and the benchmark, which nothing deploys, are left to ruff's rules."""
TEMPLATES = ("template.yaml", "functions/migrate/template.yaml", "deploy/role.yaml")
IGNORED_ADVISORIES: Mapping[str, str] = {}
"""Advisories that do not apply to this project, each with the reason."""
_PASSED = TOOLS / "cache" / "security"
_LONGEST_SCAN_SECONDS = 120


class ScanError(Exception):
    """Raised when a scan finds something or cannot run; the text says what it found."""


class SkippedError(Exception):
    """Raised when a scan cannot be made here; the text is one line."""


def scan_code(python: Path) -> None:
    """Run bandit on the code that is deployed or that a developer runs."""
    files = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))

    def scan() -> None:
        # With low confidence, bandit reports every text that begins like a statement of SQL.
        options = ("--configfile", "pyproject.toml", "--confidence-level", "medium")
        _expect_success(_run(python, "bandit", "--quiet", *options, "--recursive", *CODE))

    _unless_passed("bandit", _contents([ROOT / "pyproject.toml", *files]), scan)


def scan_templates(python: Path) -> None:
    """Run checkov on the templates."""

    def scan() -> None:
        files = [argument for name in TEMPLATES for argument in ("--file", name)]
        _expect_success(_run(python, "checkov.main", "--config-file", str(CHECKOV_SETTINGS), *files))

    _unless_passed("checkov", _contents([CHECKOV_SETTINGS, *(ROOT / name for name in TEMPLATES)]), scan)


def scan_dependencies(python: Path) -> None:
    """Ask once a day for advisories about the packages that the functions are deployed with."""
    packages = _deployed_packages()

    def scan() -> None:
        with tempfile.TemporaryDirectory() as scratch:
            listed = Path(scratch) / "requirements.txt"
            listed.write_text(packages, encoding="utf-8")
            source = ("--requirement", str(listed), "--no-deps", "--disable-pip")
            ran = _run(python, "pip_audit", *source, "--progress-spinner", "off", "--timeout", "5", "--format", "json")
        found = read_audit(ran.stdout)
        if found is None:
            if os.environ.get("GITHUB_ACTIONS"):
                raise ScanError(f"pip-audit could not reach the advisory service:\n{ran.stderr[-2_000:]}")
            raise SkippedError("pip-audit is skipped, because the advisory service cannot be reached.")
        if found:
            raise ScanError("\n".join(found))

    _unless_passed("pip-audit", f"{datetime.datetime.now(datetime.UTC).date()} {packages}".encode(), scan)


def read_audit(report: str) -> Sequence[str] | None:
    """Return a line for each advisory in pip-audit's JSON report; None if no package could be looked up."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        return None
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        return None
    return [
        f"{package['name']} {package['version']}: {advisory['id']}, fixed in {', '.join(advisory['fix_versions'])}"
        for package in audited
        for advisory in package["vulns"]
        if advisory["id"] not in IGNORED_ADVISORIES
    ]


def _deployed_packages() -> str:
    """Return the locked packages of all functions, one a line."""
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    groups = sorted(path.name for path in (ROOT / "functions").iterdir() if path.name in known)
    chosen = [argument for group in groups for argument in ("--group", group)]
    form = ("--no-hashes", "--no-header", "--no-annotate", "--no-emit-project")
    return run_uv("export", "--quiet", "--frozen", "--no-default-groups", *chosen, *form, capture=True)


def _unless_passed(name: str, inputs: bytes, scan: Callable[[], None]) -> None:
    """Scan, unless the last scan of this name passed with the same inputs and the same tools."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + inputs).hexdigest()
    stamp = _PASSED / name
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    scan()
    _PASSED.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest, encoding="utf-8")


def _contents(files: Iterable[Path]) -> bytes:
    return b"".join(b"%s\n%s\n" % (str(path).encode(), path.read_bytes()) for path in files)


def _run(python: Path, module: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(python), "-I", "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONGEST_SCAN_SECONDS,
    )


def _expect_success(ran: "subprocess.CompletedProcess[str]") -> None:
    if ran.returncode:
        raise ScanError(ran.stdout + ran.stderr)


def main() -> int:
    """Run all scans, print what they found, and return the exit status."""
    try:
        python = tool_python("security", REQUIREMENTS)
    except (subprocess.CalledProcessError, ToolchainError) as error:
        print(f"taskchat: the security scanners cannot be installed: {error}", file=sys.stderr)
        return 1
    status = 0
    with ThreadPoolExecutor() as pool:
        for scan in [pool.submit(scan, python) for scan in (scan_code, scan_templates, scan_dependencies)]:
            try:
                scan.result()
            except SkippedError as skipped:
                print(f"taskchat: {skipped}", file=sys.stderr)
            except (ScanError, subprocess.SubprocessError) as error:
                print(error, file=sys.stderr)
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
