"""Packages and interpreters are found, and installed in the version that was asked for."""

import sys
from pathlib import Path

import pytest

from local.toolchain import LAMBDA_PYTHON, install, interpreter


def test_install_ignores_the_overrides_of_the_project(tmp_path: Path) -> None:
    outside_the_override = "pydantic==2.13.5"

    install(tmp_path / "packages", LAMBDA_PYTHON, outside_the_override)

    assert [path.name for path in (tmp_path / "packages").glob("*.dist-info")] == ["pydantic-2.13.5.dist-info"]


def test_an_interpreter_is_found_without_a_readable_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "PYENV_ROOT", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/no/such:/dev/null")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    assert interpreter(version) is not None


@pytest.mark.parametrize("script", ["exit 1", "echo 3.13", "kill -9 $$", "echo 2.7"])
def test_a_broken_interpreter_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    shim = tmp_path / "python2.7"
    shim.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert interpreter("2.7") == (str(shim) if script == "echo 2.7" else None)
